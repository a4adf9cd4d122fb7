"""The page of timelines under wheel, keys, mouse and fingers, in a real browser."""

import numpy as np
import pytest

from tests.report.browser import Browser
from tsc_jax.localization.segments import make_segments
from tsc_jax.report.timelines import VideoTimeline, write_timelines

RATE, SECONDS = 2.0, 100

# Coordinates are shares of the width of a lane's canvas, which is `wide` pixels.
HANDS = """
Element.prototype.setPointerCapture = () => {};
const canvas = (kind) => lanes.find((lane) => lane.kind === kind).canvas;
const box = (kind) => canvas(kind).getBoundingClientRect();
const wide = box("attention").width;
function send(type, share, more = {}, kind = "attention", top = 5) {
  const { left, top: above } = box(kind);
  const place = { clientX: left + share * wide, clientY: above + top, bubbles: true, cancelable: true };
  const made = { wheel: WheelEvent, dblclick: MouseEvent }[type] || PointerEvent;
  return !canvas(kind).dispatchEvent(new made(type, { ...place, pointerId: 1, ...more }));
}
const pressedKey = (key) => new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
const key = (name) => byId("timeline").dispatchEvent(pressedKey(name));
const times = (number, act) => Array.from({ length: number }, act);
const shown = () => [view.start, view.end];
const after = (act) => (act(), shown());
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    return Browser(tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="module")
def hands(tmp_path_factory, browser):
    """Runs JavaScript on the page of one video and returns the value of an expression."""

    def run(expression, scores=(1.0, 0.5)):
        path = tmp_path_factory.mktemp("page") / "page.html"
        predictions = make_segments(0, [0, 0], [20, 60], [30, 64], scores)
        curves = np.ones((int(SECONDS * RATE), 2)), np.full(int(SECONDS * RATE), 0.5)
        truth = make_segments(0, [0], [22], [34])
        write_timelines(path, "title", ["run"], RATE, [VideoTimeline("video", SECONDS, predictions, truth, *curves)])
        return browser.run(path, f"{HANDS}\nconst outcome = {expression};")

    return run


def test_the_wheel_zooms_about_the_pointer_and_moves(hands):
    seen = hands("""{
      scrolls: send("wheel", 0.25, { deltaY: 200 }),
      zoomed: [send("wheel", 0.25, { deltaY: -400 }), ...shown()],
      moved: after(() => send("wheel", 0.25, { deltaX: wide / 2 })),
      shifted: after(() => send("wheel", 0.25, { deltaY: -wide / 2, shiftKey: true })),
      deepest: after(() => times(50, () => send("wheel", 0.25, { deltaY: -400 }))),
      widest: after(() => times(50, () => send("wheel", 0.9, { deltaY: 400 }))),
    }""")
    assert seen["scrolls"] is False  # nothing to zoom out of: the page scrolls
    prevented, start, end = seen["zoomed"]
    assert prevented and end - start == pytest.approx(SECONDS * np.exp(-0.6))
    assert start + 0.25 * (end - start) == pytest.approx(25)
    half = (end - start) / 2
    assert seen["moved"] == pytest.approx([start + half, end + half] if end + half <= 100 else [100 - 2 * half, 100])
    assert seen["shifted"] == pytest.approx([each - half for each in seen["moved"]])
    assert np.diff(seen["deepest"]) == pytest.approx(8 / RATE)  # eight snippets
    assert seen["widest"] == [0, SECONDS]


def test_keys_zoom_move_and_choose(hands):
    seen = hands("""{
      in: after(() => key("+")), right: after(() => key("ArrowRight")), left: after(() => key("ArrowLeft")),
      out: after(() => key("-")),
      far: after(() => (key("+"), key("+"), times(99, () => key("ArrowLeft")))),
      whole: after(() => key("0")), other: key("x"),
      chosen: ["Down", "Down", "Down", "Down", "Up"].map((name) => (key(`Arrow${name}`), view.chosen.start)),
      buttons: after(() => byId("in").click()),
    }""")
    span = SECONDS / 1.5
    assert seen["in"] == pytest.approx([50 - span / 2, 50 + span / 2])
    assert seen["right"] == pytest.approx([each + span / 10 for each in seen["in"]])
    assert seen["left"] == pytest.approx(seen["in"])
    assert seen["out"] == pytest.approx([0, SECONDS])
    assert seen["far"] == pytest.approx([0, span / 1.5])
    assert seen["whole"] == [0, SECONDS]
    assert seen["other"] is True  # not taken from the browser
    assert seen["chosen"] == [20, 22, 60, 60, 22]
    assert seen["buttons"] == pytest.approx(seen["in"])


def test_a_drag_moves_a_click_chooses_a_double_click_fits(hands):
    seen = hands("""{
      dragged: after(() => {
        setWindow(50, 50);
        send("pointerdown", 0.5); send("pointermove", 0.3); send("pointerup", 0.3);
      }),
      untouched: view.chosen,
      strip: after(() => { send("pointerdown", 0.6, {}, "whole"); send("pointerup", 0.6, {}, "whole"); }),
      clicked: after(() => {
        setWindow(50, 100);
        send("pointerdown", 0.62, {}, "action", 20); send("pointerup", 0.62, {}, "action", 20);
      }),
      chosen: [view.chosen.start, view.chosen.end, view.chosen.score],
      fitted: after(() => send("dblclick", 0.62, {}, "action", 20)),
      truth: (() => {
        setWindow(50, 100);
        send("pointerdown", 0.33, {}, "action", 6); send("pointerup", 0.33, {}, "action", 6);
        return view.chosen.score;
      })(),
    }""")
    assert seen["dragged"] == pytest.approx([35, 85])
    assert seen["untouched"] is None
    assert seen["strip"] == pytest.approx([35, 85])
    assert seen["clicked"] == [0, SECONDS]
    assert seen["chosen"] == [60, 64, 0.5]
    assert seen["fitted"] == pytest.approx([58, 66])
    assert seen["truth"] is None


def test_two_fingers_pinch_and_choose_nothing(hands):
    seen = hands("""{
      pinched: after(() => {
        send("pointerdown", 0.25, { pointerId: 5 }, "action", 20);
        send("pointerdown", 0.35, { pointerId: 6 }, "action", 20);
        send("pointermove", 0.45, { pointerId: 6 }, "action", 20);
      }),
      lifted: after(() => {
        send("pointerup", 0.45, { pointerId: 6 }, "action", 20);
        send("pointerup", 0.25, { pointerId: 5 }, "action", 20);
      }),
      chosen: view.chosen,
      still: pressed.size,
    }""")
    # What was between the fingers stays there; the one that lifts last does so above a segment.
    assert seen["pinched"] == pytest.approx([12.5, 62.5])
    assert seen["lifted"] == seen["pinched"]
    assert seen["chosen"] is None and seen["still"] == 0


def test_scores_below_zero_are_seen_where_there_are_no_others(hands):
    assert hands("view.segments.filter(isShown).length", scores=(-0.1, -0.5)) == 3
    assert hands("view.segments.filter(isShown).length", scores=(1.0, -0.5)) == 2
