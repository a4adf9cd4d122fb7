"""The section of report.html about TSC-Net's semantics bank."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from tsc_jax.report import charts
from tsc_jax.report.page import parts
from tsc_jax.report.sections import Section

MAP_LIMIT = 40  # rows of a bank that is drawn as maps; a larger one is listed in tables
PAIR_LIMIT = 10  # most similar pairs of rows that are listed


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
    unit_rows = rows[order] / np.maximum(np.linalg.norm(rows[order], axis=1, keepdims=True), 1e-12)
    similarity = unit_rows @ unit_rows.T
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
