"""The bank of a run, and which snippets attend to its rows: numbers, table, page, section of report.html.

A snippet belongs to class c where its middle lies in a ground-truth segment of c, and to background where it lies in
none.
With a_ik the attention of DSA from snippet i to row k, averaged over its heads (it sums to 1 over the rows), and f_i
the features that rows are made of (those of the data; under the rule "ema" the fused ones of the network),

    A_ck        mean of a_ik over the snippets i of class c: `bank_attention.class_attention`
    usage_k     mean of a_ik over all snippets i: the row's share of all attention
    nearest_k   the class c with the largest A_ck; its preference is A_ck over the mean of A_dk over all other classes d
    likeness_ck cosine of row k and the mean f_i of class c, both less the mean of all f_i

Background counts as a class. A row tells its nearest class apart where the preference is at least APART.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.errors import InputError
from tsc_jax.evaluation.results import write_json
from tsc_jax.files import check_folder, open_path
from tsc_jax.methods.tscnet.bank.state import drift
from tsc_jax.methods.tscnet.bank_attention import attend, class_attention, means, sums_by_class
from tsc_jax.report import charts
from tsc_jax.report.page import parts, write_page
from tsc_jax.report.sections import Section
from tsc_jax.training import checkpoints
from tsc_jax.training.trained import Trained, open_trained, with_dataset

APART = 1.1  # see above
MAP_LIMIT = 40  # rows of a bank that is drawn as maps; a larger one is listed in tables
PAIR_LIMIT = 10  # most similar pairs of rows that are listed


@dataclasses.dataclass(frozen=True)
class BankReport:
    """The numbers about a bank; symbols as above."""

    rows: np.ndarray  # the rows, [K, D]
    classes: tuple[str, ...]  # the C class names, then "background"
    snippets: np.ndarray  # of each class, [C + 1]
    attention: np.ndarray  # A [C + 1, K]; 0 for a class without snippets
    usage: np.ndarray  # [K]
    nearest: np.ndarray  # indices of classes, [K]
    preference: np.ndarray  # [K]
    likeness: np.ndarray  # [C + 1, K]; 0 for a class without snippets
    similarity: np.ndarray  # cosines of the rows with each other, [K, K]
    drift: np.ndarray  # how far each row is from where it was fitted, as a share of the fitted row's length, [K]
    evidence: np.ndarray  # snippets that moved each row under the rule "ema", [K]


def sections(trained: Trained, dataset: Dataset) -> list[Section]:
    """The sections of report.html about the bank of a run, read on its test videos.

    Only the last step gets the attention to the rows, which takes another pass over the videos.
    """
    attention = None
    if trained.config.model.dsa and trained.selection == checkpoints.LAST:
        attention = class_attention(trained, dataset.test)
    return [bank_section(np.asarray(trained.variables["bank"].rows), attention, dataset.classes)]


def report_bank(workdir: Path, selection: str, split: str, changes: dict) -> str:
    """Inspects the bank of one of a run's checkpoints; writes bank.json and bank.html beside its metrics.json.

    The snippets of a `split`, "test" or "train", are grouped by class. `changes` are config values other than those
    trained with. Returns a line for every row of the bank.

    Raises:
      InputError: no such checkpoint, a network without DSA, other data than it was trained on, or no video long enough.
    """
    workdir = open_path(workdir)
    trained = open_trained(workdir, selection)
    if trained.config.method != "tscnet" or not trained.config.model.dsa:
        raise InputError(f"--workdir {workdir}: no snippet attends to a bank there (config.method, config.model.dsa)")
    check_folder(f"--workdir {workdir}", workdir)
    trained, dataset = with_dataset(trained, changes)
    bank = inspect(trained, dataset, getattr(dataset, split))

    folder = workdir if selection == checkpoints.LAST else workdir / selection
    folder.mkdir(exist_ok=True)
    named = {"selection": trained.selection, "step": trained.step, "split": split}
    values = {name: np.asarray(value).tolist() for name, value in vars(bank).items()}
    write_json(folder / "bank.json", named | {"fit": trained.about["facts"].get("bank", {})} | values)
    title = f"{dataset.name}: semantics bank, step {named['step']} ({named['selection']}), {split} videos"
    of_rows = columns(bank)
    section = bank_section(bank.rows, bank.attention, dataset.classes, of_rows)
    write_page(folder / "bank.html", "report.html", title=title, facts=verdict(bank), tiles={}, sections=[section])
    return "\n".join([title, table(of_rows), verdict(bank), f"{folder}: bank.html, bank.json"])


def inspect(trained: Trained, dataset: Dataset, split: Split) -> BankReport:
    """Everything about the bank of a run, by the snippets of a split."""
    bank = trained.variables["bank"]
    rows = np.asarray(bank.rows, np.float64)

    def of_videos() -> Iterator[tuple[int, np.ndarray]]:
        """Attention and features side by side, [T, K + D]."""
        by_ema = trained.config.bank.update_rule == "ema"
        for index, outputs in attend(trained, split, features=by_ema):
            features = outputs["features"] if by_ema else split.features(index)
            yield index, np.hstack([outputs["bank_attention"], features])

    sums, counts, total, snippets = sums_by_class(of_videos(), split)
    attention, features = np.split(means(sums, counts), [len(rows)], axis=1)
    usage, centre = np.split(total / snippets, [len(rows)])
    nearest, preference = nearest_classes(attention, counts)
    return BankReport(
        rows=rows,
        classes=(*dataset.classes, "background"),
        snippets=counts,
        attention=attention,
        usage=usage,
        nearest=nearest,
        preference=preference,
        likeness=cosines(features - centre, rows - centre) * (counts > 0)[:, None],
        similarity=cosines(rows, rows),
        drift=np.asarray(drift(bank.rows, bank.fitted)),
        evidence=np.asarray(bank.usage),
    )


def nearest_classes(attention: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest class of each row and the preference for it [K]; classes without snippets have no part.

    Where a single class has snippets, the preference is 1.
    """
    held = np.flatnonzero(counts)
    best = attention[held].argmax(axis=0)
    largest = attention[held].max(axis=0)
    others = (attention[held].sum(axis=0) - largest) / (len(held) - 1) if len(held) > 1 else largest
    return held[best], largest / np.maximum(others, 1e-12)


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of the rows of [M, D] with those of [N, D]: [M, N]."""
    one, other = (each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-12) for each in (one, other))
    return one @ other.T


def columns(bank: BankReport) -> dict[str, list[str]]:
    """The columns of a table with a line for every row of the bank."""
    held = np.flatnonzero(bank.snippets)
    most_like = held[bank.likeness[held].argmax(axis=0)]
    shown = {
        "row": [str(row) for row in range(len(bank.nearest))],
        "share of attention": [f"{100 * usage:.1f}%" for usage in bank.usage],
        "nearest class (times the others)": [
            f"{bank.classes[c]} ({bank.preference[k]:.2f})" for k, c in enumerate(bank.nearest)
        ],
        "most like (cosine)": [f"{bank.classes[c]} ({bank.likeness[c, k]:.2f})" for k, c in enumerate(most_like)],
        "drift since the fit": [f"{100 * drift:.1f}%" for drift in bank.drift],
    }
    if bank.evidence.any():
        shown["evidence in snippets"] = [f"{evidence:.0f}" for evidence in bank.evidence]
    return shown


def table(shown: dict[str, list[str]]) -> str:
    """The columns as aligned lines."""
    widths = [max(map(len, (name, *cells))) for name, cells in shown.items()]
    lines = [tuple(shown), *zip(*shown.values(), strict=True)]
    aligned = (zip(line, widths, strict=True) for line in lines)
    return "\n".join("  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in aligned)


def verdict(bank: BankReport) -> str:
    """Says in a sentence whether rows became classes."""
    apart = bank.preference >= APART
    classes = len(np.unique(bank.nearest[apart]))
    if not apart.any():
        return (
            f"No row tells a class apart: no class attends to one {APART:g} times as much as the others do on average."
        )
    return (
        f"{apart.sum()} of {len(apart)} rows tell a class apart (its snippets attend to them at least {APART:g} times"
        f" as much as those of the others); {classes} of {np.count_nonzero(bank.snippets)} classes have such a row."
    )


def bank_section(
    rows: np.ndarray,
    attention: np.ndarray | None,
    classes: Sequence[str],
    columns: Mapping[str, Sequence[str]] | None = None,
) -> Section:
    """Shows how much the classes attend to the rows [K, D], and how similar the rows are.

    `attention` [C + 1, K] is the mean attention of the snippets of each class, and of background, to each row. It also
    orders the rows by the class that attends to them most; None: the section shows only the similarity. `columns` of
    a table with a line for every row, by name, are shown too.
    """
    order = np.arange(len(rows)) if attention is None else np.argsort(attention.argmax(axis=0), kind="stable")
    labels, sources = [f"row {row}" for row in order], [*classes, "background"]
    similarity = cosines(rows[order], rows[order])
    shared = Markup() if attention is None else shared_rows(attention, order, sources)
    if len(rows) > MAP_LIMIT:
        body = shared + most_similar(similarity, order)
    else:
        maps = [charts.heat_map("similarity of the rows", labels, labels, similarity)]
        if attention is not None:
            shares = attention[:, order]
            maps.insert(0, charts.heat_map("attention to the rows", sources, labels, shares, attention.max()))
        body = parts.charts(maps, scroll=True) + shared
    if columns is not None:
        lines = list(zip(*columns.values(), strict=True))
        body += parts.table(list(columns), lines, "Rows of the bank")
    return Section(
        "bank",
        "Bank",
        "The maps show how much the snippets of each class attend to each row of the semantics bank, and how similar"
        " the rows are (cosine). Good: every class has a strong row of its own, and the cells off the diagonal of the"
        " similarity are pale.",
        "If several classes share one row, or rows are similar, give the bank more rows (config.bank.rows) or fit it"
        " to more snippets (config.bank.snippets_per_video).",
        body,
    )


def shared_rows(attention: np.ndarray, order: np.ndarray, sources: Sequence[str]) -> Markup:
    """Lists the rows that are the strongest row of several classes."""
    strongest = attention.argmax(axis=1)
    owners = {row: [sources[i] for i in np.flatnonzero(strongest == row)] for row in order}
    cells = [(str(row), ", ".join(names)) for row, names in owners.items() if len(names) > 1]
    return parts.table(["row", "classes"], cells, "Classes whose strongest row is the same") if cells else Markup()


def most_similar(similarity: np.ndarray, order: np.ndarray) -> Markup:
    """Lists the pairs of rows with the largest cosines; `similarity` [K, K] is in this `order`."""
    pairs = sorted(itertools.combinations(range(len(order)), 2), key=lambda pair: -similarity[pair])[:PAIR_LIMIT]
    cells = [(str(order[one]), str(order[other]), f"{similarity[one, other]:.2f}") for one, other in pairs]
    return parts.table(["row", "row", "cosine"], cells, "Most similar rows")
