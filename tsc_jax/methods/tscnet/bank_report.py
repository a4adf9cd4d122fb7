"""What became of a run's bank: which snippets attend to which rows, as numbers, a table and a picture.

A snippet is of class c where its middle lies in a ground-truth segment of c, and of background where it lies in none.
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

import ml_collections
import numpy as np

from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.errors import InputError
from tsc_jax.evaluation.results import write_json
from tsc_jax.methods.tscnet.bank import drift
from tsc_jax.methods.tscnet.bank_attention import attend, means, sums_by_class
from tsc_jax.methods.tscnet.bank_picture import draw_bank
from tsc_jax.methods.tscnet.train_step import TrainState, for_inference
from tsc_jax.report.run import open_run
from tsc_jax.training import checkpoints
from tsc_jax.training.initial import state_template
from tsc_jax.training.replicas import seed_folders

APART = 1.1  # see above
READING = "Rows became classes where every column of the first picture has one strong cell, each in another line."


@dataclasses.dataclass(frozen=True)
class BankReport:
    """What is known of a bank; symbols as above.

    Attributes:
      classes: the C class names, then "background".
      snippets: of each class, [C + 1].
      attention: A [C + 1, K]; 0 for a class without snippets.
      usage: [K].
      nearest: indices of classes, [K].
      preference: [K].
      likeness: [C + 1, K]; 0 for a class without snippets.
      similarity: cosines of the rows with each other, [K, K].
      drift: how far each row is from where it was fitted, as a share of the fitted row's length, [K].
      evidence: snippets that moved each row under the rule "ema", [K].
    """

    classes: tuple[str, ...]
    snippets: np.ndarray
    attention: np.ndarray
    usage: np.ndarray
    nearest: np.ndarray
    preference: np.ndarray
    likeness: np.ndarray
    similarity: np.ndarray
    drift: np.ndarray
    evidence: np.ndarray


def report_bank(workdir: Path, selection: str, split: str, changes: dict) -> str:
    """Inspects the bank of one of a run's checkpoints; writes bank.json and bank.png beside its metrics.json.

    Args:
      workdir: of launch.train, or of launch.export.
      selection: which checkpoint, one of checkpoints.SELECTIONS.
      split: whose snippets are looked at, "test" or "train".
      changes: config values other than those trained with, "data.data_dir" for example.

    Returns:
      A line for every row of the bank.

    Raises:
      InputError: no such checkpoint, a network without DSA, other data than it was trained on, or no video long enough.
    """
    if folders := seed_folders(workdir):
        raise InputError(f"--workdir {workdir}: holds {len(folders)} runs; give one of them, {folders[0]} for example")
    config, dataset = open_run(workdir, changes)
    manager = checkpoints.find_checkpoints(workdir, selection)
    if manager is None:
        raise InputError(f"--workdir {workdir}: holds no checkpoint {selection!r}")
    if not config.model.dsa:
        raise InputError(f"--workdir {workdir}: config.model.dsa is False, so no snippet attends to the bank")
    checkpoints.check_data(checkpoints.about_run(config, dataset), checkpoints.read_about(manager), workdir)
    state = checkpoints.restore(manager, state_template(config, len(dataset.classes), dataset.width))
    found = inspect(config, state, dataset, getattr(dataset, split))

    folder = Path(workdir) if selection == checkpoints.LAST else Path(workdir, selection)
    folder.mkdir(exist_ok=True)
    named = {"selection": selection.replace("_", " "), "step": int(state.step), "split": split}
    values = {name: np.asarray(value).tolist() for name, value in vars(found).items()}
    write_json(folder / "bank.json", named | {"fit": dataclasses.asdict(state.bank.fit)} | values)
    title = f"{dataset.name}: semantics bank, step {named['step']} ({named['selection']}), {split} videos"
    draw(folder / "bank.png", title, found)
    return "\n".join([title, table(found), verdict(found), f"{folder}: bank.png, bank.json"])


def inspect(config: ml_collections.ConfigDict, state: TrainState, dataset: Dataset, split: Split) -> BankReport:
    """Everything about the bank that a state infers with, by the snippets of a split."""
    state = for_inference(state)
    rows = np.asarray(state.bank.rows, np.float64)

    def of_videos() -> Iterator[tuple[int, np.ndarray]]:
        """Attention and features side by side, [T, K + D]."""
        for index, attention, fused in attend(config, state, dataset, split):
            features = fused if config.bank.update_rule == "ema" else split.features(index)
            yield index, np.hstack([attention, features])

    sums, counts, total, snippets = sums_by_class(of_videos(), split, dataset.snippets_per_second)
    attention, features = np.split(means(sums, counts), [len(rows)], axis=1)
    usage, centre = np.split(total / snippets, [len(rows)])
    nearest, preference = nearest_classes(attention, counts)
    return BankReport(
        classes=(*dataset.classes, "background"),
        snippets=counts,
        attention=attention,
        usage=usage,
        nearest=nearest,
        preference=preference,
        likeness=cosines(features - centre, rows - centre) * (counts > 0)[:, None],
        similarity=cosines(rows, rows),
        drift=np.asarray(drift(state.bank)),
        evidence=np.asarray(state.bank.usage),
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


def table(found: BankReport) -> str:
    """A line for every row of the bank."""
    attended = [f"{found.classes[c]} ({found.preference[k]:.2f})" for k, c in enumerate(found.nearest)]
    held = np.flatnonzero(found.snippets)
    most_like = held[found.likeness[held].argmax(axis=0)]
    alike = [f"{found.classes[c]} ({found.likeness[c, k]:.2f})" for k, c in enumerate(most_like)]
    columns = {
        "row": [str(row) for row in range(len(attended))],
        "share of attention": [f"{100 * usage:.1f}%" for usage in found.usage],
        "nearest class (times the others)": attended,
        "most like (cosine)": alike,
        "drift since the fit": [f"{100 * drift:.1f}%" for drift in found.drift],
    }
    if found.evidence.any():
        columns["evidence in snippets"] = [f"{evidence:.0f}" for evidence in found.evidence]
    widths = [max(map(len, (name, *cells))) for name, cells in columns.items()]
    lines = [tuple(columns), *zip(*columns.values(), strict=True)]
    aligned = (zip(line, widths, strict=True) for line in lines)
    return "\n".join("  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in aligned)


def verdict(found: BankReport) -> str:
    """Whether rows became classes, in a sentence."""
    apart = found.preference >= APART
    classes = len(np.unique(found.nearest[apart]))
    if not apart.any():
        return (
            f"No row tells a class apart: no class attends to one {APART:g} times as much as the others do on average."
        )
    return (
        f"{apart.sum()} of {len(apart)} rows tell a class apart (its snippets attend to them at least {APART:g} times"
        f" as much as those of the others); {classes} of {np.count_nonzero(found.snippets)} classes have such a row."
    )


def draw(path: Path, title: str, found: BankReport) -> None:
    """The picture; the rows stand in the order of the classes that they tell apart, then those that tell none."""
    apart = np.where(found.preference >= APART, found.nearest, len(found.classes))
    draw_bank(
        path,
        f"{title}\n{verdict(found)}\n{READING}",
        found.classes,
        np.argsort(apart, kind="stable"),
        found.attention,
        found.likeness,
        found.similarity,
        found.usage,
        found.drift,
    )
