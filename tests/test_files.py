"""A file or folder is replaced as a whole, or stays as it was."""

import os

import pytest

from tsc_jax.evaluation import results
from tsc_jax.files import replacing, write_text

LONGEST = "n" * 255  # bytes; no usual file system takes a longer name


def test_a_file_is_replaced_when_the_block_ends(tmp_path):
    path = tmp_path / LONGEST
    path.write_text("before")
    with replacing(path) as temporary:
        temporary.write_text("after")
        assert path.read_text() == "before"
        assert temporary.parent == path.parent  # a rename cannot cross file systems
    assert path.read_text() == "after"
    assert os.listdir(tmp_path) == [LONGEST]


def test_a_folder_is_written_whole(tmp_path):
    with replacing(tmp_path / LONGEST) as temporary:
        (temporary / "inner").mkdir(parents=True)
        (temporary / "inner" / "file").write_text("content")
    assert (tmp_path / LONGEST / "inner" / "file").read_text() == "content"
    assert os.listdir(tmp_path) == [LONGEST]


@pytest.mark.parametrize("as_folder", [False, True])
def test_after_an_error_everything_is_as_before(tmp_path, as_folder):
    path = tmp_path / "kept"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        if as_folder:
            temporary.mkdir()
        (temporary / "inner" if as_folder else temporary).write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["kept"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file"):
        pass
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("as_folder", [False, True])
def test_what_a_killed_process_left_behind_is_replaced(tmp_path, as_folder):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file") as temporary:
        pass
    if as_folder:
        temporary.mkdir()
    leftover = temporary / "old" if as_folder else temporary
    leftover.write_text("left behind by another process")
    write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


def test_two_files_are_written_at_once(tmp_path):
    with replacing(tmp_path / "a") as first, replacing(tmp_path / "b") as second:
        first.write_text("1")
        second.write_text("2")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["1", "2"]


def test_results_may_have_the_longest_name(tmp_path):
    path = tmp_path / ("n" * 250 + ".json")
    results.write_json(path, {"a": 1})
    assert path.read_bytes() == b'{"a": 1}\n'


def test_text_has_the_same_bytes_on_every_machine(tmp_path):
    write_text(tmp_path / "a", "é\n\ntwo")
    assert (tmp_path / "a").read_bytes() == "é\n\ntwo".encode()
