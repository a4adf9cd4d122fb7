"""Writes an examination as text and as JSON."""

import dataclasses
import json
import textwrap
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tsc_jax.data.source import SPLITS
from tsc_jax.doctor.examine import Examination
from tsc_jax.doctor.findings import CHECKS, SEVERITIES, Finding

SHOWN = 5  # examples of a finding in the text
LINE = 120  # characters
INDENT = " " * 9  # of all lines of a finding but the first


def contents(examination: Examination) -> dict:
    """Returns the counts of each subset, the hours of videos of known length, and the least, median and largest T.

    The rate is a number, or the least and the largest of those of the videos.
    """
    source = examination.source
    if source is None:
        return {}
    subsets = {}
    for split in SPLITS:
        rows = [row for row in examination.rows if row.split == split]
        videos = [row.video for row in rows]
        lengths = [row.features.num_snippets for row in rows if row.features]
        known = [seconds for row in rows if (seconds := row.seconds) is not None]
        subsets[split] = {
            "videos": len(videos),
            "snippets": sum(lengths) if lengths else None,
            "segments": sum(len(video.segments) for video in videos),
            "hours": sum(known) / 3600 if known else None,
            "classes": len({label for video in videos for label in (*video.labels, *video.segment_labels)}),
            "T": [min(lengths), float(np.median(lengths)), max(lengths)] if lengths else None,
        }
    widths = Counter(row.features.width for row in examination.rows if row.features)
    rates = sorted({row.rate for row in examination.rows if row.rate is not None})
    return {
        "subsets": subsets,
        "width": widths.most_common(1)[0][0] if widths else None,
        "snippets_per_second": rates[0] if len(rates) == 1 else [rates[0], rates[-1]] if rates else None,
        "classes": list(source.classes),
    }


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """Counts the findings of each severity."""
    numbers = Counter(finding.severity for finding in findings)
    return {severity: numbers[severity] for severity in SEVERITIES}


def verdict(findings: Sequence[Finding]) -> str:
    """Returns one line: the number of findings of each severity, and what to do next."""
    number = counts(findings)
    words = [f"{number[each] or 'no'} {each}{'' if number[each] == 1 else 's'}" for each in SEVERITIES]
    follows = "correct the errors before launch.prepare" if number["error"] else "ready for launch.prepare"
    return f"{', '.join(words)}: {follows}"


def as_json(examination: Examination) -> str:
    """Returns the contents, all findings with all examples, and the verdict."""
    content = {
        "source": str(examination.directory),
        "layout": examination.layout,
        "has_features": examination.has_features,
        "contents": contents(examination),
        "findings": [
            {"check": check, **dataclasses.asdict(CHECKS[check]), "count": len(examples), "examples": examples}
            for check, examples in map(dataclasses.astuple, examination.findings)
        ],
        "counts": counts(examination.findings),
        "verdict": verdict(examination.findings),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def as_text(examination: Examination) -> str:
    """Returns the contents, the findings with up to 5 examples each, and the verdict."""
    known = examination.source is not None
    note = ", annotations only" if known and not examination.has_features else ""
    blocks = [f"{examination.directory}: {examination.layout} layout{note}"]
    if known:
        blocks.append(_table(contents(examination)))
    blocks += map(_block, examination.findings)
    return "\n\n".join([*blocks, verdict(examination.findings)])


def _table(content: dict) -> str:
    """Returns the contents as aligned columns, then the width, the rate and the classes."""
    rows = [("", "videos", "snippets", "segments", "hours", "classes", "T min / median / max")]
    for split, row in content["subsets"].items():
        hours = "-" if row["hours"] is None else f"{row['hours']:.2f}"
        lengths = " / ".join(f"{each:g}" for each in row["T"] or ()) or "-"
        cells = (row["videos"], row["snippets"] or "-", row["segments"], hours, row["classes"], lengths)
        rows.append((split.ljust(max(map(len, SPLITS))), *map(str, cells)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
    rates = content["snippets_per_second"]
    rate = "unknown" if rates is None else " to ".join(f"{each:g}" for each in np.atleast_1d(rates))
    width = "width unknown" if content["width"] is None else f"width {content['width']}"
    lines.append(f"{width}, {rate} snippets per second")
    classes = f"{len(content['classes'])} classes: {', '.join(content['classes']) or 'no list'}"
    lines.append(textwrap.fill(classes, LINE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    return "\n".join(lines)


def _block(finding: Finding) -> str:
    """Returns severity, title and number of a finding, a few examples, and the advice."""
    check, examples = CHECKS[finding.check], finding.examples
    more = [f"and {len(examples) - SHOWN} more"] if len(examples) > SHOWN else []
    lines = [f"{finding.severity:7}  {check.title}: {len(examples)}"]
    lines += [f"{INDENT}{line}" for line in (*examples[:SHOWN], *more)]
    lines.append(textwrap.fill(check.advice, LINE, initial_indent=f"{INDENT}-> ", subsequent_indent=f"{INDENT}   "))
    return "\n".join(lines)
