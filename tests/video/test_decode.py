"""Frames come at 25 per second at any rate of the file, upright and cropped; thumbnails come from their own time."""

import io
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.video.videos import grey, moving, write_sound, write_video
from tsc_jax.errors import InputError
from tsc_jax.video.decode import read_frames, seconds, thumbnails
from tsc_jax.video.times import repetitions

RNG = np.random.default_rng(0)
TIMES = {
    "25 a second": [Fraction(index, 25) for index in range(20)],
    "30 a second": [Fraction(round(1000 * index / 30), 1000) for index in range(40)],
    "50 a second": [Fraction(index, 50) for index in range(40)],
    "10 a second": [Fraction(index, 10) for index in range(10)],
    "variable": np.cumsum([Fraction(int(gap), 1000) for gap in RNG.integers(5, 200, 30)]).tolist(),
    "a still": [Fraction(0), Fraction(1, 25), Fraction(3), Fraction(76, 25)],
}


def shown(times: list[Fraction]) -> list[int]:
    """Returns the frame shown at each 25th of a second: the last one whose rounded time has come."""
    places = np.floor([25 * (time - times[0]) + Fraction(1, 2) for time in times])
    return [int(np.flatnonzero(places <= place)[-1]) for place in range(int(places[-1]))]


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_time_stamps_decide_which_frame_is_shown(tmp_path, times):
    path = write_video(tmp_path / "video.mkv", grey(len(times)), times)
    frames_shown = [round(frame.mean() / 3) for frame in read_frames(path)]
    expected = shown(times)
    assert frames_shown[: len(expected)] == expected
    # The last frame lasts as long as the one before.
    rest = frames_shown[len(expected) :]
    assert set(rest) <= {len(times) - 1}
    assert len(rest) == pytest.approx(25 * (times[-1] - times[-2]), abs=1)


def test_a_start_later_than_zero_changes_nothing(tmp_path):
    times = TIMES["variable"]
    early, late = (
        list(read_frames(write_video(tmp_path / f"{start}.mkv", grey(30), [start + time for time in times])))
        for start in (0, 7)
    )
    np.testing.assert_array_equal(early, late)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 80), (90, 50), (300, 400), (256, 256)])
def test_the_centre_is_cut_out_in_its_proportions(tmp_path, height, width):
    # Red grows to the right and green downwards, so a pixel's colour gives its place.
    down, right = np.mgrid[:height, :width]
    ramp = np.stack([255 * (right + 0.5) / width, 255 * (down + 0.5) / height, np.zeros((height, width))], axis=-1)
    (frame,) = read_frames(write_video(tmp_path / "video.mkv", [ramp.round().astype(np.uint8)]))
    assert (frame.shape, frame.dtype) == ((224, 224, 3), np.uint8)
    shorter = min(height, width)
    half = 255 * 224 / 256 * shorter / 2
    for channel, axis, side in ((0, 0, width), (1, 1, height)):
        line = frame[..., channel].mean(axis)
        assert line[0] == pytest.approx(127.5 - half / side, abs=3)
        assert line[-1] == pytest.approx(127.5 + half / side, abs=3)


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_videos_of_a_turned_phone_are_upright(tmp_path, rotation):
    """The file gives the angle by which to turn the picture counter-clockwise."""
    picture = moving(1, (64, 96), 0)[0]
    plain = write_video(tmp_path / "plain.mp4", [np.rot90(picture, rotation // 90)] * 2, codec="mpeg4")
    turned = write_video(tmp_path / "turned.mp4", [picture] * 2, codec="mpeg4", rotation=rotation)
    expected, upright = (next(read_frames(path)).astype(float) for path in (plain, turned))
    assert np.abs(upright - expected).mean() < 12
    assert all(np.abs(np.rot90(upright, turns) - expected).mean() > 40 for turns in (1, 2, 3))


def test_thumbnails_show_their_time(tmp_path):
    path = write_video(tmp_path / "video.mp4", grey(75, size=64), codec="mpeg4")
    pictures = thumbnails(path, 5, height=20)
    assert [time for time, _ in pictures] == pytest.approx([0.3, 0.9, 1.5, 2.1, 2.7])
    for time, content in pictures:
        picture = Image.open(io.BytesIO(content))
        assert (picture.format, picture.size) == ("JPEG", (20, 20))
        assert np.asarray(picture).mean() == pytest.approx(3 * 25 * time, abs=6)
    assert seconds(path) == pytest.approx(3)


def test_a_file_without_video_is_one_sentence(tmp_path, monkeypatch):
    whole = write_video(tmp_path / "whole.mp4", moving(30, (64, 64), 0), codec="mpeg4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("a list of words\n" * 2000)
    write_sound(tmp_path / "sound.wav")
    (tmp_path / "folder.mp4").mkdir()
    messages = {
        "half.mp4": "cannot be decoded (Invalid data found",
        "text.mp4": "cannot be decoded (Invalid data found",
        "empty.mp4": "cannot be decoded (",
        "sound.wav": "has audio, expected a video",
        "notes.txt": "has text, expected a video",
        "folder.mp4": "is a folder, expected a video file",
        "none.mp4": "no such file, expected a video file",
    }
    for name, message in messages.items():
        for read in (lambda path: list(read_frames(path)), seconds, lambda path: thumbnails(path, 3)):
            with pytest.raises(InputError) as caught:
                read(tmp_path / name)
            assert str(caught.value).startswith(f"{tmp_path / name}: {message}")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"package av, which is not installed: pip install -r requirements-video.txt"):
        next(read_frames(tmp_path / "whole.mp4"))


def test_a_colon_in_a_name_is_not_a_protocol(tmp_path, monkeypatch):
    write_video(tmp_path / "12:30.mkv", grey(2))
    monkeypatch.chdir(tmp_path)
    assert len(list(read_frames("12:30.mkv"))) == 2


def test_tags_in_an_old_encoding_do_not_matter(tmp_path):
    path = write_video(tmp_path / "video.mkv", grey(2), title="été")
    content = path.read_bytes()
    assert content.count("été".encode()) == 1
    path.write_bytes(content.replace("été".encode(), "étéé!".encode("latin-1")))
    assert len(list(read_frames(path))) == 2


def frame_at(time: Fraction | None) -> av.VideoFrame:
    frame = av.VideoFrame(16, 16, "rgb24")
    if time is not None:
        frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
    return frame


@pytest.mark.parametrize(("third", "shown"), [(100_000, "100000"), (-5, "-5")])
def test_time_stamps_that_jump_are_one_sentence(third, shown):
    frames = map(frame_at, [0, 1, third])
    with pytest.raises(InputError, match=rf"^a\.mkv: its time stamps jump from 1 to {shown} seconds$"):
        list(repetitions(frames, Fraction(1, 25), Path("a.mkv")))


def test_frames_without_time_stamps_keep_their_distance():
    known = [Fraction(index, 10) for index in range(8)]
    partly = [time if index in (0, 1, 4) else None for index, time in enumerate(known)]
    expected, guessed = (
        [times for _, times in repetitions(map(frame_at, of), Fraction(1, 10), Path("a.mkv"))] for of in (known, partly)
    )
    assert guessed == expected
    assert sum(expected) == 20
