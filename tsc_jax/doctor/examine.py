"""Examines a data set: reads it, runs every check."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tsc_jax.data.builder import WtalConfig
from tsc_jax.data.source import Source
from tsc_jax.doctor import features, labels, segments
from tsc_jax.doctor.features import Measures
from tsc_jax.doctor.findings import Finding, by_severity, found
from tsc_jax.doctor.reading import Holdings, read_holdings

LEFT_OUT = (
    "width, NaN, snippets that are all zero",
    "T against duration times rate",
    "missing and extra files",
    "copies by content",
)


@dataclasses.dataclass(frozen=True)
class Examination:
    """What a data set holds and what is wrong with it.

    Attributes:
      directory: of the data set.
      holdings: what was read.
      measures: of the features.
      findings: the gravest first.
    """

    directory: Path
    holdings: Holdings
    measures: Measures
    findings: list[Finding]


def examine(
    directory: Path, layout: str, known: WtalConfig, modality: str = "both", rate: float | None = None
) -> Examination:
    """Reads the whole data set; see `launch.doctor`.

    Args:
      directory: of the data set.
      layout: "joint" or "per_video".
      known: what is known of it beforehand.
      modality: "both", or "rgb" or "flow" alone.
      rate: snippets per second; None: as the files say.

    Raises:
      InputError: nothing at all could be read.
    """
    holdings = read_holdings(directory, layout, known.subsets, modality)
    source, measures = holdings.source, {}
    if source is not None:
        source = _with_known(source, known, rate)
        holdings = dataclasses.replace(holdings, source=source)
        measured = holdings.has_features
        measures = features.measure(source, holdings.faults.append) if measured else features.unmeasured(source)
    findings = [*_faults(holdings, directory), *(_check(holdings, measures) if source else ())]
    return Examination(directory, holdings, measures, by_severity(findings))


def _with_known(source: Source, known: WtalConfig, rate: float | None) -> Source:
    """As `builder.prepare` and launch.prepare do it."""
    if rate is None:
        rate = source.snippets_per_second
    if rate is None:
        rate = known.snippets_per_second
    classes = source.classes if known.classes is None else known.classes
    return dataclasses.replace(source, classes=classes, snippets_per_second=rate)


def _faults(holdings: Holdings, directory: Path) -> Iterator[Finding]:
    """What reading stumbled over, by what it is about."""
    sentences = {}
    for fault in holdings.faults:
        sentences.setdefault(fault.about, []).append(str(fault).replace(f"{directory}/", ""))
    for check, examples in sentences.items():
        yield from found(check, examples)


def _check(holdings: Holdings, measures: Measures) -> Iterator[Finding]:
    """Every check, but for those whose reason is a fault already."""
    source, told = holdings.source, {fault.about for fault in holdings.faults}
    if "unusable" not in told:
        yield from labels.check_names(source)
        yield from found("unlisted", holdings.unlisted if all(source.splits.values()) else ())
    if holdings.layout == "per_video":  # of the joint layout, reading has told it
        yield from labels.check_repeated(source)
    yield from labels.check_labels(source)
    yield from labels.check_classes(source)
    yield from segments.check_segments(source, measures)
    yield from features.check_features(source, measures)
    yield from features.check_lengths(source, measures)
    rate = source.snippets_per_second
    if "no_rate" not in told and not (rate is not None and 0 < rate < np.inf):
        yield from found("no_rate", [f"found {rate}" if rate is not None else "no file says it"])
    yield from found("extra_files", holdings.extra_files)
    yield from found("ambiguous", holdings.ambiguous)
    yield from found("no_features", () if holdings.has_features else LEFT_OUT)
