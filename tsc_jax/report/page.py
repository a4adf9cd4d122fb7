"""The shell of every HTML page of this package: one file that asks the network for nothing.

A page carries its style, its script and its data. Its Content-Security-Policy admits one script, by its hash,
inline style and pictures in data: URLs; nothing else would be loaded or run even if it were in the file.
Light and dark follow the reader's setting (assets/page.css).
"""

import base64
import hashlib
import html
import json
import numbers
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import tsc_jax
from tsc_jax.evaluation import results

COLOURS = 8  # --colour-0 to --colour-7 of assets/page.css

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="tsc_jax {version}">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{body}
{script}</body>
</html>
"""


def write_page(path: Path, title: str, body: str, *, style: str = "", script: str = "") -> None:
    """Writes a page as a whole, or not at all; the same arguments give the same bytes.

    Args:
      path: of the HTML file.
      title: plain text.
      body: HTML, everything from outside in it escaped (`escape`, `table`, `data_script`).
      style: CSS after the shell's own.
      script: JavaScript, run once the body is there.

    Raises:
      OSError: the file cannot be written.
    """
    script = script and f"\n{script}"
    results.write_text(
        Path(path),
        PAGE.format(
            policy=content_policy(script),
            version=tsc_jax.__version__,
            title=escape(title),
            style=asset("page.css") + style,
            body=body,
            script=script and f"<script>{script}</script>\n",
        ),
    )


def content_policy(script: str) -> str:
    """The Content-Security-Policy of a page whose only script is `script` ("" for none)."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    scripts = f"'sha256-{digest}'" if script else "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def asset(name: str) -> str:
    """The text of a file in assets/."""
    return resources.files("tsc_jax.report").joinpath("assets", name).read_text(encoding="utf-8")


def escape(text: object) -> str:
    """Any text for use in HTML, attributes included, as far as it is `sayable`."""
    return html.escape(sayable(str(text)), quote=True)


def sayable(text: str) -> str:
    """The text with "?" for what UTF-8 cannot say: bytes of a file's name that are no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def table(header: Sequence[object], rows: Sequence[Sequence[object]], caption: str = "") -> str:
    """An HTML table; columns of numbers are set to the right.

    Args:
      header: names of the columns, plain text.
      rows: cells; text is escaped, numbers are shown as str() shows them.
      caption: plain text above it.
    """
    kinds = [all(isinstance(cell, numbers.Number) for cell in column) for column in zip(*rows, strict=True)]
    kinds = [' class="number"' if kind else "" for kind in kinds] or [""] * len(header)
    lines = ["<table>", f"<caption>{escape(caption)}</caption>"] if caption else ["<table>"]
    titles = (f'<th scope="col"{kind}>{escape(name)}</th>' for kind, name in zip(kinds, header, strict=True))
    lines += [f"<thead><tr>{''.join(titles)}</tr></thead>", "<tbody>"]
    for row in rows:
        cells = (f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</tbody>", "</table>"])


def data_script(identity: str, content: Any) -> str:
    """A block of JSON for a script to read; no text in it can end the block.

    Args:
      identity: its id in the page.
      content: what json.dumps takes; a number that is not finite is an error.
    """
    text = json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{escape(identity)}">{text}</script>'
