"""The frame of a page: texts stay text, only its own script may run, it is written as a whole, its colours differ."""

import base64
import hashlib
import itertools
import re

import hypothesis
import hypothesis.strategies as st
import jinja2
import numpy as np
import pytest

from tests.report.pages import Page
from tsc_jax.report.page import PAGES, asset, parts, sayable, write_page

HOSTILE = "</script></style></noscript><img src=x onerror=alert(1)><!--<script>&lt; \"' \u2028 \udcff \x00"
# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@hypothesis.given(st.recursive(st.text() | st.sampled_from([HOSTILE]), st.lists))
def test_json_stays_inside_its_block(content):
    page = Page(f"<p>before</p>{parts.data('a', content)}<p>after</p>")
    assert page.tags == ["p", "script", "p"]
    assert page.data("a") == content
    assert page.text.split() == ["before", "after"]


@hypothesis.given(st.text() | st.sampled_from([HOSTILE]))
def test_text_opens_no_element_and_ends_no_attribute(text):
    template = PAGES.from_string('<p title="{{ text }}">{{ text }}</p>')
    page = Page(template.render(text=text))
    assert page.tags == ["p"]
    assert [name for name, _ in page.attributes] == ["title"]


def test_a_table_escapes_text_and_aligns_numbers():
    html = parts.table(["<b>", "n"], [("<i>", 0.25), ("x", np.int64(3))], "<u>")
    assert Page(html).tags == ["table", "caption", "thead", "tr", "th", "th", "tbody", *["tr", "td", "td"] * 2]
    assert '<th scope="col" class="number">n</th>' in html
    assert html.count('<td class="number">') == 2
    assert "<tbody>" in parts.table(["a"], [])


def write_empty(path, title="title", **more):
    write_page(path, "report.html", title=title, facts="", tiles={}, sections=[], **more)


def test_only_the_script_of_the_page_may_run(tmp_path):
    values = {"title": "t", "facts": "é", "index": {"videos": []}, "curves": [], "listed": 1}
    write_page(tmp_path / "with.html", "timelines.html", **values)
    page = Page((tmp_path / "with.html").read_text(encoding="utf-8"))
    (script,) = (text for attributes, text in page.scripts if "type" not in attributes)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page.policy
    assert page.policy.startswith("default-src 'none';") and "; media-src blob:;" in page.policy
    write_empty(tmp_path / "without.html")
    page = Page((tmp_path / "without.html").read_text(encoding="utf-8"))
    assert "script-src 'none';" in page.policy and "media-src" not in page.policy
    assert not page.scripts


def test_a_page_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "page.html"
    write_empty(path, "old")
    old = path.read_bytes()
    with pytest.raises(jinja2.UndefinedError, match="facts"):
        write_page(path, "report.html", title="new")
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_characters_that_utf8_cannot_encode_become_question_marks(tmp_path):
    write_empty(tmp_path / "page.html", "\udcff \u00e9")
    assert "<title>? \u00e9</title>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert sayable(HOSTILE) == HOSTILE.replace("\udcff", "?")


def themes():
    """The colours of the light and of the dark theme, by name."""
    light, dark = re.findall(r":root \{(.*?)\}", asset("page.css"), re.S)
    read = re.compile(r"--([\w-]+): #([0-9a-f]{6});").findall
    return {"light": dict(read(light)), "dark": dict(read(dark))}


def linear(colour):
    value = np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(rgb):
    return float(rgb @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    """WCAG 2's contrast ratio of two colours in hexadecimal or linear RGB."""
    dark, light = sorted(luminance(linear(each) if isinstance(each, str) else each) for each in (one, other))
    return (light + 0.05) / (dark + 0.05)


# Ottosson (2020).
TO_LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                   [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                   [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


def oklab(rgb):
    """OKLab times 100."""
    return 100 * TO_LAB @ np.cbrt(TO_LMS @ np.clip(rgb, 0, 1))


def drawn(colour, theme):
    """Linear RGB of var(--NAME), or of "color-mix(in oklab, var(--NAME) SHARE%, var(--NAME))"."""
    names, shares = re.findall(r"--([\w-]+)", colour), re.findall(r"(\d+)%", colour) or [100]
    ends = [oklab(linear(theme[name])) / 100 for name in names]
    share = int(shares[0]) / 100
    mixed = share * ends[0] + (1 - share) * ends[-1]
    return np.linalg.solve(TO_LMS, np.linalg.solve(TO_LAB, mixed) ** 3)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_are_told_apart_and_text_is_legible(theme):
    colours = themes()[theme]
    series = [colours[f"colour-{i}"] for i in range(8)]
    for ground in ("surface", "page"):
        assert all(contrast(colours[name], colours[ground]) >= 4.5 for name in ("ink", "ink-soft", "accent"))
    assert min(contrast(colour, colours["surface"]) for colour in series) >= 3
    for vision in VISION.values():
        seen = [oklab(np.array(vision) @ linear(colour)) for colour in series]
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) >= 9
