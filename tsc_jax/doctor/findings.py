"""What can be found: how grave it is, what it is called, and what to do about it."""

import dataclasses
from collections.abc import Sequence

SEVERITIES = ("error", "warning", "note")


@dataclasses.dataclass(frozen=True)
class Check:
    """Something to look for.

    Attributes:
      severity: "error" where training would fail or its result be wrong; "warning" where it may be; else "note".
      title: what was counted, in the plural.
      advice: what to do, one sentence.
    """

    severity: str
    title: str
    advice: str


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
      check: its name, a key of CHECKS.
      examples: everything that it found, one line each.
    """

    check: str
    examples: tuple[str, ...]

    @property
    def severity(self) -> str:
        """The check's."""
        return CHECKS[self.check].severity


def found(check: str, examples: Sequence[str]) -> list[Finding]:
    """The finding of these examples: one, or none without examples."""
    return [Finding(check, tuple(examples))] if examples else []


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """The gravest first, then in the order of CHECKS."""
    names = list(CHECKS)
    return sorted(findings, key=lambda finding: (SEVERITIES.index(finding.severity), names.index(finding.check)))


CHECKS = {
    "unusable": Check(
        "error", "files that cannot be used", "Write them again, in the form that docs/your-own-data.md describes."
    ),
    "repeated_names": Check("error", "names that stand where each may stand once", "Keep one of each."),
    "unannotated": Check(
        "error", "listed videos without annotation", "Add them to the annotations, or take them off the list."
    ),
    "missing": Check(
        "error", "videos without features", "Add their files, under the exact name, or take them off the list."
    ),
    "empty_split": Check("error", "subsets without a video", "Name videos to train on and videos to test on."),
    "segments": Check(
        "error",
        "segments, or labels of them, that are none",
        "A segment is a start and an end in seconds, the end not before the start, with the name of a class.",
    ),
    "durations": Check("error", "durations that are none", "A duration is a positive number of seconds."),
    "unknown_labels": Check(
        "error", "labels outside the class list", "Correct the spelling, or add the class to the list."
    ),
    "no_classes": Check("error", "data sets without a class", "Name the classes, or label the videos."),
    "few_videos": Check(
        "error",
        "classes with a single training video",
        "Add a video or drop the class: training draws pairs of videos of a class.",
    ),
    "no_ground_truth": Check(
        "error", "test subsets without any segment", "Annotate test videos: mAP is measured on their segments."
    ),
    "same_name": Check(
        "error", "test videos that also stand in training", "Take each off one of the lists: a test on them is none."
    ),
    "same_features_in_test": Check(
        "error",
        "test videos whose features are those of a training video",
        "Keep one of each, or write the right features: a test on what was trained on is none.",
    ),
    "feature_arrays": Check(
        "error", "features that are no array of numbers [T, D]", "Write one row of numbers for each snippet."
    ),
    "not_finite": Check(
        "error", "videos with features that are NaN or infinite", "Extract them again: one NaN ruins all weights."
    ),
    "width": Check(
        "error", "videos of another feature width than most", "Extract all videos with one extractor and one setting."
    ),
    "heads": Check(
        "error",
        "feature widths that the recipes' 4 attention heads do not divide",
        "Append columns of zeros up to a multiple of 4, or train with --config.model.tce_heads=1.",
    ),
    "no_rate": Check(
        "error",
        "data sets without a rate of snippets",
        'Write "snippets_per_second" into meta.json, or give --snippets_per_second here and to launch.prepare.',
    ),
    "rate": Check(
        "error",
        "rates that do not fit the videos",
        "Give the right --snippets_per_second: with a wrong one every time in seconds is wrong, and mAP near 0.",
    ),
    "length": Check(
        "warning",
        "videos with more or fewer snippets than they should have",
        "See whether these were cut, or extracted at another rate; T should be duration times rate,"
        " within 2 snippets or 5%.",
    ),
    "zero_snippets": Check(
        "warning", "videos with snippets that are all zero", "See whether the extractor failed there."
    ),
    "same_features": Check(
        "warning", "groups of videos of one subset with the same features", "Keep one of each, or write the right ones."
    ),
    "label_disagreement": Check(
        "warning",
        "videos whose video-level labels are not the classes of their segments",
        "Training sees the video-level labels, mAP the segments: make them agree, unless the data set is public"
        " and others' results were had with it as it is.",
    ),
    "unlabelled": Check("warning", "training videos without a label", "Label them: they teach background alone."),
    "untrained_classes": Check(
        "warning", "classes that no training video has, but test videos", "Add training videos, or expect AP 0 of them."
    ),
    "past_end": Check(
        "warning",
        "test videos with segments past their end",
        "Nothing can be found there, so that mAP cannot reach 100: see whether the video or its duration was cut.",
    ),
    "negative_times": Check("warning", "videos with segments before their start", "Let them begin at 0."),
    "no_length": Check(
        "warning", "videos with segments of no length", "Correct or delete them: nothing can overlap them."
    ),
    "same_segment": Check(
        "warning",
        "videos that hold a segment twice (same class, tIoU 0.9 or more)",
        "Delete one: only one of the two can be found.",
    ),
    "extra_files": Check(
        "warning",
        "files in features/ that belong to no video",
        "Look for misspelt names; if they are not meant to be used, they do no harm.",
    ),
    "past_end_train": Check(
        "note",
        "training videos with segments past their end",
        "Training does not look at segments; a holdout (--config.eval.holdout) does.",
    ),
    "unlisted": Check("note", "annotated videos in neither subset", "Nothing, if they are not meant to be used."),
    "no_segments": Check("note", "test videos without a segment", "Nothing, if no action happens in them."),
    "untested_classes": Check(
        "note", "classes that no test video has, but training videos", "Nothing: mAP leaves them out."
    ),
    "unused_classes": Check("note", "classes that no video has", "Nothing, or take them off the class list."),
    "ambiguous": Check(
        "note",
        "videos of Ambiguous_test.txt that the annotations lack",
        "Nothing: they are absent from the lists that circulate, and are neither trained nor tested on.",
    ),
    "no_features": Check(
        "note",
        "kinds of checks that were left out for want of features",
        "Put the features beside the annotations to have them checked too.",
    ),
}
