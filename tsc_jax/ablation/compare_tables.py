"""What a comparison of methods writes: tables as Markdown, every number as CSV and JSON, and a picture."""

import csv
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np

from tsc_jax.ablation.compare import Compared
from tsc_jax.ablation.summary import Spread, average, interval, markdown, spread, with_interval
from tsc_jax.evaluation import results
from tsc_jax.evaluation.protocols import FLOOR
from tsc_jax.files import replacing, write_text
from tsc_jax.report.figures import save

SELECTION = "last"  # nothing is chosen: every number is that of the last step
NEAR_ZERO = 1.0  # average mAP in percent


@dataclasses.dataclass(frozen=True)
class Setting:
    """What holds for all numbers of a comparison."""

    data: str  # name of the data set
    protocol: str  # of the evaluation
    test_videos: int
    first_seed: int
    seeds: int
    hardware: Mapping[str, Any]  # see `tsc_jax.hardware`
    command: str


def write(workdir: Path, compared: Sequence[Compared], published: Sequence, setting: Setting) -> None:
    """Writes compare.md, compare.csv, compare.json and, where a method succeeded, compare.png into the workdir."""
    write_text(workdir / "compare.md", as_markdown(compared, published, setting))
    results.write_json(workdir / "compare.json", as_json(compared, published, setting))
    with replacing(workdir / "compare.csv") as path, path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows_of_numbers(compared, setting))
    if succeeded := [each for each in compared if each.outcome]:
        draw(workdir / "compare.png", succeeded, setting)


def note(of: Compared) -> str:
    """The reason of a failure, or a mark of a collapse."""
    if of.reason:
        return f"failed: {' '.join(of.reason.split())}"
    mean, floor = average(of.outcome, "test")[1].mean(), floor_average(of)
    if mean < NEAR_ZERO:
        return "collapsed: mAP near 0"
    return f"collapsed: below the floor of {floor:.1f}" if mean < floor else ""


def floor_average(of: Compared) -> float:
    """The floor of the average mAP that is shown."""
    name, _ = average(of.outcome, "test")
    return results.averages(of.outcome.tious, of.floor)[name]


def difference(of: Compared, first: Compared, split: str) -> Spread | None:
    """The difference in average mAP from the first method, seed by seed; None for that one and where one failed."""
    if of is first or not (of.outcome and first.outcome):
        return None
    return spread(average(of.outcome, split)[1] - average(first.outcome, split)[1])


def as_markdown(compared: Sequence[Compared], published: Sequence, setting: Setting) -> str:
    """The page with all tables."""
    last = setting.first_seed + setting.seeds - 1
    succeeded = [each for each in compared if each.outcome]
    machine = (
        f"{setting.hardware['processor']}, devices: {setting.hardware['device_count']} {setting.hardware['devices']}"
    )
    parts = [
        f"# Methods compared on {setting.data}",
        f"Selection: {SELECTION} (the last step of every run; nothing is chosen). Protocol {setting.protocol},"
        f" {setting.test_videos} test videos, seeds {setting.first_seed} to {last}, the same for every method. mAP in"
        " percent: mean ± half of the 95% interval over seeds (Student's t); [95% interval] of the difference from"
        f" {compared[0].method}, paired by seed.",
        f"`{setting.command}`",
        "![mAP of every method](compare.png)" if succeeded else "",
        *(accuracy_table(compared, split) for split in (succeeded[0].outcome.mean_ap if succeeded else ["test"])),
        f"## Cost\n\nMeasured on {machine}. Training: wall time of a run with its compilation and the evaluation of its"
        " last step, mean of the runs that were not stopped on their way. Inference: from features to segments, after"
        " one pass to warm up, one method after the other in one process. Parameters are the numbers that the optimizer"
        " moves. A stage (acn, METHOD_best) counts neither those of its base nor its training.",
        markdown(cost_rows(compared, setting)),
        "## Published results, for orientation",
        "Other features, protocols and selections: these rows are not comparable with the measured ones, and only"
        " partly with one another.",
        markdown(published_rows(compared, published)),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def accuracy_table(compared: Sequence[Compared], split: str) -> str:
    """The results of all methods on one split, with a heading."""
    first = next((each for each in compared if each.outcome), None)
    tious = first.outcome.tious if first else []
    shown = average(first.outcome, split)[0] if first else ""
    head = ["method", f"mAP@{shown}", f"from {compared[0].method}", *(f"{tiou:g}" for tiou in tious)]
    rows = [[*head, "classification mAP", "note"]]
    for each in compared:
        if not each.outcome:
            rows.append([each.method, *[""] * (len(head)), note(each)])
            continue
        change, mean_ap = difference(each, compared[0], split), each.outcome.mean_ap[split]
        cells = [with_interval(average(each.outcome, split)[1]), interval(change) if change else ""]
        cells += [with_interval(column) for column in mean_ap.T]
        cells += [with_interval(each.classification[split]), note(each) if split == "test" else ""]
        rows.append([each.method, *cells])
    if first and split == "test":
        floors = [f"{floor_average(first):.1f}", "", *(f"{value:.1f}" for value in first.floor)]
        rows.append([FLOOR, *floors, "", ""])
    title = "Test videos" if split == "test" else "Held-out training videos"
    return f"## {title}, selection: {SELECTION}\n\n{markdown(rows)}"


def cost_rows(compared: Sequence[Compared], setting: Setting) -> list[list[str]]:
    """The rows of the table of parameters and times."""
    rows = [["method", "parameters", "steps", "training (s)", "inference (s)", "inference per video (ms)"]]
    for each in compared:
        if each.outcome:
            training = f"{np.mean(each.training_seconds):.1f}" if each.training_seconds else "not measured"
            inference = each.inference_seconds
            times = [f"{inference:.3f}", f"{1000 * inference / setting.test_videos:.2f}"]
            rows.append([each.method, f"{each.parameters:,}", str(each.steps), training, *times])
    return rows


def published_rows(compared: Sequence[Compared], published: Sequence) -> list[list[str]]:
    """The published rows of the compared methods, data set by data set."""
    names = [each.method for each in compared]
    rows = [["method", "data", "average mAP", "mAP at tIoU", "source"]]
    for each in sorted((row for row in published if row.method in names), key=lambda row: row.data, reverse=True):
        values = ", ".join(f"{tiou:g}: {value:.1f}" for tiou, value in each.mean_ap.items())
        mean = "" if each.average is None else f"{each.average:.1f} ({each.over})"
        rows.append([each.method, each.data, mean, values, each.source])
    return rows


def as_json(compared: Sequence[Compared], published: Sequence, setting: Setting) -> dict[str, Any]:
    """Every number of a comparison."""
    return {
        "selection": SELECTION,
        **dataclasses.asdict(setting),
        "methods": [of_method(each, compared[0], setting) for each in compared],
        "published": [row._asdict() for row in published],
    }


def of_method(of: Compared, first: Compared, setting: Setting) -> dict[str, Any]:
    """Every number of one method."""
    if not of.outcome:
        return {"method": of.method, "note": note(of)}
    splits = {}
    for split, mean_ap in of.outcome.mean_ap.items():
        shown, values = average(of.outcome, split)
        change = difference(of, first, split)
        splits[split] = {
            "mAP": {"seeds": mean_ap.tolist()} | spreads(mean_ap.T),
            f"mAP@{shown}": {"seeds": values.tolist()} | spreads([values]),
            "classification_mAP": {"seeds": of.classification[split].tolist()} | spreads([of.classification[split]]),
            "difference": change and {"from": first.method} | change._asdict(),
        }
    return {
        "method": of.method,
        "note": note(of),
        "tiou": of.outcome.tious,
        "floor": of.floor.tolist(),
        "steps": of.steps,
        "parameters": of.parameters,
        "training_seconds": list(of.training_seconds),
        "inference_seconds": of.inference_seconds,
        "inference_seconds_per_video": of.inference_seconds / setting.test_videos,
    } | splits


def spreads(columns: Iterable[np.ndarray]) -> dict[str, list[float]]:
    """Mean and half of the width of the 95% interval of each column [seeds]."""
    of = [spread(column) for column in columns]
    return {"mean": [each.mean for each in of], "half_width": [each.half_width for each in of]}


def rows_of_numbers(compared: Sequence[Compared], setting: Setting) -> Iterable[list]:
    """A head, then a row per method, split and seed; one row for a method that failed."""
    tious = next((each.outcome.tious for each in compared if each.outcome), [])
    costs = ["parameters", "training_seconds", "inference_seconds", "inference_seconds_per_video"]
    yield ["method", "split", "seed", "selection", *(f"mAP@{t:g}" for t in tious), "classification_mAP", *costs, "note"]
    for each in compared:
        if not each.outcome:
            yield [each.method, "", "", SELECTION, *[""] * (len(tious) + 1 + len(costs)), note(each)]
            continue
        training = f"{np.mean(each.training_seconds):.2f}" if each.training_seconds else ""
        inference = each.inference_seconds, each.inference_seconds / setting.test_videos
        for split, mean_ap in each.outcome.mean_ap.items():
            for seed, (values, scores) in enumerate(zip(mean_ap, each.classification[split], strict=True)):
                numbers = [f"{value:.3f}" for value in (*values, scores)]
                cost = [each.parameters, training, *(f"{value:.6f}" for value in inference)]
                yield [each.method, split, setting.first_seed + seed, SELECTION, *numbers, *cost, note(each)]


def draw(path: Path, compared: Sequence[Compared], setting: Setting) -> None:
    """mAP over tIoU with 95% bands on the left; on the right the average mAP of every seed and its mean."""
    size = (11, max(4.2, 2.2 + 0.5 * len(compared)))
    figure, (curves, lanes) = plt.subplots(1, 2, layout="constrained", figsize=size, width_ratios=[1.1, 1])
    tious, floor = compared[0].outcome.tious, compared[0].floor
    for lane, each in enumerate(compared):
        colour, mean_ap = plt.get_cmap("tab10")(lane % 10), each.outcome.mean_ap["test"]
        of = [spread(column) for column in mean_ap.T]
        mean, half = np.array([s.mean for s in of]), np.array([s.half_width for s in of])
        curves.plot(tious, mean, "o-", color=colour, markersize=4, label=each.method)
        low, high = np.clip([mean - half, mean + half], 0, 100)
        curves.fill_between(tious, low, high, color=colour, alpha=0.12, linewidth=0)
        name, values = average(each.outcome, "test")
        lanes.plot(values, np.full(len(values), lane), "o", color="0.7", markersize=4)
        whole = spread(values)
        lanes.errorbar(whole.mean, lane, xerr=whole.half_width, fmt="D", color=colour, capsize=3)
    curves.plot(tious, floor, ":", color="0.4", label="floor")
    lanes.axvline(floor_average(compared[0]), color="0.4", linestyle=":", zorder=0)
    curves.set(xlabel="tIoU", ylabel="test mAP (%)", ylim=(0, None), xticks=tious)
    figure.legend(loc="outside lower left", ncols=len(compared) + 1, frameon=False)
    marks = [f"{each.method}\n{note(each).split(':')[0]}".strip() for each in compared]
    lanes.set(xlabel=f"test mAP@{name} (%)", yticks=range(len(compared)), xlim=(0, None))
    lanes.set_xlim(right=min(lanes.get_xlim()[1], 102))
    lanes.set_yticklabels(marks)
    lanes.set_ylim(len(compared) - 0.5, -0.5)
    for axis in (curves, lanes):
        axis.grid(color="0.93")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    explained = "bands and bars: 95% interval over seeds; dots: seeds; dotted: floor (true labels, whole videos)"
    heading = f"{setting.data}, {setting.seeds} seeds, selection: {SELECTION}, protocol {setting.protocol}"
    figure.suptitle(f"{heading}\n{explained}", x=0.01, ha="left", size=10)
    save(figure, path)
