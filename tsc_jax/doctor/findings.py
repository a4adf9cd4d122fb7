"""The checks: severity, title and advice of each."""

import dataclasses
from collections.abc import Iterable

SEVERITIES = ("error", "warning", "note")

Example = tuple[str, str]  # a check, a key of CHECKS, and one line about one place where it found something


@dataclasses.dataclass(frozen=True)
class Check:
    """Something to look for.

    Attributes:
      severity: "error" if training would fail or give wrong results, "warning" if it might, else "note".
      title: what is counted, in the plural.
      advice: what to do, one sentence.
    """

    severity: str
    title: str
    advice: str


@dataclasses.dataclass(frozen=True)
class Finding:
    """All examples of one check.

    Attributes:
      check: a key of CHECKS.
      examples: one line each.
    """

    check: str
    examples: tuple[str, ...]

    @property
    def severity(self) -> str:
        """Returns the severity of the check."""
        return CHECKS[self.check].severity


def as_findings(examples: Iterable[Example]) -> list[Finding]:
    """Groups examples by check, the most severe check first, then in the order of CHECKS."""
    lines = {check: [] for check in CHECKS}
    for check, line in examples:
        lines[check].append(line)
    findings = [Finding(check, tuple(lines[check])) for check in CHECKS if lines[check]]
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


CHECKS = {
    "unusable": Check("error", "unusable files", "Write them again in the form that docs/your-own-data.md describes."),
    "repeated_names": Check("error", "repeated names", "Keep one of each."),
    "unannotated": Check("error", "listed videos without annotation", "Annotate them or take them off the list."),
    "missing": Check(
        "error", "videos without features", "Add files with exactly these names, or take the videos off the list."
    ),
    "long_names": Check("error", "video names that are too long", "Shorten them: figures are named after videos."),
    "empty_split": Check("error", "subsets without videos", "List at least one training and one test video."),
    "segments": Check(
        "error",
        "invalid segments or segment labels",
        "Write a start and an end in seconds, the end not before the start, and the name of a class.",
    ),
    "durations": Check("error", "invalid durations", "Write a positive number of seconds."),
    "unknown_labels": Check(
        "error", "labels outside the class list", "Correct the spelling, or add the class to the list."
    ),
    "no_classes": Check("error", "data sets without classes", "List the classes, or label the videos."),
    "no_ground_truth": Check(
        "error", "test subsets without segments", "Annotate test videos: mAP is measured on their segments."
    ),
    "same_name": Check(
        "error", "test videos that are also training videos", "Remove each from one list, else the test is invalid."
    ),
    "same_features_in_test": Check(
        "error",
        "test videos with the features of a training video",
        "Keep one of each, or write the right features: otherwise the test is invalid.",
    ),
    "feature_arrays": Check(
        "error", "features that are not an array of numbers [T, D]", "Write one row of numbers per snippet."
    ),
    "not_finite": Check(
        "error", "videos with features that are NaN or infinite", "Extract them again: one NaN ruins all weights."
    ),
    "width": Check(
        "error",
        "videos with a feature width that differs from most",
        "Extract all videos with the same extractor and settings.",
    ),
    "heads": Check(
        "error",
        "feature widths that are not a multiple of the recipes' 4 attention heads",
        "Append columns of zeros up to a multiple of 4, or train with --config.model.tce_heads=1.",
    ),
    "no_rate": Check(
        "error",
        "data sets without a valid rate of snippets",
        'Write "snippets_per_second" into meta.json, or give --snippets_per_second here and to launch.prepare.',
    ),
    "rate": Check(
        "error",
        "rates that do not fit the videos",
        "Give the right --snippets_per_second: with a wrong one all times in seconds are wrong, and mAP is near 0.",
    ),
    "length": Check(
        "warning",
        "videos with more or fewer snippets than expected",
        "Check whether they were cut, or extracted at another rate: T should be duration times rate,"
        " within 2 snippets or 5%.",
    ),
    "zero_snippets": Check(
        "warning", "videos with snippets that are all zero", "Check whether the extractor failed there."
    ),
    "same_features": Check(
        "warning", "groups of videos of one subset with the same features", "Keep one of each, or write the right ones."
    ),
    "label_disagreement": Check(
        "warning",
        "videos whose video-level labels differ from the classes of their segments",
        "Make them agree: training uses the video-level labels, mAP the segments. Keep a public data set as it is"
        " to compare with published results.",
    ),
    "unlabelled": Check(
        "warning", "training videos without a label", "Label them: otherwise they are background only."
    ),
    "untrained_classes": Check(
        "warning", "classes with test videos but no training video", "Add training videos, or expect an AP of 0."
    ),
    "past_end": Check(
        "warning",
        "test videos with segments past their end",
        "Check whether the video or its duration was cut: no prediction can match there, and mAP cannot reach 100.",
    ),
    "negative_times": Check("warning", "videos with segments before their start", "Let the segments start at 0."),
    "no_length": Check(
        "warning", "videos with segments of no length", "Correct or delete them: no prediction can overlap them."
    ),
    "same_segment": Check(
        "warning",
        "videos with a repeated segment (same class, tIoU 0.9 or more)",
        "Delete one: a prediction can match only one of the two.",
    ),
    "extra_files": Check(
        "warning",
        "files in features/ that belong to no video",
        "Correct misspelt names; files that are not meant to be used do no harm.",
    ),
    "few_videos": Check(
        "note",
        "classes with a single training video",
        "Add a video or drop the class if the method trains on pairs: a pair (config.train.pairs) needs two videos.",
    ),
    "past_end_train": Check(
        "note",
        "training videos with segments past their end",
        "Correct them if you hold out training videos (--config.eval.holdout); training does not use segments.",
    ),
    "unlisted": Check("note", "annotated videos in neither subset", "Nothing to do if they are not meant to be used."),
    "no_segments": Check("note", "test videos without a segment", "Nothing to do if they contain no action."),
    "untested_classes": Check(
        "note", "classes with training videos but no test video", "Nothing to do: mAP ignores them."
    ),
    "unused_classes": Check("note", "classes without videos", "Nothing to do, or take them off the class list."),
    "ambiguous": Check(
        "note",
        "videos of Ambiguous_test.txt without annotation",
        "Nothing to do: the public lists omit them, and they are used neither for training nor for the test.",
    ),
    "no_features": Check(
        "note", "kinds of checks that need features", "Put the features beside the annotations to run them too."
    ),
}
