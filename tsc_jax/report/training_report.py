"""report.html: how a run went, what it reaches, and where the mAP is lost.

Every section begins with how to read it and what to do if it looks bad; docs/reading-the-report.md says more.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tsc_jax.data.dataset import Dataset
from tsc_jax.evaluation import protocols
from tsc_jax.evaluation.evaluate import Evaluation, ground_truth
from tsc_jax.report import charts, sections
from tsc_jax.report.page import escape, write_page
from tsc_jax.training.log import read_scalars

READING = {
    "map": (
        "mAP",
        "mAP in percent at each tIoU threshold, beside its floor: one whole-video segment for every true class, which"
        " is what knowing the labels alone is worth.",
        "If mAP is 0 or below the floor at every threshold, the times are wrong rather than the model: check that the"
        " rate of the snippets is the one that the features were extracted with. If only high thresholds fall, look"
        " at localization errors below.",
    ),
    "steps": (
        "mAP over steps",
        "Each line is one tIoU threshold, stronger for higher ones; the share of training videos that is held out"
        " chooses the step without looking at the test videos.",
        "If mAP still rises at the end, train longer (config.train.steps); if it peaks early and falls, use"
        " best_on_holdout (config.eval.holdout) or train shorter.",
    ),
    "losses": (
        "Losses over steps",
        "Each term of the loss before its weight, for the temporal and the semantic branch; all should fall, then level"
        " off.",
        "If mil stays where it began, the labels are not learnt: raise config.optimizer.learning_rate or check the"
        " labels; if the lines jump, lower it.",
    ),
    "classes": (
        "Classes",
        "Average precision of each class, and its precision over recall: a curve that starts low means confident"
        " errors, one that ends early means instances that are never found.",
        "If one class is far below the others, see what it is taken for under Errors, and whether it has enough"
        " training videos.",
    ),
    "errors": (
        "Errors",
        "With G instances of a class, its predictions are cut into slices of G by falling score; a faultless detector"
        " has true positives alone in 1G. The second chart tells how much mAP would rise without one kind of error;"
        " what even all of them leave to 100 is never found.",
        "Wrong label: the classes look alike to the features or there are too few videos; localization: boundaries are"
        " off, see config.proposals; double detection: lower config.proposals.nms_sigma; background: the attention"
        " does not tell actions from background.",
    ),
    "lengths": (
        "Length of the instances",
        "The instances in fifths by length, XS the shortest: mAP within each fifth, and the share that no prediction"
        " finds (the false negatives).",
        "If XS is bad, instances are shorter than a few snippets: extract features at a higher rate; if XL is bad, long"
        " actions are found in pieces; if all miss alike, their class was not predicted at all"
        " (config.proposals.class_threshold).",
    ),
    "videos": (
        "Best and worst videos",
        "Ground truth is the upper bar, predictions are below it, the stronger the higher they score; AP is of"
        " all predictions of the video in one ranking.",
        "If the predictions of a bad video have the right pattern at other times, its features or its annotation are"
        " shifted; if another class is strong, it is a matter of labels.",
    ),
    "bank": (
        "Bank",
        "How much the snippets of each class attend to each row of the semantics bank, and how similar the rows are"
        " (cosine); good is a strong row for every class and pale cells off the diagonal of their similarity.",
        "If several classes share one row, or rows are alike, give the bank more rows (config.bank.rows) or fit it on"
        " more snippets (config.bank.snippets_per_video).",
    ),
}
STYLE = """
main { max-width: 1080px; }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; margin: 1rem 0; }
.tiles b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
section { margin-top: 1.2rem; }
section h2 { margin-top: 0; }
.scroll th, .scroll td { white-space: nowrap; overflow-wrap: normal; }
.reading { max-width: 75ch; }
.notice { border-left: 3px solid var(--wrong); padding-left: .8rem; }
"""


def write_training_report(
    folder: Path,
    evaluation: Evaluation,
    metrics: Mapping,
    dataset: Dataset,
    scalars: Path,
    extra=(),
) -> None:
    """Writes report.html, one page that needs nothing beside it.

    Args:
      folder: where to.
      evaluation: of the test videos.
      metrics: what metrics.json holds.
      dataset: whose test videos these are.
      scalars: scalars.jsonl of the run; without that file the page says so.
      bank_rows: [K, D], the rows of the bank; None: nothing is shown of it.
      bank_attention: [C + 1, K], how much the snippets of each class and of the background attend to each
        row; None: only the rows' similarity is shown.
    """
    bank_rows, bank_attention = extra[0] if extra else (None, None)
    protocol = (dataset.snippets_per_second, metrics["protocol"])
    truth = protocols.to_protocol(ground_truth(dataset.test), *protocol)
    predictions = protocols.to_protocol(evaluation.predictions, *protocol, predicted=True)
    threshold = min(metrics["tiou"], key=lambda tiou: abs(tiou - 0.5))
    compared = (truth, predictions, threshold, len(dataset.classes))
    unit = 1.0 if metrics["protocol"] == "seconds" else 1 / dataset.snippets_per_second
    curves = read_scalars(scalars)

    contents = {
        "map": sections.mean_ap(evaluation, metrics, dataset.test, dataset.snippets_per_second),
        "steps": sections.map_over_steps(curves),
        "losses": sections.losses(curves),
        "classes": sections.classes(compared, dataset.classes),
        "errors": sections.errors(compared, dataset.classes),
        "lengths": sections.lengths(compared, unit),
        "videos": sections.videos(compared, evaluation.predictions, dataset),
        "bank": sections.bank(bank_rows, bank_attention, dataset.classes),
    }
    title = f"{dataset.name}: {metrics['selection']}, step {metrics['step']}"
    facts = (
        f"{len(dataset.test.videos)} test videos, protocol {metrics['protocol']}; single numbers: tIoU {threshold:g}."
    )
    links = " · ".join(
        f'<a href="#{key}">{escape(READING[key][0])}</a>' for key, content in contents.items() if content
    )
    body = [f"<main><h1>{escape(title)}</h1>", f"<p>{escape(facts)}</p>", sections.tiles(compared, evaluation, metrics)]
    body += [f"<nav>{links}</nav>", *(section(key, content) for key, content in contents.items() if content), "</main>"]
    write_page(folder / "report.html", title, "\n".join(body), style=charts.STYLE + STYLE)


def section(key: str, content: str) -> str:
    """A section with how to read it."""
    title, reading, remedy = map(escape, READING[key])
    intro = f'<p class="reading">{reading}</p>\n<p class="reading soft"><b>If it looks bad:</b> {remedy}</p>'
    return f'<section class="card" id="{key}"><h2>{title}</h2>\n{intro}\n{content}</section>'


class Section: ...
