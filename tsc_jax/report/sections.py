"""What stands in each section of report.html.

`compared` is what the functions of `diagnosis` take: ground truth and predictions in the protocol's unit, the tIoU
threshold, and the number of classes. All functions return HTML.
"""

import itertools
from collections.abc import Mapping

import numpy as np

from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.evaluation import diagnosis
from tsc_jax.evaluation.detection import average_precisions
from tsc_jax.evaluation.evaluate import Evaluation, ground_truth
from tsc_jax.localization.segments import Segments
from tsc_jax.report import charts
from tsc_jax.report.lanes import shown_classes
from tsc_jax.report.page import escape, table

KIND_COLOURS = (*(charts.colour(number) for number in (2, 0, 3, 1, 4)), "var(--ink-soft)")
RATE_SLACK = 0.1  # share by which a video may be longer or shorter than its snippets say
SHOWN_VIDEOS = 3
SHOWN_LANES = 6
LARGEST_MAP = 40  # rows of the bank; more are told in tables
MOST_PAIRS = 10
MOST_OPEN = 20  # classes whose curves are shown without a click


def charts_of(*parts: str, kind: str = "charts") -> str:
    """Charts side by side, as far as there is room; the kind "charts scroll" for those too small to shrink."""
    return f'<div class="{kind}">{"".join(parts)}</div>'


def tiles(compared: tuple, evaluation: Evaluation, metrics: Mapping) -> str:
    """The numbers that matter most."""
    truth, _, threshold, _ = compared
    place = metrics["tiou"].index(threshold)
    missed = len(truth) - len(np.setdiff1d(diagnosis.found_instances(*compared), [-1]))
    numbers = {
        "average mAP, all tIoUs": f"{metrics['average_mAP']['all']:.1f}",
        f"mAP at {threshold:g}": f"{metrics['mAP'][place]:.1f}",
        f"its floor at {threshold:g}": f"{evaluation.floor[place]:.1f}",
        "classification mAP": f"{metrics['classification_mAP']:.1f}",
        "instances never found": f"{missed} of {len(truth)}",
    }
    shown = "".join(f"<div><b>{value}</b>{escape(name)}</div>" for name, value in numbers.items())
    return f'<div class="tiles">{shown}</div>'


def mean_ap(evaluation: Evaluation, metrics: Mapping, split: Split, snippets_per_second: float) -> str:
    """mAP beside the floor, and what is likely wrong where both are compared to nothing."""
    header = ["mAP (%) at tIoU", *(f"{tiou:g}" for tiou in metrics["tiou"]), "average"]
    rows = {"this run": metrics["mAP"], "floor": evaluation.floor}
    cells = [[name, *(round(float(value), 1) for value in (*row, np.mean(row)))] for name, row in rows.items()]
    notices = [f'<p class="notice">{escape(notice)}</p>' for notice in rate_notice(split, snippets_per_second)]
    return "\n".join([*notices, f'<div class="scroll">{table(header, cells)}</div>'])


def rate_notice(split: Split, snippets_per_second: float) -> list[str]:
    """A sentence where snippets and durations do not fit, the usual reason of an mAP of 0."""
    covered = np.median([video.num_snippets / snippets_per_second / video.duration for video in split.videos])
    if abs(covered - 1) <= RATE_SLACK:
        return []
    return [
        f"At {snippets_per_second:g} snippets a second the features of a video make up {covered:.2f} of its duration"
        " (median), expected about 1: the rate given to launch.prepare, or the durations, are likely wrong."
    ]


def map_over_steps(curves: Mapping) -> str:
    """A chart for the test videos and one for the held-out ones; nothing where there are no scalars."""
    parts, names, colours = [], [], []
    for split, title in (("test", "test videos"), ("holdout", "held-out training videos")):
        tious = [name for name in curves if name.startswith(f"{split}/mAP@") and ":" not in name and "all" not in name]
        if not tious:
            continue
        names = [name.split("@")[1] for name in tious]
        # To the ink rather than from the surface, where the first could hardly be seen.
        colours = [charts.shade(share, "var(--ink)", charts.colour(0)) for share in np.linspace(0, 1, len(names))]
        lines = [
            charts.Line(f"mAP@{short}", *curves[name], fill)
            for short, name, fill in zip(names, tious, colours, strict=True)
        ]
        parts.append(charts.line_chart(f"mAP (%), {title}", lines, "step", y_limits=(0, 100), size=(420, 240)))
    return charts_of(*parts) + charts.legend([f"tIoU {name}" for name in names], colours) if parts else ""


def losses(curves: Mapping) -> str:
    """A chart for each kind of term, a line for each branch; a sentence where there are no scalars."""
    if "total" not in curves:
        return "<p>There is no scalars.jsonl beside these weights: they were exported or imported.</p>"
    branches = {"temporal": charts.colour(0), "semantic": charts.colour(1)}
    parts = [charts.line_chart("total, weighted", [charts.Line("total", *curves["total"], "var(--ink)")], "step")]
    kinds = dict.fromkeys(name.split("/")[1] for name in curves if name.split("/")[0] in branches)
    for kind in kinds:
        lines = [
            charts.Line(branch, *curves[f"{branch}/{kind}"], fill)
            for branch, fill in branches.items()
            if f"{branch}/{kind}" in curves
        ]
        parts.append(charts.line_chart(kind, lines, "step"))
    return charts_of(*parts) + charts.legend(list(branches), list(branches.values()))


def classes(compared: tuple, names: tuple[str, ...]) -> str:
    """AP per class, best first, and the precision-recall curve of each in the same order."""
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
    multiples = [precision_recall_chart(names[label], *curves[label]) for label in order]
    is_open = " open" if len(order) <= MOST_OPEN else ""
    summary = f"<summary>precision over recall of {len(order)} classes</summary>"
    return f"{charts_of(bars)}<details{is_open}>{summary}{charts_of(*multiples)}</details>"


def instances(number: int) -> str:
    """A number of them in words."""
    return f"{number} instance{'' if number == 1 else 's'}"


def precision_recall_chart(name: str, recall: np.ndarray, precision: np.ndarray) -> str:
    """Steps that fall to 0 where recall ends; the area under them is the average precision."""
    x = np.concatenate([[0], np.repeat(recall, 2)])
    y = np.concatenate([np.repeat(precision, 2), [0]])
    line = charts.Line(name, x, y, charts.colour(0))
    limits = {"x_limits": (0, 1), "y_limits": (0, 1)}
    return charts.line_chart(charts.shortened(name), [line], "recall", size=(180, 145), **limits)


def errors(compared: tuple, names: tuple[str, ...]) -> str:
    """The kinds of error by slices of the ranking, what each costs, and which classes are taken for which."""
    profile = diagnosis.error_profile(*compared)
    shares = 100 * profile / np.maximum(profile.sum(axis=1, keepdims=True), 1)
    labels = [f"{place}G" for place in range(1, len(profile) + 1)]
    profile_chart = charts.bar_chart(
        "predictions of each kind (%), by slices of G", labels, shares, parts_of=diagnosis.KINDS, colours=KIND_COLOURS,
        limit=100, length=340, texts=[str(count) for count in profile.sum(axis=1)],
    )  # fmt: skip
    gains = 100 * diagnosis.gains(*compared)
    gains_chart = charts.bar_chart(
        "mAP gained without them (points)",
        [*diagnosis.KINDS[1:], "all of these"],
        gains,
        texts=[f"{gain:.1f}" for gain in gains],
    )
    mistaken = diagnosis.mistaken(*compared)
    most = [divmod(place, len(names)) for place in np.argsort(-mistaken, axis=None, kind="stable")[:8]]
    rows = [(names[true], names[taken], int(mistaken[true, taken])) for true, taken in most if mistaken[true, taken]]
    caption = "Wrong labels in 1G, most frequent first"
    found = table(["true class", "taken for", "predictions"], rows, caption) if rows else ""
    return charts.legend(diagnosis.KINDS, KIND_COLOURS) + charts_of(profile_chart, gains_chart) + found


def lengths(compared: tuple, unit: float) -> str:
    """mAP and missed instances by length; `unit` is that of the compared segments, in seconds."""
    by_length = diagnosis.by_length(*compared)
    upper = by_length.upper * unit
    bounds = [
        f"up to {upper[0]:.1f} s",
        *(f"{low:.1f} to {high:.1f} s" for low, high in itertools.pairwise(upper)),
    ]
    names = [f"{name}: {bound}" for name, bound in zip(diagnosis.LENGTHS, bounds, strict=True)]
    precisions = 100 * by_length.mean_ap
    missed = 100 * by_length.missed / np.maximum(by_length.instances, 1)
    precision_texts = ["no instances" if np.isnan(value) else f"{value:.1f}" for value in precisions]
    missed_texts = [f"{some} of {number}" for some, number in zip(by_length.missed, by_length.instances, strict=True)]
    return charts_of(
        charts.bar_chart("mAP (%)", names, precisions, limit=100, texts=precision_texts),
        charts.bar_chart("never found (%)", names, missed, limit=100, texts=missed_texts, colours=["var(--wrong)"]),
    )


def videos(compared: tuple, predictions: Segments, dataset: Dataset) -> str:
    """Timelines of the videos with the lowest and the highest average precision; `predictions` are in seconds."""
    scores = diagnosis.video_precisions(*compared, len(dataset.test.videos))
    colours = np.array(KIND_COLOURS)[diagnosis.kinds(*compared)]
    order = [video for video in np.argsort(scores, kind="stable") if not np.isnan(scores[video])]
    number = min(SHOWN_VIDEOS, max(len(order) // 2, 1))
    truth = ground_truth(dataset.test)
    parts = [charts.legend(("ground truth", *diagnosis.KINDS), ("var(--ink)", *KIND_COLOURS))]
    for title, chosen in (("Worst", order[:number]), ("Best", order[number:][::-1][:number])):
        parts.append(f"<h3>{title}</h3>" if chosen else "")
        for index in chosen:
            video, is_own = dataset.test.videos[index], predictions.video == index
            own = truth[truth.video == index], predictions[is_own]
            name = f"{video.name}: AP {100 * scores[index]:.0f}%, {instances(len(own[0]))}"
            shown = shown_classes(*own)[:SHOWN_LANES]
            picture = charts.lanes(name, video.duration, shown, dataset.classes, *own, colours[is_own])
            parts.append(charts_of(picture, kind="charts scroll"))
    return "\n".join(parts)


def bank(rows: np.ndarray | None, attention: np.ndarray | None, names: tuple[str, ...]) -> str:
    """Attention of the classes to the rows, and the rows' similarity; rows in the order of the classes they serve."""
    if rows is None:
        return ""
    order, maps, tables = np.arange(len(rows)), [], []
    if attention is not None:
        order = np.argsort(attention.argmax(axis=0), kind="stable")
        sources, columns = [*names, "background"], [f"row {row}" for row in order]
        maps.append(("attention to the rows", sources, columns, attention[:, order], attention.max()))
        strongest = attention.argmax(axis=1)
        shared = [row for row in order if (strongest == row).sum() > 1]
        cells = [(str(row), ", ".join(sources[i] for i in np.flatnonzero(strongest == row))) for row in shared]
        tables += [table(["row", "classes"], cells, "Classes whose strongest row is the same")] if cells else []
    unit_rows = rows[order] / np.maximum(np.linalg.norm(rows[order], axis=1, keepdims=True), 1e-12)
    similarity, labels = unit_rows @ unit_rows.T, [f"row {row}" for row in order]
    maps.append(("similarity of the rows", labels, labels, similarity, 1.0))
    pairs = sorted(itertools.combinations(range(len(rows)), 2), key=lambda pair: -similarity[pair])[:MOST_PAIRS]
    cells = [(str(order[one]), str(order[other]), f"{similarity[one, other]:.2f}") for one, other in pairs]
    if len(rows) > LARGEST_MAP:
        return "\n".join([*tables, table(["row", "row", "cosine"], cells, "Rows most alike")])
    return charts_of(*(charts.heat_map(*each) for each in maps), kind="charts scroll") + "\n".join(tables)
