"""Reads a data set and runs every check on it."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tsc_jax.data.builder import WtalConfig, with_known
from tsc_jax.doctor import features, labels, segments
from tsc_jax.doctor.features import Measures
from tsc_jax.doctor.findings import Example, Finding, as_findings
from tsc_jax.doctor.reading import Holdings, read_holdings

LEFT_OUT = (
    "width, NaN, snippets that are all zero",
    "T against duration times rate",
    "missing and extra files",
    "copies by content",
)


@dataclasses.dataclass(frozen=True)
class Examination:
    """The contents of a data set and its findings.

    Attributes:
      directory: of the data set.
      holdings: what was read.
      measures: of the features.
      findings: the most severe first.
    """

    directory: Path
    holdings: Holdings
    measures: Measures
    findings: list[Finding]


def examine(
    directory: Path, layout: str, known: WtalConfig, modality: str = "both", rate: float | None = None
) -> Examination:
    """Reads the whole data set and runs every check.

    Args:
      directory: of the data set.
      layout: "joint" or "per_video".
      known: what the program knows about the data set.
      modality: "both", "rgb" or "flow".
      rate: snippets per second; None: from the files, else from `known`.

    Raises:
      InputError: nothing could be read.
    """
    holdings, measures = read_holdings(directory, layout, known.subsets, modality), {}
    if holdings.source is not None:
        source = holdings.source
        if rate is not None:
            source = dataclasses.replace(source, snippets_per_second=rate)
        holdings = dataclasses.replace(holdings, source=with_known(source, known))
        measures = features.measure(holdings.source, holdings.faults.append)
    examples = [(fault.about, str(fault).replace(f"{directory}/", "")) for fault in holdings.faults]
    if holdings.source is not None:
        examples += _check(holdings, measures)
    return Examination(directory, holdings, measures, as_findings(examples))


def _check(holdings: Holdings, measures: Measures) -> Iterator[Example]:
    """Runs every check, except those whose subject the reader has already reported as a fault."""
    source, reported = holdings.source, {fault.about for fault in holdings.faults}
    if "unusable" not in reported:
        yield from labels.check_names(source)
        if all(source.splits.values()):
            yield from (("unlisted", name) for name in holdings.unlisted)
    if holdings.layout == "per_video":  # the reader of the joint layout reports repeated names
        yield from labels.check_repeated(source)
    yield from labels.check_labels(source)
    yield from labels.check_classes(source)
    yield from segments.check_segments(source, measures)
    yield from features.check_features(measures)
    yield from features.check_lengths(measures, source.snippets_per_second)
    rate = source.snippets_per_second
    if "no_rate" not in reported and not (rate is not None and 0 < rate < np.inf):
        yield "no_rate", "no file gives it" if rate is None else f"found {rate}"
    yield from (("extra_files", file) for file in holdings.extra_files)
    yield from (("ambiguous", name) for name in holdings.ambiguous)
    if not holdings.has_features:
        yield from (("no_features", checks) for checks in LEFT_OUT)
