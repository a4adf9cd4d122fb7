"""Files as cameras, converters and broken downloads leave them: the right pictures at the right times, or a warning."""

import io
import itertools
import re
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.video.videos import moving
from tsc_jax.errors import InputWarning
from tsc_jax.video.decode import read_frames, thumbnails
from tsc_jax.video.times import repetitions

PARTS = ("mp4", "mkv", "ts", "avi")


def encode(path: Path, frames, rate=25, codec="libx264", start=0.0, sound=0.0, pixel=None, **options) -> Path:
    """Writes frames with B-frames where the codec has them, and `sound` seconds of silence."""
    settings = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(path, "w", options=settings) as container:
        stream = container.add_stream(
            codec, rate=rate, options={"bf": "3", "preset": "ultrafast", "threads": "1"} | options
        )
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.codec_context.gop_size = "yuv420p", 25
        stream.codec_context.sample_aspect_ratio = pixel or Fraction(0)
        if sound:
            silence = container.add_stream("aac", rate=8000)
        for index, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, "rgb24")
            frame.pts, frame.time_base = index + round(start * rate), Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        for index in range(int(sound * 8000 / 1024)):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, 1024 * index, Fraction(1, 8000)
            container.mux(silence.encode(frame))
        if sound:
            container.mux(silence.encode())
    return path


def shades(number: int) -> list[np.ndarray]:
    return [np.full((48, 64, 3), 10 + 240 * index // number, np.uint8) for index in range(number)]


def numbers_shown(path: Path, number: int) -> list[int]:
    """Returns which of the `shades` is shown at each 25th of a second."""
    means = [frame.mean() for frame in read_frames(path)]
    return np.abs(np.subtract.outer(means, [frame.mean() for frame in shades(number)])).argmin(axis=1).tolist()


def warned(path: Path) -> tuple[list[np.ndarray], list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = list(read_frames(path))
    return frames, [str(each.message) for each in caught if each.category is InputWarning]


@pytest.mark.parametrize(("rate", "bf"), [(25, 3), (25, 16), (5, 3), (1, 3), (50, 2)])
def test_every_frame_of_an_avi_with_b_frames_is_shown_once(tmp_path, rate, bf):
    number = 40 if rate > 5 else 12
    path = encode(tmp_path / "a.avi", shades(number), rate, bf=str(bf), preset="medium")
    shown = numbers_shown(path, number)
    if rate == 50:
        assert len(shown) == 20 and set(np.diff(shown)) <= {1, 2, 3}
    else:
        assert shown == np.arange(number).repeat(25 // rate).tolist()


def test_a_stream_without_time_stamps_has_the_rate_of_its_frames(tmp_path):
    path = encode(tmp_path / "a.h264", shades(60), 50)
    assert len(numbers_shown(path, 60)) == 30


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_pictures_that_begin_after_the_sound_keep_their_times(tmp_path, kind):
    late = encode(tmp_path / f"late.{kind}", shades(20), start=2.0, sound=3.0)
    assert numbers_shown(late, 20) == [0] * 50 + list(range(20))
    small = [np.asarray(Image.open(io.BytesIO(jpeg))).mean() for _, jpeg in thumbnails(late, 3)]
    assert small[0] < 30 and small[-1] > 90
    soon = encode(tmp_path / f"soon.{kind}", shades(20), start=0.04, sound=3.0)
    assert numbers_shown(soon, 20) == list(range(20))


def test_a_start_that_makes_no_sense_changes_nothing():
    frames = [av.VideoFrame(16, 16, "rgb24") for _ in range(3)]
    for index, frame in enumerate(frames):
        frame.pts, frame.time_base = 10**6 + index, Fraction(1)
    assert [times for _, times in repetitions(frames, Fraction(1), Path("a"), Fraction(0))] == [25] * 3


@pytest.mark.parametrize(("turn", "mirror", "flip"), [*itertools.product([0, 90, 180, 270], [0, 1], [0, 1])])
def test_pictures_are_turned_and_mirrored_as_the_file_says(tmp_path, turn, mirror, flip):
    picture = moving(1, (64, 96), 0)[0]
    with av.open(tmp_path / "a.mp4", "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
        stream.set_display_rotation(turn, hflip=mirror, vflip=flip)
        frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        container.mux([*stream.encode(frame), *stream.encode()])
    shown = np.rot90(picture, turn // 90)
    shown = shown[:: -1 if flip else 1, :: -1 if mirror else 1]
    expected = next(read_frames(encode(tmp_path / "b.mp4", [np.ascontiguousarray(shown)], codec="mpeg4")))
    found = next(read_frames(tmp_path / "a.mp4")).astype(float)
    assert np.abs(found - expected).mean() < 12
    assert np.abs(found[::-1] - expected).mean() > 40


@pytest.mark.parametrize(("size", "shape"), [((48, 60), Fraction(8, 5)), ((48, 80), Fraction(1, 2))])
def test_wide_and_narrow_pixels_are_shown_in_their_shape(tmp_path, size, shape):
    picture = moving(1, (96, 160), 3)[0]
    whole = av.VideoFrame.from_ndarray(picture, "rgb24")
    width = round(size[1] * shape)
    for name, sides, pixel in (("square", (size[0], width), None), ("other", size, shape)):
        frame = whole.reformat(width=sides[1], height=sides[0]).to_ndarray(format="rgb24")
        encode(tmp_path / f"{name}.mp4", [frame], pixel=pixel, crf="1")
    square, other = (next(read_frames(tmp_path / f"{name}.mp4")).astype(float) for name in ("square", "other"))
    assert np.abs(square - other).mean() < 20
    (_, jpeg), *_ = thumbnails(tmp_path / "other.mp4", 1, height=24)
    assert Image.open(io.BytesIO(jpeg)).size == (round(24 * width / size[0]), 24)


@pytest.mark.parametrize(("kind", "default"), [("mkv", None), ("mkv", 0), ("mkv", 1), ("mp4", 0), ("mp4", 1)])
def test_of_two_streams_the_one_that_players_show_is_read(tmp_path, kind, default):
    values = (50, 200)
    with av.open(tmp_path / f"two.{kind}", "w") as container:
        streams = [container.add_stream("mpeg4", rate=25) for _ in values]
        for index, (stream, size) in enumerate(zip(streams, (32, 64), strict=True)):
            stream.height = stream.width = size
            stream.pix_fmt = "yuv420p"
            if default is not None:
                stream.disposition = av.stream.Disposition.default if index == default else 0
        for stream, value in zip(streams, values, strict=True):
            frame = av.VideoFrame.from_ndarray(np.full((stream.height, stream.width, 3), value, np.uint8), "rgb24")
            container.mux([*stream.encode(frame), *stream.encode()])
    (frame,), (warning,) = warned(tmp_path / f"two.{kind}")
    shown = 1 if default is None else default
    assert frame.mean() == pytest.approx(values[shown], abs=3)
    assert f"number {shown}, {(32, 64)[shown]} x " in warning


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("whole")
    return {kind: encode(folder / f"a.{kind}", moving(100, (96, 128), 0)) for kind in (*PARTS, "flv")}


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "flv"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
def test_a_file_that_ends_early_says_both_lengths(tmp_path, whole, kind, share):
    content = whole[kind].read_bytes()
    cut = tmp_path / f"cut.{kind}"
    cut.write_bytes(content[: int(len(content) * share)])
    frames, told = warned(cut)
    assert 0 < len(frames) < 95
    (lengths,) = [re.search(r"([\d.]+) s in its header, ([\d.]+) s could be decoded", each) for each in told[-1:]]
    assert float(lengths[1]) == pytest.approx(4, abs=0.1) and float(lengths[2]) == pytest.approx(
        len(frames) / 25, abs=0.1
    )


@pytest.mark.parametrize("kind", [*PARTS, "flv"])
def test_of_a_whole_file_nothing_is_said(tmp_path, whole, kind):
    assert warned(whole[kind])[1] == []
    if kind in ("mp4", "mkv"):  # sound that is longer than the pictures is no lack of pictures
        assert warned(encode(tmp_path / f"sound.{kind}", shades(30), sound=4.0))[1] == []


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("at", [0.4, 0.7])
def test_damage_costs_what_is_damaged_and_is_told(tmp_path, whole, kind, at):
    content = bytearray(whole[kind].read_bytes())
    begin, size = int(len(content) * at), len(content) // 10
    content[begin : begin + size] = bytes(size)
    bad = tmp_path / f"bad.{kind}"
    bad.write_bytes(content)
    expected, (frames, told) = list(read_frames(whole[kind])), warned(bad)
    stretches = re.search(r"missing or damaged at (.*) seconds", told[0])[1]
    times = [float(number) for number in re.findall(r"[\d.]+", stretches)]
    before = int(25 * min(times))
    assert 20 < before <= len(frames) and max(times) < 4
    same = [np.array_equal(*pair) for pair in zip(frames, expected, strict=False)]
    assert sum(same[: before - 16]) == max(before - 16, 0)
    if kind == "avi":  # counts frames instead of giving their times
        return
    assert len(frames) == pytest.approx(100, abs=1) or "shorter" in told[1]
    assert at > 0.5 or same[-5:] == [True] * 5  # a key frame follows the damage
