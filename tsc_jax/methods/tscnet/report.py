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
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.errors import InputError
from tsc_jax.evaluation.results import write_json
from tsc_jax.methods.tscnet.bank.state import drift
from tsc_jax.methods.tscnet.bank_attention import attend, class_attention, means, sums_by_class
from tsc_jax.methods.tscnet.bank_section import bank_section
from tsc_jax.report.page import write_page
from tsc_jax.report.sections import Section
from tsc_jax.training import checkpoints
from tsc_jax.training.trained import Trained, open_trained, with_dataset

APART = 1.1  # see above


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
        attention = class_attention(trained, dataset, dataset.test)
    return [bank_section(np.asarray(trained.variables["bank"].rows), attention, dataset.classes)]


def report_bank(workdir: Path, selection: str, split: str, changes: dict) -> str:
    """Inspects the bank of one of a run's checkpoints; writes bank.json and bank.html beside its metrics.json.

    The snippets of a `split`, "test" or "train", are grouped by class. `changes` are config values other than those
    trained with. Returns a line for every row of the bank.

    Raises:
      InputError: no such checkpoint, a network without DSA, other data than it was trained on, or no video long enough.
    """
    trained = open_trained(workdir, selection)
    if trained.config.method != "tscnet" or not trained.config.model.dsa:
        raise InputError(f"--workdir {workdir}: no snippet attends to a bank there (config.method, config.model.dsa)")
    trained, dataset = with_dataset(trained, changes)
    bank = inspect(trained, dataset, getattr(dataset, split))

    folder = Path(workdir) if selection == checkpoints.LAST else Path(workdir, selection)
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
        for index, outputs in attend(trained, split):
            by_ema = trained.config.bank.update_rule == "ema"
            features = outputs["features"] if by_ema else split.features(index)
            yield index, np.hstack([outputs["bank_attention"], features])

    sums, counts, total, snippets = sums_by_class(of_videos(), split, dataset.snippets_per_second)
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
