"""report.html: how a run went, what it reaches, and where it loses mAP; docs/reading-the-report.md explains it.

Each section is a function from data to a `Section`, or to None where there is nothing to show. `compared` is what the
functions of `diagnosis` take: ground truth and predictions in the protocol's unit, the tIoU threshold, and the number
of classes C.
"""

import itertools
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.evaluation import diagnosis, protocols
from tsc_jax.evaluation.detection import average_precisions
from tsc_jax.evaluation.evaluate import Evaluation, ground_truth, shares_covered
from tsc_jax.evaluation.headroom import headroom
from tsc_jax.localization.segments import Segments
from tsc_jax.report import charts
from tsc_jax.report.lanes import shown_classes
from tsc_jax.report.page import asset, parts, write_page
from tsc_jax.training.log import read_scalars

KIND_COLOURS = dict(zip(diagnosis.KINDS, [*map(charts.colour, (2, 0, 3, 1, 4)), "var(--ink-soft)"], strict=True))
TEXTS = tomllib.loads(asset("sections.toml"))  # title, reading and advice by id
SPLITS = {"test": "test videos", "holdout": "held-out training videos"}  # whose metrics scalars.jsonl holds
VIDEO_LIMIT = 3  # best and worst videos shown
LANE_LIMIT = 6  # classes shown per video
OPEN_LIMIT = 20  # classes whose curves are shown without a click
MISTAKE_LIMIT = 8  # pairs of confused classes listed


class Section(NamedTuple):
    """One section of the page."""

    id: str  # of its HTML element
    title: str
    reading: str  # how to read it, plain text
    advice: str  # what to do if it looks bad, plain text; empty: nothing is said
    body: Markup


def write_training_report(
    folder: Path,
    evaluation: Evaluation,
    metrics: Mapping,
    dataset: Dataset,
    scalars: Path,
    extra: Sequence[Section],
    origin: Mapping[str, str] | None = None,
) -> None:
    """Writes report.html, a page that is one file, about an evaluation of the test videos.

    `metrics` is the content of metrics.json. If the file `scalars`, scalars.jsonl of the run, is missing, the page says
    so. The sections `extra` of the method come after all others. `origin` are facts by name that tell which run it is.
    """
    clock, protocol, truth = dataset.test.clock, metrics["protocol"], ground_truth(dataset.test)
    threshold = diagnosis.middle(metrics["tiou"])
    both = protocols.to_protocol(truth, evaluation.predictions, clock, protocol)
    compared, curves = (*both, threshold, len(dataset.classes)), read_scalars(scalars)
    shown = [
        mean_ap(evaluation, metrics, dataset.test),
        map_over_steps(curves),
        losses(curves),
        classes(compared, dataset.classes),
        errors(compared, dataset.classes),
        losses_by_step(compared, metrics["tiou"]),
        lengths(compared, 1.0 if protocol == "seconds" else 1 / float(np.median(clock.rate))),
        missed(compared, shares_covered(dataset.test)),
        videos(compared, evaluation.predictions, dataset),
        *extra,
    ]
    what = f"{len(dataset.test.videos)} test videos, protocol {protocol}"
    write_page(
        folder / "report.html",
        "report.html",
        title=f"{dataset.name}: {metrics['selection']}, step {metrics['step']}",
        facts=f"{what}; numbers without a threshold are at tIoU {threshold:g}.",
        tiles=tiles(compared, evaluation, metrics),
        sections=[section for section in shown if section is not None],
        origin=origin or {},
    )


def tiles(compared: tuple, evaluation: Evaluation, metrics: Mapping) -> dict[str, str]:
    """Returns the most important numbers by name."""
    truth, _, threshold, _ = compared
    place = metrics["tiou"].index(threshold)
    number = diagnosis.is_missed(*compared).sum()
    return {
        "average mAP, all tIoUs": f"{metrics['average_mAP']['all']:.1f}",
        f"mAP at {threshold:g}": f"{metrics['mAP'][place]:.1f}",
        f"its floor at {threshold:g}": f"{evaluation.floor[place]:.1f}",
        "classification mAP": f"{metrics['classification_mAP']:.1f}",
        "instances never found": f"{number} of {len(truth)}",
    }


def section(id: str, body: Markup) -> Section:
    """Returns a section with its texts in assets/sections.toml."""
    return Section(id, **TEXTS[id], body=body)


def mean_ap(evaluation: Evaluation, metrics: Mapping, split: Split) -> Section:
    """Shows mAP beside the floor, and a warning if the rate of the snippets is probably wrong."""
    header = ["mAP (%) at tIoU", *(f"{tiou:g}" for tiou in metrics["tiou"]), "average"]
    rows = {"this run": metrics["mAP"], "floor": evaluation.floor}
    cells = [[name, *(round(float(value), 1) for value in (*row, np.mean(row)))] for name, row in rows.items()]
    return section("map", rate_notice(split) + parts.scroll(parts.table(header, cells)))


def rate_notice(split: Split) -> Markup:
    """Warns if the rate does not fit most videos, the usual reason for an mAP of 0."""
    if np.mean([video.rate_fits for video in split.videos]) >= 0.5:
        return Markup()
    rates = [video.snippets_per_second for video in split.videos]
    covered = np.median([video.num_snippets / video.snippets_per_second / video.duration for video in split.videos])
    return parts.notice(
        f"At {np.median(rates):g} snippets per second, the features of a video cover {covered:.2f} times its"
        " duration (median); expected about 1. The rate given to launch.prepare or the durations are probably wrong."
    )


def map_over_steps(curves: Mapping) -> Section | None:
    """Shows one chart per evaluated split, with one line per tIoU threshold; `curves` are of `read_scalars`."""
    drawn = []
    for split, title in SPLITS.items():
        names = [name for name in curves if name.startswith(f"{split}/mAP@") and ":" not in name and "all" not in name]
        # Shades from the colour to the ink: the first of those from the surface could hardly be seen.
        shades = [charts.shade(share, "var(--ink)", charts.colour(0)) for share in np.linspace(0, 1, len(names))]
        lines = [(name.split("/")[1], *curves[name], shade) for name, shade in zip(names, shades, strict=True)]
        if lines:
            ends, limits = [name.replace("mAP@", "tIoU ") for name, *_ in lines], (0, 100)
            chart = charts.line_chart(f"mAP (%), {title}", lines, "step", y_limits=limits, size=(480, 280), ends=ends)
            drawn.append(chart)
    return section("steps", parts.charts(drawn)) if drawn else None


def losses(curves: Mapping) -> Section:
    """Shows one chart per loss term; terms named BRANCH/TERM share the chart of their term, one line per branch."""
    terms: dict[str, dict[str, tuple]] = {}
    for name, curve in curves.items():
        if name.split("/")[0] not in SPLITS:
            branch, _, term = name.removeprefix("loss/").rpartition("/")
            terms.setdefault(term, {})[branch] = curve
    branches = sorted({branch for curves_of_term in terms.values() for branch in curves_of_term if branch})
    legend = {branch: charts.colour(number) for number, branch in enumerate(branches)}
    drawn = []
    for term, of_branches in sorted(terms.items(), key=lambda item: item[0] != "total"):
        lines = [(name or term, *curve, legend.get(name, "var(--ink)")) for name, curve in of_branches.items()]
        drawn.append(charts.line_chart("total, weighted" if term == "total" else term, lines, "step"))
    body = parts.charts(drawn) + (parts.legend(legend) if legend else "")
    if not drawn:
        body = Markup("<p>There is no scalars.jsonl beside these weights: they were exported or imported.</p>")
    return section("losses", body)


def classes(compared: tuple, names: tuple[str, ...]) -> Section:
    """Shows the AP of each class, best first, and their precision-recall curves in the same order."""
    truth, predictions, threshold, number = compared
    precisions = 100 * average_precisions(truth, predictions, [threshold], number)[0]
    counts = np.bincount(truth.label, minlength=number)
    order = [label for label in np.argsort(-precisions, kind="stable") if counts[label]]
    bars = charts.bar_chart(
        f"average precision (%) at tIoU {threshold:g}",
        [names[label] for label in order],
        precisions[order],
        limit=100,
        texts=[f"{precisions[label]:.1f}, {instances(counts[label])}" for label in order],
    )
    curves = diagnosis.precision_recall(*compared)
    small = parts.charts([precision_recall_chart(names[label], *curves[label]) for label in order])
    summary = f"precision over recall of {len(order)} classes"
    return section("classes", parts.charts([bars]) + parts.fold(summary, small, open=len(order) <= OPEN_LIMIT))


def instances(number: int) -> str:
    """Returns "1 instance", "2 instances" and so on."""
    return f"{number} instance{'' if number == 1 else 's'}"


def precision_recall_chart(name: str, recall: np.ndarray, precision: np.ndarray) -> Markup:
    """Draws steps that fall to 0 where recall ends; the area under them is the average precision."""
    x = np.concatenate([[0], np.repeat(recall, 2)])
    y = np.concatenate([np.repeat(precision, 2), [0]])
    line = (name, x, y, charts.colour(0))
    limits = {"x_limits": (0, 1), "y_limits": (0, 1)}
    return charts.line_chart(charts.shortened(name, 24), [line], "recall", size=(180, 145), **limits)


def errors(compared: tuple, names: tuple[str, ...]) -> Section:
    """Shows the kinds of error along the ranking, what each kind costs, and which classes are confused."""
    profile = diagnosis.error_profile(*compared)
    shares = charts.bar_chart(
        "predictions of each kind (%), by slices of G",
        [f"{place}G" for place in range(1, len(profile) + 1)],
        100 * profile / np.maximum(profile.sum(axis=1, keepdims=True), 1),
        colours=KIND_COLOURS,
        limit=100,
        texts=[str(count) for count in profile.sum(axis=1)],
        length=340,
    )
    gains = 100 * diagnosis.gains(*compared)
    costs = charts.bar_chart(
        "mAP gained without them (points)",
        [*diagnosis.KINDS[1:], "all of these"],
        gains,
        texts=[f"{gain:.1f}" for gain in gains],
    )
    return section("errors", parts.legend(KIND_COLOURS) + parts.charts([shares, costs]) + mistakes(compared, names))


def mistakes(compared: tuple, names: tuple[str, ...]) -> Markup:
    """Lists the pairs of classes that are confused most often."""
    mistaken = diagnosis.mistaken(*compared)
    most = [divmod(place, len(names)) for place in np.argsort(-mistaken, axis=None, kind="stable")[:MISTAKE_LIMIT]]
    rows = [(names[true], names[taken], int(mistaken[true, taken])) for true, taken in most if mistaken[true, taken]]
    caption = "Wrong labels in 1G, most frequent first"
    return parts.table(["true class", "predicted class", "predictions"], rows, caption) if rows else Markup()


def losses_by_step(compared: tuple, tious: Sequence[float]) -> Section:
    """Shows how much mAP each step from activations to segments loses, as bars and at each tIoU of `tious`."""
    truth, predictions, threshold, number = compared
    lost = {step: 100 * points for step, points in headroom(truth, predictions, tious, number).lost.items()}
    at_threshold = np.array([points[tious.index(threshold)] for points in lost.values()])
    bars = charts.bar_chart(
        f"mAP lost at tIoU {threshold:g} (points)",
        list(lost),
        np.maximum(at_threshold, 0),
        texts=[f"{points:.1f}" for points in at_threshold],
    )
    header = ["lost (points) by, at tIoU", *(f"{tiou:g}" for tiou in tious), "average"]
    rows = [[step, *(round(float(value), 1) for value in (*points, points.mean()))] for step, points in lost.items()]
    return section("headroom", parts.charts([bars]) + parts.scroll(parts.table(header, rows)))


def lengths(compared: tuple, unit: float) -> Section:
    """Shows mAP and missed instances by length; `unit` is the unit of the compared segments, in seconds."""
    by_length = diagnosis.by_length(*compared)
    upper = by_length.upper * unit
    bounds = [f"up to {upper[0]:.1f} s", *(f"{low:.1f} to {high:.1f} s" for low, high in itertools.pairwise(upper))]
    names = [f"{name}: {bound}" for name, bound in zip(diagnosis.LENGTHS, bounds, strict=True)]
    precisions = 100 * by_length.mean_ap
    precision_texts = ["no instances" if np.isnan(value) else f"{value:.1f}" for value in precisions]
    of = diagnosis.Missed(tuple(names), by_length.instances, by_length.missed)
    bars = charts.bar_chart("mAP (%)", names, precisions, limit=100, texts=precision_texts)
    return section("lengths", parts.charts([bars, missed_chart("never found (%)", of)]))


def missed(compared: tuple, shares: np.ndarray) -> Section:
    """Shows the instances that no prediction finds, by coverage and by their number in the video."""
    counts = diagnosis.false_negatives(*compared, shares)
    return section(
        "missed", parts.charts([missed_chart(f"never found (%), by {name}", of) for name, of in counts.items()])
    )


def missed_chart(title: str, of: diagnosis.Missed) -> Markup:
    """Draws the share of missed instances in each group."""
    counts = zip(of.missed, of.instances, strict=True)
    texts = [f"{some} of {number}" if number else "no instances" for some, number in counts]
    shares = 100 * of.missed / np.maximum(of.instances, 1)
    return charts.bar_chart(title, of.names, shares, limit=100, texts=texts, colours={"": "var(--wrong)"})


def videos(compared: tuple, predictions: Segments, dataset: Dataset) -> Section:
    """Draws the videos with the lowest and the highest average precision; `predictions` are in seconds."""
    scores = diagnosis.video_precisions(*compared, len(dataset.test.videos))
    colours = np.array(list(KIND_COLOURS.values()))[diagnosis.kinds(*compared)]
    order = [video for video in np.argsort(scores, kind="stable") if not np.isnan(scores[video])]
    number = min(VIDEO_LIMIT, max(len(order) // 2, 1))
    truth = ground_truth(dataset.test)
    body = parts.legend({"ground truth": "var(--ink)"} | KIND_COLOURS)
    for title, chosen in (("Worst", order[:number]), ("Best", order[number:][::-1][:number])):
        body += parts.heading(title) if chosen else ""
        for index in chosen:
            video, is_own = dataset.test.videos[index], predictions.video == index
            own = truth[truth.video == index], predictions[is_own]
            name = f"{video.name}: AP {100 * scores[index]:.0f}%, {instances(len(own[0]))}"
            shown = shown_classes(*own)[:LANE_LIMIT]
            picture = charts.lanes(name, video.duration, shown, dataset.classes, *own, colours[is_own])
            body += parts.charts([picture], scroll=True)
    return section("videos", body)
