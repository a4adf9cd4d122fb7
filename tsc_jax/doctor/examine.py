"""Reads a data set and runs every check on it."""

import dataclasses
from pathlib import Path

from tsc_jax.data.builder import WtalConfig, with_known
from tsc_jax.data.checks import check_source
from tsc_jax.data.joint import read_joint
from tsc_jax.data.options import Options
from tsc_jax.data.per_video import read_per_video
from tsc_jax.data.source import Source
from tsc_jax.doctor import features, labels, reading, timing
from tsc_jax.doctor.features import Row
from tsc_jax.doctor.findings import Finding, as_findings
from tsc_jax.errors import InputError

ALL_FEATURES = Options()
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


def examine(directory: Path, layout: str, known: WtalConfig, options: Options = ALL_FEATURES) -> Examination:
    """Reads the whole data set, or annotations alone, and runs every check.

    `known` gives what neither the options nor the files say. Raises InputError if nothing could be read.
    """
    if not directory.is_dir():
        raise InputError(f"--source {directory}: no such folder")
    errors, source, rows, examples = [], None, [], []
    try:
        options = dataclasses.replace(options, known_subsets=known.subsets)
        source = (read_joint if layout == "joint" else read_per_video)(directory, options, errors.append)
    except InputError as error:
        if not errors:
            raise
        errors.append(error)
    if source is not None:
        source = _check(with_known(source, known), errors)
        rows = features.measure(source, errors.append)
        examples = [
            *reading.check_files(directory, source, errors.append),
            *labels.check_labels(rows),
            *labels.check_classes(source),
            *(units := list(timing.check_units(rows))),
            *labels.check_segments(rows, past_end=not units),
            *features.check_features(rows),
            *timing.check_lengths(rows),
        ]
    lines = [(error.about, str(error).replace(f"{directory}/", "")) for error in errors]
    return Examination(directory, layout, source, rows, as_findings([*lines, *examples]))


def _check(source: Source, errors: list[InputError]) -> Source:
    """Adds what launch.prepare would refuse to the errors of reading; removes an invalid rate."""
    refused, found = [], {error.about for error in errors}
    check_source(source, refused.append)
    following = FOLLOWING if "unusable" in found else found & {"no_rate"}
    errors += [error for error in refused if error.about not in following]
    if any(error.about == "no_rate" for error in refused):
        source = dataclasses.replace(source, snippets_per_second=None)
    return source
