"""The page of timelines under wheel, keys, mouse and fingers, in a real browser."""

import numpy as np
import pytest

from tests.report.browser import Browser
from tsc_jax.data.clock import Clock
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

    def run(expression, scores=(1.0, 0.5), names=("video",), offset=0.0, before=""):
        path = tmp_path_factory.mktemp("page") / "page.html"
        predictions = make_segments(0, [0, 0], [20, 60], [30, 64], scores)
        curves = np.ones((int(SECONDS * RATE), 2)), np.full(int(SECONDS * RATE), 0.5)
        truth = make_segments(0, [0], [22], [34])
        videos = [VideoTimeline(name, SECONDS, predictions, truth, *curves) for name in names]
        write_timelines(path, "title", ["run"], Clock(RATE, offset), videos)
        return browser.run(path, f"{HANDS}\n{before}\nconst outcome = {expression};")

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


def test_curves_start_at_the_offset(hands):
    seen = hands(
        """{
          extent: view.extent,
          values: [3.9, 4.1, 53.9, 54.1, 103.9, 104.1].map((time) => valueAt(view.curves.attention, time) ?? null),
          area: (() => {
            const lane = lanes.find((each) => each.kind === "attention");
            drawLane(lane);
            const { width, height } = lane.canvas;
            const row = lane.canvas.getContext("2d").getImageData(0, 0.8 * height, width, 1).data;
            const filled = [...Array(width).keys()].filter((x) => row[4 * x + 3] > 0 && row[4 * x + 3] < 255);
            return [filled[0] / width, filled.at(-1) / width];
          })(),
        }""",
        offset=4.0,
    )
    assert seen["extent"] == 104
    assert seen["values"] == [None, 0.5, 0.5, 0.5, 0.5, None]
    assert seen["area"] == pytest.approx([4 / 104, 100 / 104], abs=0.01)  # what comes after the end is grey


FILES = """
const file = (name) => new File(["x"], name, { type: "video/webm" });
const give = (...names) => {
  const list = new DataTransfer();
  names.forEach((name) => list.items.add(file(name)));
  byId("files").files = list.files;
  byId("files").dispatchEvent(new Event("change"));
  return [view.video.name, played && played.name, byId("told").textContent];
};
let plays = 0;
player.play = () => (plays++, Promise.resolve());
"""


def test_a_file_goes_to_the_video_of_its_name(hands):
    seen = hands(
        """{
          hidden: player.hidden,
          other: give("holiday.mp4"),
          several: give("holiday.mp4", "b.webm", "cafe\u0301.mp4", "notes.txt"),
          blob: player.src.startsWith("blob:"),
          next: (show(2), [played.name, player.hidden]),
          without: (show(3), [played, player.hidden, player.hasAttribute("src")]),
          first: (show(0), played.name),
          whole: give("x/b"),
          dotted: give("v1.2"),
        }""",
        names=["a", "x/b", "caf\u00e9", "v1.2"],
        before=FILES,
    )
    assert seen["hidden"] is True
    assert seen["other"] == ["a", "holiday.mp4", "holiday.mp4"]  # a single file is for the shown video
    name, played, told = seen["several"]
    assert (name, played) == ("x/b", "b.webm")  # the first of them, as the shown one has none among them
    assert told == "2 files named after no video: holiday.mp4, notes.txt"
    assert seen["blob"] and seen["next"] == ["cafe\u0301.mp4", False]
    assert seen["without"] == [None, True, False]
    assert seen["first"] == "holiday.mp4"
    assert seen["whole"][0] == "x/b" and seen["dotted"][0] == "v1.2"


def test_a_click_plays_from_the_segment_and_the_cursor_follows(hands):
    seen = hands(
        """{
          without: (key("ArrowDown"), [player.currentTime, plays, key(" ")]),
          opened: give("video.mp4"),
          clicked: (() => {
            send("pointerdown", 0.62, {}, "action", 20); send("pointerup", 0.62, {}, "action", 20);
            return [player.currentTime, plays];
          })(),
          cursor: (unhover(), drawCursor(), [byId("cursor").hidden, byId("now").textContent]),
          beside: (() => {
            send("pointerdown", 0.5, {}, "action", 20); send("pointerup", 0.5, {}, "action", 20);
            return [player.currentTime, plays];
          })(),
          chosen: (key("ArrowUp"), [player.currentTime, view.chosen.start, plays]),
          space: [key(" "), plays],
          left: (() => {
            setWindow(0, 40, 0);
            player.currentTime = 39; follow();
            const before = shown();
            player.currentTime = 41; follow();
            return [before, shown()];
          })(),
          stays: (() => {  // the reader looks elsewhere while it plays
            setWindow(0, 10, 0);
            followed = 50; player.currentTime = 51; follow();
            return shown();
          })(),
          sought: after(() => { player.currentTime = 80; player.dispatchEvent(new Event("seeked")); }),
        }""",
        before=FILES,
    )
    assert seen["without"] == [0, 0, True]
    assert seen["opened"] == ["video", "video.mp4", "video.mp4"]
    assert seen["clicked"] == [60, 1]
    assert seen["cursor"] == [False, "1:00.0"]
    assert seen["beside"] == [pytest.approx(50), 1]
    assert seen["chosen"] == [60, 60, 1]
    assert seen["space"] == [False, 2]
    assert seen["left"] == [[0, 40], [41, 81]]
    assert seen["stays"] == [0, 10]
    assert seen["sought"] == [79, 89]
