"""The page of timelines holds what it was given, and a real browser draws it."""

import re

import hypothesis
import hypothesis.strategies as st
import matplotlib.image
import numpy as np
import pytest

from tests.report.browser import Browser
from tests.report.pages import Page
from tests.report.test_page import HOSTILE, themes
from tsc_jax.data.clock import Clock
from tsc_jax.localization.segments import make_segments
from tsc_jax.report.lanes import colour_classes, shown_classes
from tsc_jax.report.page import sayable
from tsc_jax.report.timelines import LANES, LISTED, VideoTimeline, write_timelines

# One pixel, red.
JPEG = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb004300" + "01" * 64 + "ffc0000b080001000101011100ffc40014000100000000"
    "00000000000000000000000009ffc40014100100000000000000000000000000000000ffda0008010100003f0054dfffd9"
)
RATE = 1.5
NOTHING = make_segments([], [], [], [])


def random_video(seed, name="video", snippets=40, classes=8, number=30, truth=True):
    """Makes a video with random segments and curves."""
    rng = np.random.default_rng(seed)
    duration = snippets / RATE
    times = np.sort(rng.uniform(0, duration, (number, 2)))
    predictions = make_segments(0, rng.integers(classes, size=number), *times.T, rng.normal(0.5, 0.3, number))
    known = make_segments(0, [0, 1], [1, 3], [2, 5]) if truth else None
    cas = rng.normal(0, 5, (snippets, classes + 1))
    return VideoTimeline(name, duration, predictions, known, cas, rng.uniform(size=snippets), [(1.0, JPEG)])


def written(path, videos, classes=8, title="title"):
    """Writes the page of `videos` and parses it; `classes` is the number of classes or their names."""
    names = [f"action {i}" for i in range(classes)] if isinstance(classes, int) else classes
    write_timelines(path, title, names, Clock(RATE), videos)
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_holds_what_it_was_given_to_three_digits(tmp_path):
    videos = [random_video(0), random_video(1, truth=False, snippets=7)]
    page = written(tmp_path / "page.html", videos)
    index = page.data("index")
    assert (index["snippets_per_second"], index["offset"]) == (RATE, 0)
    for place, (video, entry) in enumerate(zip(videos, index["videos"], strict=True)):
        columns = (video.predictions.label, video.predictions.start, video.predictions.end, video.predictions.score)
        best_first = np.stack(columns, axis=1)[np.argsort(-video.predictions.score)]
        np.testing.assert_allclose(entry["predictions"], best_first, atol=5.001e-4)
        assert entry["truth"] == (None if video.truth is None else [[0, 1, 2], [1, 3, 5]])
        curves = page.data(f"curves-{place}")
        np.testing.assert_allclose(np.array(curves["attention"]) / 1000, video.attention, atol=5.001e-4)
        drawn = np.array([*curves["activations"], curves["background"]]).T / 1000
        np.testing.assert_allclose(drawn, video.cas[:, [*entry["lanes"], -1]], atol=5.001e-4)
        assert len(entry["lanes"]) == LANES


def test_lanes_are_the_true_classes_then_the_best_predicted():
    truth = make_segments(0, [4, 2], [0, 0], [1, 1])
    predictions = make_segments(0, [1, 2, 3, 1], [0] * 4, [1] * 4, [0.1, 0.9, 0.5, 0.8])
    assert shown_classes(truth, predictions) == [2, 4, 1, 3]


@hypothesis.given(st.lists(st.lists(st.integers(0, 19), max_size=4, unique=True), max_size=3))
def test_few_classes_shown_never_share_a_colour(shown):
    colours = colour_classes(20, shown, 8)
    assert set(colours) <= set(range(8))
    once = {label for labels in shown for label in labels}
    for labels in shown:
        assert len(once) > 8 or len({colours[label] for label in labels}) == len(labels)
    assert len(once) > 8 or {colours[label] for label in once} == set(range(len(once)))


@hypothesis.given(st.text() | st.just(HOSTILE), st.text() | st.just(HOSTILE))
@hypothesis.settings(max_examples=20, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_names_from_outside_stay_text(tmp_path, name, label):
    usual = written(tmp_path / "a.html", [random_video(0)])
    page = written(tmp_path / "b.html", [random_video(0, name)], [label, *"bcdefgh"], name)
    assert page.tags == usual.tags
    assert [key for key, _ in page.attributes] == [key for key, _ in usual.attributes]
    assert page.data("index")["videos"][0]["name"] == sayable(name)
    assert page.data("index")["classes"][0] == sayable(label)


def test_the_page_asks_the_network_for_nothing_and_is_the_same_twice(tmp_path):
    page = written(tmp_path / "a.html", [random_video(0)])
    written(tmp_path / "b.html", [random_video(0)])
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert text == (tmp_path / "b.html").read_text(encoding="utf-8")
    assert not {"src", "href", "srcset", "action", "data"} & {name for name, _ in page.attributes}
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttpRequest|WebSocket|\bimport\b", text)


def test_tables_are_there_without_javascript(tmp_path):
    video = random_video(0, number=LISTED + 5)
    empty = VideoTimeline("empty", 0, NOTHING, None, np.zeros((0, 9)), np.zeros(0))
    page = written(tmp_path / "page.html", [video, empty])
    assert page.tags.count("tr") == 2 + 2 + LISTED
    assert f"the best {LISTED} of {LISTED + 5}" in page.text
    assert "predictions: none" in page.text


def test_gaps_are_null_and_arrays_that_do_not_fit_are_refused(tmp_path):
    video = random_video(0, snippets=3)
    video.attention[1], video.cas[2] = np.nan, np.inf
    curves = written(tmp_path / "page.html", [video]).data("curves-0")
    assert curves["attention"][1] is None
    assert all(curve[2] is None for curve in [*curves["activations"], curves["background"]])
    with pytest.raises(ValueError, match=r"video: cas \(3, 9\) and attention \(3,\), expected \[T, 3\]"):
        write_timelines(tmp_path / "page.html", "title", ["a", "b"], Clock(RATE), [video])


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    return Browser(tmp_path_factory.mktemp("profile"))


def lanes_of(dom):
    return re.findall(r'class="lane" data-lane="(\w+)" data-predictions="(\d+)" data-truth="(\d+)"', dom)


def test_a_browser_draws_the_lanes(tmp_path, browse):
    one = VideoTimeline(HOSTILE, 1 / RATE, NOTHING, NOTHING, np.ones((1, 4)), np.ones(1))
    predictions = make_segments(0, [0, 0, 2], [1, 2, 5], [4, 5, 9], [1.0, 0.5, 0.05])
    truth = make_segments(0, [1], [3], [5])
    usual = VideoTimeline("usual", 12, predictions, truth, np.ones((18, 4)), np.ones(18), [(1, JPEG)])
    written(tmp_path / "page.html", [one, usual], [HOSTILE, "b", "c"], HOSTILE)
    address = (tmp_path / "page.html").as_uri()
    dom, messages = browse(address, "--dump-dom")
    assert not messages
    assert [lane for lane, *_ in lanes_of(dom)] == ["whole", "axis", "attention", "background"]
    dom, messages = browse(f"{address}#2", "--dump-dom")
    assert not messages
    actions = [(int(predictions), int(truth)) for lane, predictions, truth in lanes_of(dom) if lane == "action"]
    # Class 2 is below the slider, at a tenth of the best score.
    assert actions == [(0, 1), (2, 0)]
    assert "frames" in [lane for lane, *_ in lanes_of(dom)]
    assert re.search(r'<p id="problem"[^>]* hidden=""', dom)


@pytest.mark.parametrize(("theme", "setting"), [("light", 1), ("dark", 0)])
def test_a_browser_shows_both_themes(tmp_path, browse, theme, setting):
    predictions = make_segments(0, [0], [1], [9], [1.0])
    video = VideoTimeline("video", 12, predictions, None, np.ones((18, 2)), np.ones(18))
    written(tmp_path / "page.html", [video], 1)
    picture = tmp_path / "page.png"
    flags = (f"--blink-settings=preferredColorScheme={setting}", f"--screenshot={picture}")
    browse((tmp_path / "page.html").as_uri(), *flags)
    pixels = np.rint(matplotlib.image.imread(picture)[..., :3] * 255).astype(int)
    colours = {name: list(bytes.fromhex(value)) for name, value in themes()[theme].items()}
    assert (pixels[0, 0] == colours["page"]).all()
    # The bar of the prediction, at full strength: two thirds of the timeline.
    bar = (pixels == colours["colour-0"]).all(axis=-1).sum(axis=1).max()
    timeline = 1000 - 2 * (20 + 1 + 15) - 160
    assert abs(bar - timeline * 8 / 12) < 12
