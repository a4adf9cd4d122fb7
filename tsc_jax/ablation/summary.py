"""What a study found: a table as Markdown and CSV, and a picture."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import ml_collections

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import scipy.stats

from tsc_jax.ablation.grid import Outcome
from tsc_jax.evaluation import results
from tsc_jax.report.figures import save

SHOWN_TIOUS = (0.3, 0.5, 0.7)  # besides the average
AVERAGE = "0.1:0.7"


@dataclasses.dataclass(frozen=True)
class Spread:
    """Of one number over the seeds.

    Attributes:
      mean: over seeds.
      deviation: standard deviation of a sample, NaN of one seed.
      half_width: of the 95% interval of the mean by Student's t, NaN of one seed.
    """

    mean: float
    deviation: float
    half_width: float


def spread(values: np.ndarray) -> Spread:
    """Of values [seeds]."""
    seeds = len(values)
    if seeds < 2:
        return Spread(float(values.mean()), float("nan"), float("nan"))
    deviation = float(np.std(values, ddof=1))
    return Spread(float(values.mean()), deviation, float(scipy.stats.t.ppf(0.975, seeds - 1)) * deviation / seeds**0.5)


def write(
    workdir: Path, study: str, outcomes: Sequence[Outcome], config: ml_collections.ConfigDict, command: str
) -> None:
    """Writes STUDY.md, STUDY.csv and STUDY.png into the workdir.

    Args:
      workdir: of the study.
      study: its name.
      outcomes: of its variants, the baseline first.
      config: the recipe that was varied.
      command: that made this, for the heading.
    """
    first, seeds = config.train.seed, len(outcomes[0].mean_ap["test"])
    heading = f"Study {study}: {config.data.name}"
    notes = [
        f"Last step of {config.train.steps}, protocol {config.eval.protocol}, seeds {first} to {first + seeds - 1}, the"
        " same for every variant: mean ± standard deviation over seeds; [95% interval] of the paired difference"
        " (Student's t).",
        "",
        f"`{command}`",
    ]
    results.write_text(workdir / f"{study}.md", markdown(outcomes, heading, notes))
    results.write_text(workdir / f"{study}.csv", comma_separated(outcomes, first))
    draw(workdir / f"{study}.png", outcomes, heading)


def line(outcome: Outcome, baseline: Outcome) -> str:
    """One variant, for the terminal."""
    parts = [f"{outcome.name:45}"]
    for split in outcome.mean_ap:
        name, values = next(iter(columns(outcome, split).items()))
        change = "" if outcome is baseline else f" ({_interval(difference(outcome, baseline, split))})"
        parts.append(f"{split} mAP@{name} {_plus_minus(spread(values))}{change}")
    return "  ".join(parts)


def columns(outcome: Outcome, split: str) -> dict[str, np.ndarray]:
    """The numbers of a variant, [seeds] each: the average mAP@0.1:0.7, or over all tIoUs, and some of its parts."""
    mean_ap = outcome.mean_ap[split]
    averages = [results.averages(outcome.tious, of_seed) for of_seed in mean_ap]
    name = AVERAGE if AVERAGE in averages[0] else "all"
    at = {f"{tiou:g}": mean_ap[:, i] for i, tiou in enumerate(outcome.tious) if tiou in SHOWN_TIOUS}
    return {name: np.array([each[name] for each in averages]), **at}


def difference(outcome: Outcome, baseline: Outcome, split: str) -> Spread:
    """Of the average mAP from the baseline's, seed by seed."""
    own, other = (next(iter(columns(each, split).values())) for each in (outcome, baseline))
    return spread(own - other)


def markdown(outcomes: Sequence[Outcome], heading: str, notes: Sequence[str]) -> str:
    """The table; the first outcome is the baseline."""
    splits = list(outcomes[0].mean_ap)
    average = next(iter(columns(outcomes[0], "test")))
    head = [
        "variant",
        *(f"{split} mAP@{average}" for split in splits),
        *(f"{split}: from baseline" for split in splits),
    ]
    head += [f"test mAP@{name}" for name in list(columns(outcomes[0], "test"))[1:]]
    rows = []
    for outcome in outcomes:
        row = [outcome.name, *(_plus_minus(spread(columns(outcome, split)[average])) for split in splits)]
        row += [
            "" if outcome is outcomes[0] else _interval(difference(outcome, outcomes[0], split)) for split in splits
        ]
        row += [f"{values.mean():.1f}" for values in list(columns(outcome, "test").values())[1:]]
        rows.append(row)
    lines = [f"# {heading}", "", *notes, "", _line(head), _line(["---"] * len(head)), *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def _plus_minus(of: Spread) -> str:
    return f"{of.mean:.1f}" if np.isnan(of.deviation) else f"{of.mean:.1f} ± {of.deviation:.1f}"


def _interval(of: Spread) -> str:
    if np.isnan(of.half_width):
        return f"{of.mean:+.1f}"
    return f"{of.mean:+.1f} [{of.mean - of.half_width:+.1f}, {of.mean + of.half_width:+.1f}]"


def comma_separated(outcomes: Sequence[Outcome], first_seed: int) -> str:
    """Every number behind the table: a line for each variant, split and seed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    tious = outcomes[0].tious
    writer.writerow(["variant", "split", "seed", *(f"mAP@{tiou:g}" for tiou in tious)])
    for outcome in outcomes:
        for split, mean_ap in outcome.mean_ap.items():
            for seed, of_seed in enumerate(mean_ap, first_seed):
                writer.writerow([outcome.name, split, seed, *(f"{value:.3f}" for value in of_seed)])
    return text.getvalue()


def draw(path: Path, outcomes: Sequence[Outcome], heading: str) -> None:
    """A dot for each seed, the mean and its 95% interval for each variant; a panel for each split."""
    splits = list(outcomes[0].mean_ap)
    figure, axes = plt.subplots(
        1, len(splits), sharey=True, squeeze=False, layout="constrained",
        figsize=(3 + 4 * len(splits), 1.6 + 0.42 * len(outcomes)),
    )  # fmt: skip
    for axis, split in zip(axes[0], splits, strict=True):
        for lane, outcome in enumerate(outcomes):
            name, values = next(iter(columns(outcome, split).items()))
            of = spread(values)
            axis.plot(values, np.full(len(values), lane), "o", color="0.6", markersize=4)
            axis.errorbar(of.mean, lane, xerr=np.nan_to_num(of.half_width), fmt="D", color="tab:blue", capsize=3)
        axis.axvline(next(iter(columns(outcomes[0], split).values())).mean(), color="0.7", linestyle=":", zorder=0)
        axis.set(xlabel=f"{split} mAP@{name} (%)", yticks=range(len(outcomes)))
        axis.set_yticklabels([outcome.name for outcome in outcomes])
        axis.grid(axis="x", color="0.93")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylim(len(outcomes) - 0.5, -0.5)
    figure.suptitle(
        f"{heading}\ndots: seeds; diamonds: mean with 95% interval; dotted: baseline", x=0.01, ha="left", size=10
    )
    save(figure, path)
