"""What a comparison of finished runs writes: compare.md for the terminal, compare.html with pictures, compare.json."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from tsc_jax.ablation.grid import Outcome
from tsc_jax.ablation.side_by_side import EVALUATION, Measured, Row, Setting, differences
from tsc_jax.ablation.summary import Spread, average, interval, markdown, spread, with_interval
from tsc_jax.errors import InputError
from tsc_jax.evaluation import diagnosis, results
from tsc_jax.evaluation.protocols import FLOOR
from tsc_jax.files import check_folder, write_text
from tsc_jax.report import charts
from tsc_jax.report.page import asset, parts, write_page
from tsc_jax.report.sections import KIND_COLOURS, Section

TEXTS = tomllib.loads(asset("compare.toml"))  # title and reading by id
FILES = "compare.md", "compare.html", "compare.json"
ERRORS = (*diagnosis.KINDS[1:], "all errors")  # the names of `diagnosis.gains`
Table = list[list[Any]]  # a head and rows


def check_target(folder: Path, others: str) -> None:
    """Raises InputError where nothing can be written, or the folder has the file `others` of another comparison."""
    if (folder / others).exists():
        raise InputError(f"--workdir {folder}: holds a comparison of methods; give another folder")
    check_folder(f"--workdir {folder}", folder)


def write(folder: Path, setting: Setting, rows: Sequence[Row], command: str) -> str:
    """Writes FILES into a folder, which is made; returns the tables as Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = tables_of(setting, rows)
    headed = [f"## {TEXTS[id]['title']}\n\n{markdown(as_text(table))}" for id, table in tables.items()]
    title = f"Runs side by side: {setting.dataset.name}"
    text = "\n\n".join([f"# {title}", about(setting, rows), f"`{command}`", *(each.rstrip() for each in headed)]) + "\n"
    write_text(folder / "compare.md", text)
    results.write_json(folder / "compare.json", as_json(setting, rows))
    shown, _ = average(outcome(rows[0], setting), "test")
    means = {row.name: f"{average(outcome(row, setting), 'test')[1].mean():.1f}" for row in rows}
    write_page(
        folder / "compare.html",
        "report.html",
        title=title,
        facts=f"{about(setting, rows)} The large numbers are mAP@{shown}.",
        tiles=means,
        sections=sections(setting, rows, tables),
    )
    return text


def about(setting: Setting, rows: Sequence[Row]) -> str:
    """What all numbers have in common."""
    several = any(len(row.seeds) > 1 for row in rows)
    spreads = (
        " Of several seeds: the mean ± half of its 95% interval (Student's t), and in brackets the 95% interval of the"
        " difference, paired by seed, where both runs have the same seeds."
    )
    return (
        f"{len(setting.dataset.test.videos)} test videos, protocol {setting.evaluation['eval.protocol']}, mAP and AP in"
        f" percent; numbers without a tIoU are at {setting.threshold:g}.{spreads if several else ''}"
    )


def tables_of(setting: Setting, rows: Sequence[Row]) -> dict[str, Table]:
    """The tables by the id of their section."""
    names = [row.name for row in rows]
    by_class = [
        [setting.dataset.classes[label], *(with_interval(row.stack("precisions")[:, label]) for row in rows)]
        for label in class_order(rows)
    ]
    differing = differences(rows)
    recipe = [[f"config.{key}", *map(str, values)] for key, values in differing.items()]
    return {
        "map": map_table(setting, rows),
        "classes": [["class", *names], *by_class],
        "errors": error_table(rows),
        "missed": missed_table(rows),
        "recipe": [["key", *names], *(recipe or [["nothing", *["equal"] * len(rows)]])],
        "runs": run_table(rows),
    }


def class_order(rows: Sequence[Row]) -> list[int]:
    """The classes that the test videos show, those first in which the first row is best."""
    mean = rows[0].stack("precisions").mean(axis=0)
    return [label for label in np.argsort(-mean, kind="stable").tolist() if not np.isnan(mean[label])]


def map_table(setting: Setting, rows: Sequence[Row]) -> Table:
    """mAP at each tIoU, its average, and the difference from the first row."""
    shown, _ = average(outcome(rows[0], setting), "test")
    table = [["run", f"mAP@{shown}", "from the first", *(f"{tiou:g}" for tiou in setting.tious), "classification"]]
    for row in rows:
        change = "" if row is rows[0] else interval(difference(row, rows[0], setting))
        cells = [with_interval(average(outcome(row, setting), "test")[1]), change]
        cells += [round(float(value), 1) for value in row.stack("mean_ap").mean(axis=0)]
        cells.append(with_interval(row.stack("classification")))
        table.append([row.name, *cells])
    floor = f"{results.averages(setting.tious, setting.floor)[shown]:.1f}"
    return [*table, [FLOOR, floor, "", *(round(float(value), 1) for value in setting.floor), ""]]


def error_table(rows: Sequence[Row]) -> Table:
    """The kinds of the first predictions, and what mAP would gain without each kind of error."""
    kinds = [
        [f"{kind} (% of 1G)", *map(with_interval, values)] for kind, values in by_row(rows, "kinds", diagnosis.KINDS)
    ]
    gains = [
        [f"without {kind} (points)", *map(with_interval, values)] for kind, values in by_row(rows, "gains", ERRORS)
    ]
    return [["", *(row.name for row in rows)], *kinds, *gains]


def by_row(rows: Sequence[Row], field: str, names: Sequence[str]) -> list[tuple[str, list[np.ndarray]]]:
    """The values [seeds] of each row, by name."""
    return [(name, [row.stack(field)[:, place] for row in rows]) for place, name in enumerate(names)]


def missed_table(rows: Sequence[Row]) -> Table:
    """The share of missed instances in each group that has any."""
    table = [["never found (%)", "instances", *(row.name for row in rows)]]
    for what, (names, instances, shares) in missed_shares(rows).items():
        for place, name in enumerate(names):
            cells = [with_interval(of_row[:, place]) for of_row in shares]
            table.append([f"{what}, {name}", int(instances[place]), *cells])
    return table


def missed_shares(rows: Sequence[Row]) -> dict[str, tuple[list[str], np.ndarray, list[np.ndarray]]]:
    """The groups that have instances: names, instances, and by row the missed ones in percent, [seeds, groups]."""
    shares = {}
    for what, (names, instances, _) in rows[0].seeds[0].missed.items():
        shown = np.flatnonzero(instances)
        of_rows = [
            np.array([100 * each.missed[what].missed[shown] / instances[shown] for each in row.seeds]) for row in rows
        ]
        shares[what] = ([names[place] for place in shown], instances[shown], of_rows)
    return shares


def run_table(rows: Sequence[Row]) -> Table:
    """What each row is."""
    table = [["run", "method", "seeds", "step", "data fingerprint"]]
    for row in rows:
        steps, planned = sorted({each.step for each in row.seeds}), row.recipe["train.steps"]
        taken = f"{', '.join(map(str, steps))}{'' if steps == [planned] else f' of {planned}'}"
        chosen = row.about.get("selection", "last").replace("_", " ")
        seeds = ", ".join(str(each.seed) for each in row.seeds)
        fingerprint = (row.about["data_fingerprint"] or "not known")[:12]
        table.append([row.name, row.about["config"]["method"], seeds, f"{taken} ({chosen})", fingerprint])
    return table


def outcome(row: Row, setting: Setting) -> Outcome:
    """The mAP of a row as the tables of `summary` take it."""
    return Outcome(row.name, setting.tious, {"test": row.stack("mean_ap")})


def difference(row: Row, first: Row, setting: Setting) -> Spread:
    """The difference in average mAP, with an interval where both have the same seeds."""
    values, before = (average(outcome(each, setting), "test")[1] for each in (row, first))
    if [each.seed for each in row.seeds] == [each.seed for each in first.seeds]:
        return spread(values - before)
    return Spread(values.mean() - before.mean(), np.nan, np.nan)


def as_text(table: Table) -> list[list[str]]:
    """The table with texts in all cells."""
    return [[str(cell) for cell in row] for row in table]


def sections(setting: Setting, rows: Sequence[Row], tables: Mapping[str, Table]) -> list[Section]:
    """The sections of the page: pictures, then the table."""
    colours = {row.name: charts.colour(number) for number, row in enumerate(rows)}
    pictures = {
        "map": map_chart(setting, rows, colours),
        "classes": class_charts(setting, rows, colours),
        "errors": error_charts(rows, colours),
        "missed": missed_charts(rows, colours),
    }
    return [
        Section(
            id, **TEXTS[id], advice="", body=pictures.get(id, Markup()) + parts.scroll(parts.table(table[0], table[1:]))
        )
        for id, table in tables.items()
    ]


def map_chart(setting: Setting, rows: Sequence[Row], colours: Mapping[str, str]) -> Markup:
    """Draws the mean mAP over tIoU, a line for each row and one for the floor."""
    colours = colours | {FLOOR: "var(--ink-soft)"}
    means = [*(row.stack("mean_ap").mean(axis=0) for row in rows), setting.floor]
    tious = np.array(setting.tious)
    lines = [(name, tious, mean, stroke) for (name, stroke), mean in zip(colours.items(), means, strict=True)]
    limits = {"x_limits": (0, 1), "y_limits": (0, 100)}
    return parts.legend(colours) + parts.charts(
        [charts.line_chart("mAP (%)", lines, "tIoU", **limits, size=(480, 280))]
    )


def class_charts(setting: Setting, rows: Sequence[Row], colours: Mapping[str, str]) -> Markup:
    """Draws the AP of each class, a chart for each row."""
    order = class_order(rows)
    names = [setting.dataset.classes[label] for label in order]
    return bar_charts({row.name: row.stack("precisions").mean(axis=0)[order] for row in rows}, names, colours, 100)


def error_charts(rows: Sequence[Row], colours: Mapping[str, str]) -> Markup:
    """Draws the kinds of the first predictions, then what mAP would gain without each kind of error."""
    shares = np.array([row.stack("kinds").mean(axis=0) for row in rows])
    names = [row.name for row in rows]
    kinds = charts.bar_chart(
        "the first G predictions of each class (%)", names, shares, colours=KIND_COLOURS, limit=100
    )
    gains = {row.name: np.maximum(row.stack("gains").mean(axis=0), 0) for row in rows}
    largest = max(map(np.max, gains.values()))
    body = parts.legend(KIND_COLOURS) + parts.charts([kinds]) + parts.heading("mAP gained without them (points)")
    return body + bar_charts(gains, ERRORS, colours, largest or 1)


def missed_charts(rows: Sequence[Row], colours: Mapping[str, str]) -> Markup:
    """Draws the share of missed instances in each group, a chart for each row."""
    body = Markup()
    for what, (names, _, shares) in missed_shares(rows).items():
        means = {row.name: of_row.mean(axis=0) for row, of_row in zip(rows, shares, strict=True)}
        body += parts.heading(f"never found (%), by {what}") + bar_charts(means, names, colours, 100)
    return body


def bar_charts(
    values: Mapping[str, np.ndarray], names: Sequence[str], colours: Mapping[str, str], limit: float
) -> Markup:
    """Draws the values [names] of each row beside those of the others, on one scale."""
    return parts.charts(
        charts.bar_chart(
            row, names, of_row, colours={"": colours[row]}, limit=limit, texts=[f"{value:.1f}" for value in of_row]
        )
        for row, of_row in values.items()
    )


def as_json(setting: Setting, rows: Sequence[Row]) -> dict[str, Any]:
    """Every number behind the tables."""
    return {
        "data": setting.dataset.name,
        "data_fingerprint": setting.dataset.fingerprint,
        "recipe": {key: setting.evaluation[key] for key in EVALUATION},
        "tiou": setting.tious,
        "threshold": setting.threshold,
        "floor": setting.floor.tolist(),
        "differences": differences(rows),
        "runs": {row.name: [seed_as_json(each, setting) for each in row.seeds] for row in rows},
    }


def seed_as_json(of: Measured, setting: Setting) -> dict[str, Any]:
    """Every number of one run."""
    precisions = dict(zip(setting.dataset.classes, of.precisions.tolist(), strict=True))
    return {
        "seed": of.seed,
        "step": of.step,
        "mAP": of.mean_ap.tolist(),
        "classification_mAP": of.classification,
        "AP": {name: value for name, value in precisions.items() if not np.isnan(value)},
        "kinds": dict(zip(diagnosis.KINDS, of.kinds.tolist(), strict=True)),
        "gains": dict(zip(ERRORS, of.gains.tolist(), strict=True)),
        "missed": {
            what: dict(
                zip(groups.names, zip(groups.missed.tolist(), groups.instances.tolist(), strict=True), strict=True)
            )
            for what, groups in of.missed.items()
        },
    }
