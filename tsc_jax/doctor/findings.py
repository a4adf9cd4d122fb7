"""The checks: severity, title and advice of each."""

import dataclasses
from collections.abc import Iterable

Example = tuple[str, str]  # a check, a key of CHECKS, and one line about one place where it found something


@dataclasses.dataclass(frozen=True)
class Check:
    """Something to look for."""

    severity: str  # "error" if training would fail or give wrong results, "warning" if it might, else "note"
    title: str  # what is counted, in the plural
    advice: str  # what to do, one sentence


@dataclasses.dataclass(frozen=True)
class Finding:
    """All examples of one check."""

    check: str  # a key of CHECKS
    examples: tuple[str, ...]  # one line each

    @property
    def severity(self) -> str:
        """Returns the severity of the check."""
        return CHECKS[self.check].severity


def as_findings(examples: Iterable[Example]) -> list[Finding]:
    """Groups examples by check, in the order of CHECKS: the most severe first."""
    lines = {check: [] for check in CHECKS}
    for check, line in examples:
        lines[check].append(line)
    return [Finding(check, tuple(each)) for check, each in lines.items() if each]


TEXTS = {  # title and advice of each check, by severity
    "error": {
        "unusable": ("unusable files", "Write them again in the form that docs/your-own-data.md describes."),
        "repeated_names": ("repeated names", "Keep one of each."),
        "unannotated": ("listed videos without annotation", "Annotate them or take them off the list."),
        "missing": (
            "videos without features",
            "Add files with exactly these names, or take the videos off the list; launch.prepare --skip_missing leaves"
            " them out.",
        ),
        "near_names": (
            "videos without features whose name differs a little from that of a file",
            "Rename the files or the videos, so that both have one name.",
        ),
        "no_features": (
            "data sets without features",
            "Put them beside the annotations: launch.prepare needs them, and their checks were left out.",
        ),
        "long_names": ("video names that are empty or too long", "Change them: figures are named after videos."),
        "empty_split": ("subsets without videos", "List at least one training and one test video."),
        "segments": (
            "invalid segments or segment labels",
            "Write a start and an end in seconds, the end not before the start, and the name of a class.",
        ),
        "durations": ("invalid durations", "Write a positive number of seconds."),
        "unknown_labels": ("labels outside the class list", "Correct the spelling, or add the class to the list."),
        "near_labels": (
            "labels that differ a little from a class, or classes from another class",
            "Write each class in one way, in the annotations and in the class list.",
        ),
        "no_classes": ("data sets without classes or training labels", "List the classes, and label the videos."),
        "same_name": ("test videos that are also training videos", "Keep each on one list, else the test is invalid."),
        "same_features_in_test": (
            "test videos with features of a training video",
            "Keep or correct one of each, else the test is invalid.",
        ),
        "feature_arrays": ("features that are not an array of numbers [T, D]", "Write one row of numbers per snippet."),
        "not_finite": ("videos with features that are NaN or infinite", "Extract them again: NaN ruins all weights."),
        "width": (
            "videos with a feature width that differs from most",
            "Extract all with the same extractor and settings.",
        ),
        "no_rate": (
            "data sets without a valid rate of snippets",
            'Write "snippets_per_second" into meta.json, or give --snippets_per_second here and to launch.prepare.',
        ),
        "rate": (
            "rates that do not fit the videos",
            "Give the right --snippets_per_second: with a wrong one all times in seconds are wrong, and mAP is near 0.",
        ),
        "fixed_length": (
            "data sets whose features have one length for all videos",
            "Give --snippets_per_second=duration here and to launch.prepare: then the snippets of each video share its"
            " duration evenly.",
        ),
        "own_rates": (
            "data sets whose videos have rates of their own",
            'Write "snippets_per_second": {"VIDEO": RATE}, or "feat_stride" and "fps": {"VIDEO": FPS}, into meta.json;'
            " if the features cover the videos whole, --snippets_per_second=duration fits any rates.",
        ),
        "units": (
            "subsets with most segments past the end of their video",
            "Write times in seconds: these are probably in frames or milliseconds.",
        ),
    },
    "warning": {
        "no_ground_truth": (
            "test subsets without segments",
            "Nothing to do if their actions are to be found; annotate test videos to measure mAP.",
        ),
        "length": (
            "videos with more or fewer snippets than expected",
            "Check whether they were cut, or extracted at another rate: T should be duration times rate,"
            " within 2 snippets or 5%.",
        ),
        "heads": (
            "feature widths that are not a multiple of the 4 attention heads of TSC-Net's recipes",
            "Append columns of zeros up to a multiple of 4, or train TSC-Net with --config.model.tce_heads=1.",
        ),
        "zero_snippets": ("videos with snippets that are all zero", "Check whether the extractor failed there."),
        "same_features": ("groups of videos of one subset with the same features", "Keep or correct one of each."),
        "label_disagreement": (
            "videos whose video-level labels differ from the classes of their segments",
            "Make them agree: training uses the video-level labels, mAP the segments. Keep a public data set as it is"
            " to compare with published results.",
        ),
        "unlabelled": ("training videos without a label", "Label them: otherwise they are background only."),
        "untrained_classes": ("classes with only test videos", "Add training videos, or expect an AP of 0."),
        "past_end": (
            "test videos with segments past their end",
            "Check whether the video or its duration was cut: no prediction can match there, and mAP cannot reach 100.",
        ),
        "negative_times": ("videos with segments before their start", "Let the segments start at 0."),
        "no_length": ("videos with segments of no length", "Correct or delete them: no prediction can overlap them."),
        "same_segment": (
            "videos with a repeated segment (same class, tIoU 0.9 or more)",
            "Delete one: a prediction can match only one of the two.",
        ),
        "extra_files": (
            "files in features/ that belong to no video",
            "Correct misspelt names; features are read from .npy, .npz, .csv, .h5 and .hdf5 files. Files that are not"
            " meant to be used do no harm.",
        ),
    },
    "note": {
        "few_videos": (
            "classes with a single training video",
            "Add a video or drop the class if the method trains on pairs: each of config.train.pairs needs two videos.",
        ),
        "past_end_train": (
            "training videos with segments past their end",
            "Correct them if you hold out training videos (--config.eval.holdout); training does not use segments.",
        ),
        "unlisted": ("annotated videos in neither subset", "Nothing to do if they are not meant to be used."),
        "no_segments": ("test videos without a segment", "Nothing to do if they contain no action."),
        "untested_classes": ("classes with only training videos", "Nothing to do: mAP ignores them."),
        "unused_classes": ("classes without videos", "Nothing to do, or take them off the class list."),
        "ambiguous": (
            "videos of Ambiguous_test.txt without annotation",
            "Nothing to do: the public lists omit them, and they are used neither for training nor for the test.",
        ),
    },
}
CHECKS = {check: Check(severity, *texts) for severity, of in TEXTS.items() for check, texts in of.items()}
SEVERITIES = tuple(TEXTS)
