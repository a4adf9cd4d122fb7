"""A folder of features that is filled by several commands, from files of any name, with a stand-in for the network."""

import errno
import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from tsc_jax.errors import InputError
from tsc_jax.video import folder
from tsc_jax.video.extract import WIDTH


@pytest.fixture
def seen(monkeypatch) -> list[str]:
    """Replaces the network; returns the names of the videos that it has seen."""
    names = []

    def extract(path, progress=None):
        names.append(path.name)
        return np.ones((3, WIDTH), np.float32)

    monkeypatch.setattr(folder, "make_extractor", lambda *arguments: extract)
    return names


def written(output: Path) -> set[str]:
    return {file.name for file in (output / "features").iterdir()}


def test_extractions_beside_each_other_complete_one_folder(tmp_path, seen, monkeypatch):
    output = tmp_path / "mine"

    def extract(path, progress=None):
        if path.name == "a1.mp4":  # while this video is computed, another command begins and ends
            monkeypatch.setattr(folder, "make_extractor", lambda *arguments: lambda *arguments: np.ones((3, WIDTH)))
            assert folder.extract_folder([Path("b0.mp4"), Path("a1.mp4")], output) == 0
        return np.ones((3, WIDTH), np.float32)

    monkeypatch.setattr(folder, "make_extractor", lambda *arguments: extract)
    assert folder.extract_folder([Path("a0.mp4"), Path("a1.mp4"), Path("a2.mp4")], output) == 0
    assert written(output) == {"a0.npy", "a1.npy", "a2.npy", "b0.npy"}
    assert {path.name for path in output.iterdir()} == {"features", "meta.json"}


def test_meta_json_is_written_where_it_differs(tmp_path, seen):
    folder.extract_folder([Path("a.mp4")], tmp_path)
    meta = tmp_path / "meta.json"
    before = meta.stat()
    folder.extract_folder([Path("b.mp4"), Path("c.mp4")], tmp_path)
    assert (meta.stat().st_ino, meta.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"classes": ["run"]}))
    folder.extract_folder([Path("d.mp4")], tmp_path)
    assert json.loads(meta.read_text())["classes"] == ["run"]


def test_a_folder_of_another_extractor_that_comes_meanwhile_is_not_mixed(tmp_path, monkeypatch):
    def extract(path, progress=None):
        (tmp_path / "meta.json").write_text('{"extractor": {"name": "CLIP"}}')
        return np.ones((3, WIDTH), np.float32)

    monkeypatch.setattr(folder, "make_extractor", lambda *arguments: extract)
    assert folder.extract_folder([Path("a.mp4")], tmp_path) == 1
    assert not list(tmp_path.rglob("*.npy"))


@pytest.mark.parametrize("letter", ["a", "я", "動"])
@pytest.mark.parametrize("suffix", [".mp4", ".ts", ""])
def test_a_long_name_costs_at_most_its_own_video(tmp_path, seen, capsys, letter, suffix):
    stem = letter * ((255 - len(suffix)) // len(letter.encode()))
    fits = len(f"{stem}.npy".encode()) <= 255
    failed = folder.extract_folder([Path(stem + suffix), Path("z.mp4")], tmp_path)
    assert failed == (not fits)
    assert written(tmp_path) == {"z.npy", *[f"{stem}.npy"] * fits}
    assert seen[-1] == "z.mp4" and len(seen) == 1 + fits  # nothing is computed that cannot be written
    assert capsys.readouterr().err.count("File name too long") == (not fits)


def test_errors_of_one_video_leave_the_others_and_a_full_disk_ends_all(tmp_path, monkeypatch):
    def extract(path, progress=None):
        if path.stem in faults:
            raise OSError(faults[path.stem], "is the reason", str(path))
        return np.ones((3, WIDTH), np.float32)

    monkeypatch.setattr(folder, "make_extractor", lambda *arguments: extract)
    videos = [Path(f"{name}.mp4") for name in "abc"]
    faults = {"a": errno.EIO, "b": errno.EACCES}
    assert folder.extract_folder(videos, tmp_path) == 2
    assert written(tmp_path) == {"c.npy"}
    faults = {"a": errno.ENOSPC}
    with pytest.raises(OSError, match="is the reason"):
        folder.extract_folder(videos, tmp_path)
    assert written(tmp_path) == {"c.npy"}


def test_two_spellings_of_one_name_are_one_name(tmp_path, seen):
    names = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    with pytest.raises(InputError, match="would write the same"):
        folder.extract_folder([Path(f"{name}.mp4") for name in names], tmp_path)
    assert not seen
