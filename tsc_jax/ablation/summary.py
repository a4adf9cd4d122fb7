"""Summarizes a study: a table as Markdown, all numbers as CSV, and a picture."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import ml_collections

matplotlib.use("agg")
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import scipy.special

from tsc_jax.ablation.grid import Outcome
from tsc_jax.evaluation.results import averages
from tsc_jax.files import replacing, write_text
from tsc_jax.report.figures import save

SHOWN_TIOUS = (0.3, 0.5, 0.7)  # besides the average
AVERAGE = "0.1:0.7"  # shown where its tIoUs were evaluated, else the average over all


class Spread(NamedTuple):
    """One number over the seeds; of a single seed, only the mean is not NaN."""

    mean: float
    deviation: float  # standard deviation of a sample
    half_width: float  # of the 95% interval of the mean (Student's t)


def spread(values: np.ndarray) -> Spread:
    """Of values [seeds]."""
    seeds = len(values)
    deviation = float(np.std(values, ddof=1)) if seeds > 1 else float("nan")
    quantile = float(scipy.special.stdtrit(seeds - 1, 0.975))
    return Spread(float(values.mean()), deviation, quantile * deviation / seeds**0.5)


def average(outcome: Outcome, split: str) -> tuple[str, np.ndarray]:
    """The name of the average mAP that is shown, and its values [seeds]."""
    of_seeds = [averages(outcome.tious, mean_ap) for mean_ap in outcome.mean_ap[split]]
    name = AVERAGE if AVERAGE in of_seeds[0] else "all"
    return name, np.array([each[name] for each in of_seeds])


def difference(outcome: Outcome, baseline: Outcome, split: str) -> Spread:
    """The difference in average mAP from the baseline, seed by seed."""
    return spread(average(outcome, split)[1] - average(baseline, split)[1])


def write(
    workdir: Path, study: str, outcomes: Sequence[Outcome], config: ml_collections.ConfigDict, command: str
) -> None:
    """Writes STUDY.md, STUDY.csv and STUDY.png into the workdir; the first outcome is the baseline."""
    first, seeds = config.train.seed, len(outcomes[0].mean_ap["test"])
    heading = f"Study {study}: {config.data.name}"
    note = (
        f"Last step of {config.train.steps}, protocol {config.eval.protocol}, seeds {first} to {first + seeds - 1}, the"
        " same for every variant: mean ± standard deviation over seeds; [95% interval] of the paired difference"
        " (Student's t)."
    )
    write_text(workdir / f"{study}.md", f"# {heading}\n\n{note}\n\n`{command}`\n\n{markdown_table(outcomes)}")
    with replacing(workdir / f"{study}.csv") as path, path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows_of_numbers(outcomes, first))
    draw(workdir / f"{study}.png", outcomes, heading)


def line(outcome: Outcome, baseline: Outcome) -> str:
    """One variant, for the terminal."""
    parts = [f"{outcome.name:45}"]
    for split in outcome.mean_ap:
        name, values = average(outcome, split)
        change = "" if outcome is baseline else f" ({interval(difference(outcome, baseline, split))})"
        parts.append(f"{split} mAP@{name} {_plus_minus(spread(values))}{change}")
    return "  ".join(parts)


def markdown_table(outcomes: Sequence[Outcome]) -> str:
    """One line per variant, the baseline first."""
    baseline, splits = outcomes[0], list(outcomes[0].mean_ap)
    shown = [i for i, tiou in enumerate(baseline.tious) if tiou in SHOWN_TIOUS]
    head = ["variant", *(f"{split} mAP@{average(baseline, split)[0]}" for split in splits)]
    head += [f"{split}: from baseline" for split in splits]
    rows = [[*head, *(f"test mAP@{baseline.tious[i]:g}" for i in shown)]]
    for outcome in outcomes:
        row = [outcome.name, *(_plus_minus(spread(average(outcome, split)[1])) for split in splits)]
        row += ["" if outcome is baseline else interval(difference(outcome, baseline, split)) for split in splits]
        rows.append([*row, *(f"{outcome.mean_ap['test'][:, i].mean():.1f}" for i in shown)])
    return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; the first row is its head."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _plus_minus(of: Spread) -> str:
    return f"{of.mean:.1f}" if np.isnan(of.deviation) else f"{of.mean:.1f} ± {of.deviation:.1f}"


def interval(of: Spread) -> str:
    """A difference with its 95% interval, where there are several seeds."""
    if np.isnan(of.half_width):
        return f"{of.mean:+.1f}"
    return f"{of.mean:+.1f} [{of.mean - of.half_width:+.1f}, {of.mean + of.half_width:+.1f}]"


def with_interval(values: np.ndarray) -> str:
    """Mean of values [seeds] and, of several seeds, half of the width of its 95% interval."""
    of = spread(values)
    return f"{of.mean:.1f}" if np.isnan(of.half_width) else f"{of.mean:.1f} ± {of.half_width:.1f}"


def rows_of_numbers(outcomes: Sequence[Outcome], first_seed: int) -> Iterable[list]:
    """Every number behind the table: a head, then a row per variant, split and seed."""
    yield ["variant", "split", "seed", *(f"mAP@{tiou:g}" for tiou in outcomes[0].tious)]
    for outcome in outcomes:
        for split, mean_ap in outcome.mean_ap.items():
            for seed, of_seed in enumerate(mean_ap, first_seed):
                yield [outcome.name, split, seed, *(f"{value:.3f}" for value in of_seed)]


def draw(path: Path, outcomes: Sequence[Outcome], heading: str) -> None:
    """A dot for each seed, the mean and its 95% interval for each variant; a panel for each split."""
    splits = list(outcomes[0].mean_ap)
    size = (3 + 4 * len(splits), 1.6 + 0.42 * len(outcomes))
    figure, axes = plt.subplots(1, len(splits), sharey=True, squeeze=False, layout="constrained", figsize=size)
    for axis, split in zip(axes[0], splits, strict=True):
        for lane, outcome in enumerate(outcomes):
            name, values = average(outcome, split)
            of = spread(values)
            axis.plot(values, np.full(len(values), lane), "o", color="0.6", markersize=4)
            axis.errorbar(of.mean, lane, xerr=np.nan_to_num(of.half_width), fmt="D", color="tab:blue", capsize=3)
        axis.axvline(average(outcomes[0], split)[1].mean(), color="0.7", linestyle=":", zorder=0)
        axis.set(xlabel=f"{split} mAP@{name} (%)", yticks=range(len(outcomes)))
        axis.set_yticklabels([outcome.name for outcome in outcomes])
        axis.grid(axis="x", color="0.93")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylim(len(outcomes) - 0.5, -0.5)
    explained = "dots: seeds; diamonds: mean with 95% interval; dotted: baseline"
    figure.suptitle(f"{heading}\n{explained}", x=0.01, ha="left", size=10)
    save(figure, path)
