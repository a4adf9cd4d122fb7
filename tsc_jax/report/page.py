"""Builds the HTML pages of this package from templates/; each page is one file that loads nothing from the network.

A page holds its own CSS, JavaScript and data. Its Content-Security-Policy allows one script, identified by its hash,
inline styles, images in data: URLs and, on a page that plays videos, files that the reader opens; the browser blocks
everything else, even if it is in the file. Jinja2 escapes every text that is not `Markup`. Colours follow the reader's
light or dark setting (assets/page.css).
"""

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import tsc_jax
from tsc_jax.files import write_text

COLOURS = 8  # --colour-0 to --colour-7 of assets/page.css


def write_page(path: Path, template: str, **values: Any) -> None:
    """Renders a template that extends page.html into a file, whole or not at all; equal arguments give equal bytes.

    `values` are what the template shows. Raises jinja2.UndefinedError if one is missing.
    """
    write_text(path, sayable(PAGES.get_template(template).render(values)))


def macros(template: str, **values: Any) -> Any:
    """Returns the macros of a template as functions from plain values to `Markup`; they see `values` too."""
    return PAGES.get_template(template).make_module(values)


def script_hash(script: str) -> str:
    """Returns the source expression of a Content-Security-Policy that allows one script, none if it is empty."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'" if script else "'none'"


def asset(name: str) -> str:
    """Returns the text of a file in assets/."""
    return resources.files("tsc_jax.report").joinpath("assets", name).read_text(encoding="utf-8")


def sayable(text: str) -> str:
    """Returns the text with "?" for characters that UTF-8 cannot encode (bytes of a file name that are not UTF-8)."""
    return text.encode("utf-8", "replace").decode()


PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("tsc_jax.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.filters |= {"px": "{:.1f}".format, "asset": lambda name: Markup(asset(name)), "script_hash": script_hash}
PAGES.globals["version"] = tsc_jax.__version__
PAGES.policies["json.dumps_kwargs"] = {"allow_nan": False, "ensure_ascii": False, "separators": (",", ":")}
parts = macros("parts.html")  # the small pieces that pages consist of
