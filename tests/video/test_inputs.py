"""What users give as videos: files, folders, frames and lists; frames become the same features as the video of them."""

import io
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.layouts import save
from tests.video.videos import grey, moving, write_video
from tsc_jax.errors import InputError, InputWarning
from tsc_jax.predict import find_files
from tsc_jax.video.decode import read_frames, seconds, thumbnails
from tsc_jax.video.frames import FrameFolder, read_picture
from tsc_jax.video.inputs import find_videos, given_paths, videos_in


def write_frames(folder: Path, pictures, name="frame_{:06d}.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures, 1):
        Image.fromarray(picture).save(folder / name.format(number))
    return folder


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize("rate", [25, 10, 29.97, 50, 1])
def test_frames_are_shown_as_a_video_of_them_is(tmp_path, rate):
    pictures = moving(12, (48, 64), 0)
    folder = FrameFolder(write_frames(tmp_path / "clip", pictures, "{}.png"), rate)
    times = [Fraction(round(1000 * index / rate), 1000) for index in range(12)]
    video = write_video(tmp_path / "clip.mkv", pictures, times)
    shown, expected = (np.stack(list(read_frames(each))).astype(int) for each in (folder, video))
    assert abs(len(shown) - len(expected)) <= 1  # a Matroska file has whole milliseconds
    both = min(len(shown), len(expected))
    differs = [np.abs(one - other).max() > 2 for one, other in zip(shown[:both], expected[:both], strict=True)]
    assert sum(differs) <= both // 12
    assert seconds(folder) == pytest.approx(12 / rate)
    assert abs(len(shown) - 25 * 12 / rate) <= 1
    small = thumbnails(folder, 3, height=20)
    assert [time for time, _ in small] == pytest.approx([(index + 0.5) * 4 / rate for index in range(3)])
    assert all(Image.open(io.BytesIO(jpeg)).height == 20 for _, jpeg in small)


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    folder = FrameFolder(write_frames(tmp_path / "v", grey(12), "img{}.png"), 25)
    assert [round(frame.mean() / 3) for frame in read_frames(folder)] == list(range(12))
    assert (folder.stem, str(folder)) == ("v", str(tmp_path / "v"))
    (tmp_path / "v" / "img5.png").unlink()
    with pytest.warns(InputWarning, match="v: frame 4 is followed by frame 6; times count the files"):
        assert len(list(read_frames(FrameFolder(folder.folder, 25)))) == 11


def test_pictures_of_any_mode_are_upright_rgb(tmp_path):
    colour = np.zeros((4, 6, 3), np.uint8)
    colour[:, :3] = 255
    image = Image.fromarray(colour)
    for mode in ("L", "P", "RGBA", "CMYK"):
        image.convert(mode).save(tmp_path / f"{mode}.tif")
        np.testing.assert_array_equal(read_picture(tmp_path / f"{mode}.tif"), colour)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees
    image.save(tmp_path / "turned.png", exif=turned)
    np.testing.assert_array_equal(read_picture(tmp_path / "turned.png"), np.rot90(colour, -1))
    (tmp_path / "bad.png").write_bytes((tmp_path / "turned.png").read_bytes()[:60])
    with pytest.raises(InputError, match=r"bad\.png: cannot be read, expected a picture"):
        read_picture(tmp_path / "bad.png")


def test_videos_of_a_folder_leave_the_rest_out_with_a_count(tmp_path):
    touch(tmp_path, "b.mp4", "a.MKV", "below/c.webm", ".hidden.mp4", ".cache/d.mp4", ".DS_Store")
    assert [file.name for file in videos_in(tmp_path, None)] == ["a.MKV", "b.mp4", "c.webm"]
    touch(tmp_path, "b.srt", "below/c.srt", "README.txt", "poster.jpg", "LICENSE", "labels.csv")
    with pytest.warns(InputWarning) as told:
        files, failures = find_files([str(tmp_path)])
    assert [file.stem for file in files] == ["a", "b", "c"] and not failures
    (message,) = (str(each.message) for each in told)
    kinds = "2 .srt, 1 without suffix, 1 .txt, 1 .csv, 1 .jpg"
    assert message == f"{tmp_path}: files that are no videos are left out: {kinds}"


def test_a_folder_holds_one_kind(tmp_path):
    save(tmp_path / "features" / "a.npy", np.zeros((3, 4)))
    touch(tmp_path, "videos/b.mp4")
    files, failures = find_files([str(tmp_path), str(tmp_path / "features"), str(tmp_path / "videos")])
    assert [file.stem for file in files] == ["a", "b"]
    assert failures == [f"{tmp_path}: holds features (a.npy) and videos (b.mp4), expected a folder of one kind"]
    touch(tmp_path, "features/plot.png")
    assert [file.stem for file in find_files([str(tmp_path / "features")])[0]] == ["a"]
    touch(tmp_path, "empty/notes.txt")
    assert "has no videos, no frames and no .npy" in find_files([str(tmp_path / "empty")])[1][0]
    with pytest.raises(InputError, match="empty: this folder has no videos and no frames"):
        find_videos([str(tmp_path / "empty")], None)


def test_folders_of_frames_are_a_video_each(tmp_path, monkeypatch):
    for name in ("one", "two"):
        write_frames(tmp_path / "frames" / name, grey(3))
    frames = tmp_path / "frames"
    assert [(each.stem, each.frames_per_second) for each in find_videos([str(frames)], 30)] == [
        ("one", 30),
        ("two", 30),
    ]
    assert [each.stem for each in find_files([str(frames), str(frames / "two")], 30)[0]] == ["one", "two"]
    assert find_files([str(frames)])[1] == [
        f"{frames / 'one'}: has pictures, the frames of a video; give --frames_per_second"
    ]
    assert find_files([str(frames)], 0.0)[1] == ["--frames_per_second is 0.0, expected a positive number"]
    monkeypatch.chdir(frames / "two")
    assert [each.stem for each in find_videos(["."], 30)] == ["two"]


def test_a_list_names_an_input_in_each_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/x")
    names = ["b c.mp4", "cafe\u0301.mp4", "~/d.mp4"]
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n\n".join(names).encode() + b"\ncaf\xe9.mp4\n")
    expected = ["a.mp4", *names[:2], "/home/x/d.mp4", "caf\udce9.mp4"]
    assert given_paths(["a.mp4"], str(tmp_path / "list.txt")) == expected
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(InputError, match="found no inputs, expected arguments or --inputs"):
        given_paths([], str(tmp_path / "list.txt"))
    with pytest.raises(InputError, match=r"list\.txt, s3://b/x: is an address"):
        (tmp_path / "list.txt").write_text("s3://b/x")
        given_paths([], str(tmp_path / "list.txt"))


def test_a_video_named_twice_is_extracted_once(tmp_path):
    touch(tmp_path, "v/a.mp4")
    video = tmp_path / "v" / "a.mp4"
    assert find_videos([str(video), str(tmp_path / "v"), str(video)], None) == [video]
    shutil.rmtree(tmp_path / "v")
    assert find_videos([str(video)], None) == [video]  # extraction reports that it is missing
