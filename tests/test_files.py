"""A file or folder is replaced as a whole, or stays as it was."""

import os
import platform
import resource
import stat
import unicodedata

import pytest

from tsc_jax.errors import InputError
from tsc_jax.evaluation import results
from tsc_jax.files import check_target, file_names, local_path, replacing, write_text

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
    with pytest.raises(InputError, match=r"file: cannot be written \(No such file"), replacing(tmp_path / "file"):
        pass
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("as_folder", [False, True])
def test_what_a_killed_process_left_behind_is_replaced(tmp_path, as_folder):
    with pytest.raises(InputError), replacing(tmp_path / "file") as temporary:
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


def test_what_a_link_points_to_is_written(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for name in ("there", "not yet there"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "elsewhere" / "there").write_text("before")
    for name in ("there", "not yet there"):
        write_text(tmp_path / name, "after")
        assert (tmp_path / name).is_symlink() and (tmp_path / "elsewhere" / name).read_text() == "after"


def test_a_device_stays_a_device(tmp_path):
    check_target("output", "/dev/null")
    write_text("/dev/null", "text")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(InputError, match=r"/dev/full: cannot be written \(No space left on device\)"):
        write_text("/dev/full", "text")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", "text")
    assert os.read(reader, 9) == b"text"
    os.close(reader)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path):
    (tmp_path / "file").write_text("before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"/file: cannot be written \(File too large\)"):
            write_text(tmp_path / "file", "after" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "before"


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="input"), replacing(tmp_path / "file"):
        (tmp_path / "input").read_text()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "is a folder"),
        ("missing/file", "its folder does not exist"),
        ("n" * 300, r"cannot be written \(File name too long\)"),
        ("file/below", "its folder does not exist"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_the_work(tmp_path, path, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=message):
        check_target("output", tmp_path / path)
    check_target("output", tmp_path / "file")


def test_a_folder_that_takes_no_file_is_told_before_the_work():
    with pytest.raises(InputError, match=r"--output /proc/file: cannot be written"):
        check_target("output", "/proc/file")


def test_an_address_is_no_path(tmp_path, monkeypatch):
    for address in ("gs://bucket/run", "s3:/bucket", "https://x.org/a.npy"):
        with pytest.raises(InputError, match="is an address"):
            local_path(address)
    monkeypatch.setenv("HOME", "/home/x")
    others = ["a~", "C:/a", "a:b"]
    assert [local_path(path) for path in ("~", "~/a", *others)] == ["/home/x", "/home/x/a", *others]


@pytest.mark.parametrize("form", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_an_open_stream_goes_on(tmp_path, form):
    reading, writing = os.pipe()
    write_text(form.format(writing), "piped")
    assert os.read(reading, 100) == b"piped"
    with (tmp_path / "all.txt").open("wb", buffering=0) as file:
        file.write(b"before ")
        check_target("csv", form.format(file.fileno()))
        write_text(form.format(file.fileno()), "table ")
        file.write(b"after")
    assert (tmp_path / "all.txt").read_text() == "before table after"
    os.close(reading), os.close(writing)


def test_partial_files_of_other_machines_are_left_alone(tmp_path, monkeypatch):
    with monkeypatch.context() as other, replacing(tmp_path / "a") as theirs:
        other.setattr(platform, "node", lambda: "another machine")
        theirs.write_text("theirs")
        dead = theirs.with_name(theirs.name.replace(str(os.getpid()), str(2**22 + 1)))
        dead.write_text("of a process that this machine does not have")
        with replacing(tmp_path / "a") as ours:
            ours.write_text("ours")
        assert theirs.exists() and dead.exists()
    assert (tmp_path / "a").read_text() == "theirs"


@pytest.mark.parametrize("letter", "a動")
def test_names_of_videos_become_names_of_files(tmp_path, letter):
    names = ["a/b", letter * 300, letter * 301, letter * 84 + "x", "c/d", "C_d", "caf\u00e9", "cafe\u0301"]
    files = file_names(names, ".png")
    assert files[0] == "a_b.png"
    assert len({unicodedata.normalize("NFC", file).casefold() for file in files}) == len(names)
    assert file_names(names[:1], ".png") == files[:1]
    for file in files:
        write_text(tmp_path / file, "")
