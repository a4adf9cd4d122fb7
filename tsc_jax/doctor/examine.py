"""Reads a data set and runs every check on it."""

import dataclasses
from pathlib import Path

from tsc_jax.data.builder import WtalConfig, with_known
from tsc_jax.data.checks import check_source
from tsc_jax.data.joint import read_joint
from tsc_jax.data.per_video import read_per_video
from tsc_jax.data.source import Source
from tsc_jax.doctor import features, labels, reading
from tsc_jax.doctor.features import Row
from tsc_jax.doctor.findings import Finding, as_findings
from tsc_jax.errors import InputError

FOLLOWING = ("empty_split", "no_classes", "no_rate")  # what may only follow from files that could not be read


@dataclasses.dataclass(frozen=True)
class Examination:
    """The contents of a data set and its findings."""

    directory: Path
    layout: str
    source: Source | None  # None: it could not be read
    rows: list[Row]  # one per video
    findings: list[Finding]  # the most severe first

    @property
    def has_features(self) -> bool:
        """Returns whether there are features beside the annotations."""
        return any(row.video.read_features for row in self.rows)


def examine(
    directory: Path, layout: str, known: WtalConfig, modality: str = "both", rate: float | None = None
) -> Examination:
    """Reads the whole data set, or annotations alone, and runs every check.

    `rate` is in snippets per second; None takes that of the files, else that of `known`.
    Raises InputError if nothing could be read.
    """
    if not directory.is_dir():
        raise InputError(f"--source {directory}: no such folder")
    errors, source, rows, examples = [], None, [], []
    try:
        if layout == "joint":
            source = read_joint(directory, known.subsets, modality, errors.append)
        else:
            source = read_per_video(directory, modality, errors.append)
    except InputError as error:
        if not errors:
            raise
        errors.append(error)
    if source is not None:
        given = source.snippets_per_second if rate is None else rate
        source = _check(with_known(dataclasses.replace(source, snippets_per_second=given), known), errors)
        rows = features.measure(source, errors.append)
        examples = [
            *reading.check_files(directory, layout, source, errors.append),
            *labels.check_labels(rows),
            *labels.check_classes(source),
            *labels.check_segments(rows, source.snippets_per_second),
            *features.check_features(rows),
            *features.check_lengths(rows, source.snippets_per_second),
        ]
    lines = [(error.about, str(error).replace(f"{directory}/", "")) for error in errors]
    return Examination(directory, layout, source, rows, as_findings([*lines, *examples]))


def _check(source: Source, errors: list[InputError]) -> Source:
    """Adds what launch.prepare would refuse to the errors of reading; removes an invalid rate."""
    refused, unusable = [], any(error.about == "unusable" for error in errors)
    check_source(source, refused.append)
    errors += [error for error in refused if not (unusable and error.about in FOLLOWING)]
    if any(error.about == "no_rate" for error in refused):
        source = dataclasses.replace(source, snippets_per_second=None)
    return source
