"""Pages on paper, and the list of videos under the Tab key, in a real browser."""

import re

import numpy as np
import pytest

from tests.report.browser import Browser
from tests.report.test_page import themes
from tsc_jax.data.clock import Clock
from tsc_jax.localization.segments import make_segments
from tsc_jax.report.timelines import VideoTimeline, write_timelines

RATE = 2.0

PAPER = """
const colour = (image) => {
  const canvas = make("canvas", { width: 1, height: 1 });
  const pen = canvas.getContext("2d");
  return (pen.drawImage(image, 0, 0, 1, 1), [...pen.getImageData(0, 0, 1, 1).data]);
};
view.chosen = view.segments[0];
window.dispatchEvent(new Event("beforeprint"));
const outcome = {
  names: [...document.querySelectorAll("#paper h2")].map((each) => each.textContent),
  lanes: [...document.querySelectorAll("#paper section")].map((each) => each.querySelectorAll("img").length),
  note: document.querySelector("#paper > p")?.textContent ?? "",
  surface: theme.surface,
  open: [view.place, view.start, view.end, view.chosen === view.segments[0]],
};
window.dispatchEvent(new Event("afterprint"));
outcome.left = byId("paper").childElementCount;
outcome.after = theme.surface;
outcome.stops = [...document.querySelectorAll("#videos button, #videos a")].filter((each) => each.tabIndex >= 0).length;
const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const at = () => document.activeElement.textContent;
const focused = [];
byId("list").children[0].firstChild.focus();
for (const key of ["ArrowDown", "End", "ArrowUp", "Home", "ArrowUp"]) {
  press(key);
  focused.push(document.activeElement.id || at());
}
outcome.focused = focused;
byId("search").value = "video 2";
search();
const stops = [...byId("list").querySelectorAll("button")].filter((each) => each.tabIndex >= 0);
outcome.found = stops.map((each) => each.textContent);
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    return Browser(tmp_path_factory.mktemp("profile"))


def pages_of(path) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", path.read_bytes()))


@pytest.mark.parametrize("number", [1, 5, 41])
def test_all_videos_are_printed_if_they_are_not_too_many(tmp_path, browser, number):
    segments = make_segments(0, [0], [1], [9], [1.0])
    video = VideoTimeline("", 12, segments, segments, np.ones((24, 2)), np.ones(24))
    videos = [video._replace(name=f"video {place}") for place in range(number)]
    write_timelines(tmp_path / "page.html", "title", ["run"], Clock(RATE), videos)
    outcome = browser.run(tmp_path / "page.html", PAPER)
    shown = range(number if number <= 40 else 1)
    assert outcome["names"] == [f"video {place} 0:12.0" for place in shown]
    assert outcome["lanes"] == [5 for _ in shown]  # whole, axis, attention, action, background
    assert outcome["note"].startswith("One of 41 videos") == (number == 41)
    assert outcome["surface"] == outcome["after"] == f"#{themes()['light']['surface']}"
    assert outcome["open"] == [0, 0, 12, True] and outcome["left"] == 0
    assert outcome["stops"] == 1
    if number == 5:
        last = [f"video {place}0:12" for place in (1, 4, 3, 0)]
        assert outcome["focused"] == [*last, "search"]
        assert outcome["found"] == ["video 20:12"]


def test_paper_is_light_on_a_dark_desktop(tmp_path, browser):
    segments = make_segments(0, [0], [1], [9], [1.0])
    video = VideoTimeline("a", 12, segments, segments, np.ones((24, 2)), np.ones(24))
    write_timelines(tmp_path / "page.html", "title", ["run"], Clock(RATE), [video, video._replace(name="b")])
    outcome = {}
    for theme, setting in (("light", 1), ("dark", 0)):
        printed = tmp_path / f"{theme}.pdf"
        address = (tmp_path / "page.html").as_uri()
        waits = "--virtual-time-budget=5000"  # a busy machine would print before all is drawn
        browser(address, waits, f"--blink-settings=preferredColorScheme={setting}", f"--print-to-pdf={printed}")
        outcome[theme] = re.sub(rb"/(CreationDate|ModDate) ?\([^)]*\)", b"", printed.read_bytes())
        assert pages_of(printed) <= 2
    assert outcome["light"] == outcome["dark"]
