"""Opening a prepared data set: its index, concurrent readers, earlier versions, and missing or damaged files."""

import dataclasses
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.data.small import make_source, prepared
from tsc_jax.data import builder
from tsc_jax.data.builder import prepare, prepared_folder
from tsc_jax.data.dataset import Dataset, open_dataset
from tsc_jax.data.index import seal
from tsc_jax.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_a_data_set_that_is_not_prepared_says_how_to(tmp_path):
    with pytest.raises(
        InputError, match=r"small is not prepared; run python -m launch\.prepare --name small .* --source"
    ):
        open_dataset(tmp_path, "small")
    with pytest.raises(InputError, match=r"launch\.prepare --name watch_sessions --data_dir [^ ]*$"):
        open_dataset(tmp_path, "watch_sessions")


@pytest.mark.parametrize("pattern", ["metadata.json", "features.json", "dataset_info.json", "*train*", "*test*"])
@pytest.mark.parametrize("damage", ["removed", "cut"])
def test_a_damaged_data_set_is_an_input_error(tmp_path, pattern, damage):
    prepared(make_source(), tmp_path)
    (file,) = prepared_folder(tmp_path, "small").glob(pattern)
    content = file.read_bytes()
    file.unlink()
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"wtal/small/1\.0\.0: the prepared data set is damaged"):
        open_dataset(tmp_path, "small")


def change_metadata(data_dir: Path, change) -> None:
    file = prepared_folder(data_dir, "small") / "metadata.json"
    metadata = json.loads(file.read_text())
    change(metadata)
    file.write_text(json.dumps(metadata))


def without_index(metadata: dict) -> None:
    del metadata["index"], metadata["index_seal"]


def facts(dataset: Dataset) -> list:
    """The videos of a data set, in a form that can be compared."""
    return [
        [value.tolist() if isinstance(value, np.ndarray) else value for value in dataclasses.astuple(video)]
        for video in (*dataset.train.videos, *dataset.test.videos)
    ]


def features(dataset: Dataset) -> list:
    splits = (dataset.train, dataset.test)
    return [split.features(place).tolist() for split in splits for place in range(len(split.videos))]


@pytest.fixture
def in_another_order(monkeypatch):
    """Data sets are prepared with their records in another order than the index says, as earlier versions did."""
    records = builder._records
    monkeypatch.setattr(builder, "_records", lambda *arguments: [*records(*arguments)][::-1])


def test_records_are_damaged_only_for_those_who_read_them(tmp_path):
    before, source = prepared(make_source(), tmp_path), make_source()
    for file in prepared_folder(tmp_path, "small").glob("*array_record*"):
        damaged = file.read_bytes()
        for video in (*source.splits["train"], *source.splits["test"]):
            whole = video.read_features().tobytes()
            damaged = damaged.replace(whole, whole[::-1])
        file.write_bytes(damaged)
    after = open_dataset(tmp_path, "small")
    assert facts(after) == facts(before)
    with pytest.raises(InputError, match=r"wtal/small/1\.0\.0: the prepared data set is damaged \(.+--overwrite"):
        after.train.features(0)


def test_a_data_set_without_an_index_opens_as_before_and_nothing_is_written(tmp_path, in_another_order):
    assert prepare(make_source, "small", tmp_path / "earlier")
    change_metadata(tmp_path / "earlier", without_index)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "earlier").rglob("*")}
    earlier = open_dataset(tmp_path / "earlier", "small")
    assert [video.name for video in earlier.train.videos] == ["v1", "v2", "v3"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "earlier").rglob("*")} == files
    assert earlier.train.records.tolist() == [2, 1, 0]
    examples = {video.name: video for video in make_source().splits["train"]}
    for place, video in enumerate(earlier.train.videos):
        np.testing.assert_array_equal(earlier.train.features(place), examples[video.name].read_features())


def test_index_and_records_say_the_same(tmp_path):
    indexed = prepared(make_source(), tmp_path)
    change_metadata(tmp_path, without_index)
    earlier = open_dataset(tmp_path, "small")
    assert (facts(earlier), features(earlier)) == (facts(indexed), features(indexed))


def test_records_may_fill_several_files(tmp_path, monkeypatch):
    whole = prepared(make_source(), tmp_path / "whole")
    monkeypatch.setattr(builder, "VIDEOS_PER_FILE", 2)
    parted = prepared(make_source(), tmp_path / "parted")
    assert len([*prepared_folder(tmp_path / "parted", "small").glob("*train*")]) == 2
    assert (facts(parted), features(parted)) == (facts(whole), features(whole))


def test_records_that_are_not_those_of_the_index_are_found(tmp_path, in_another_order):
    dataset = prepared(make_source(), tmp_path)
    with pytest.raises(InputError, match=r'damaged \(record 0 of train is "v3" with \d snippets, expected "v1"'):
        dataset.train.features(0)


def another_duration(metadata: dict) -> None:
    metadata["index"]["train"][0]["duration"] += 1e-9


def another_fingerprint(metadata: dict) -> None:
    metadata["fingerprint"] = "0" * 64


def one_video_less(metadata: dict) -> None:
    metadata["index"]["test"].pop()
    metadata["index_seal"] = seal(metadata["index"], metadata["fingerprint"])


@pytest.mark.parametrize("change", [another_duration, another_fingerprint, one_video_less])
def test_an_index_of_other_data_is_an_input_error(tmp_path, change):
    prepared(make_source(), tmp_path)
    change_metadata(tmp_path, change)
    with pytest.raises(InputError, match=r"wtal/small/1\.0\.0: the prepared data set is damaged \(its .+--overwrite"):
        open_dataset(tmp_path, "small")


def test_unknown_metadata_is_ignored(tmp_path):
    before = prepared(make_source(), tmp_path)
    file = prepared_folder(tmp_path, "small") / "metadata.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "train_fingerprint": "0", "more": [1]}))
    after = open_dataset(tmp_path, "small")
    assert (after.fingerprint, after.classes, after.width) == (before.fingerprint, before.classes, before.width)


def test_an_embedded_data_set_is_found_where_former_versions_put_it(tmp_path):
    assert prepared_folder(tmp_path, "watch_sessions") == tmp_path / "wtal" / "watch_sessions" / "1.0.0"
    written = prepared(make_source(), tmp_path, "watch_sessions")
    shutil.move(tmp_path / "wtal" / "watch_sessions", tmp_path / "watch_sessions")
    opened = open_dataset(tmp_path, "watch_sessions")
    assert opened.fingerprint == written.fingerprint
    assert opened.train.features(0).shape == (opened.train.videos[0].num_snippets, opened.width)
    assert not prepare(pytest.fail, "watch_sessions", tmp_path)
    assert prepare(make_source, "watch_sessions", tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir() if any(path.iterdir())] == ["watch_sessions"]


def test_videos_that_are_too_short_can_be_left_out(small):
    lengths = [video.num_snippets for video in small.train.videos]
    kept = small.train.at_least(max(lengths))
    assert [video.num_snippets for video in kept.videos] == [max(lengths)]
    np.testing.assert_array_equal(kept.features(0), small.train.features(int(np.argmax(lengths))))
    assert small.train.at_least(1000).videos == ()


def test_threads_read_what_one_thread_reads(small):
    places = [place % 3 for place in range(300)]
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(small.train.features, places))
    for place, features in zip(places, read, strict=True):
        np.testing.assert_array_equal(features, small.train.features(place))


READ_ALL = """
import sys
from tsc_jax.data.dataset import open_dataset
dataset = open_dataset(sys.argv[1], "small")
print(dataset.fingerprint, sum(float(dataset.train.features(index).sum()) for index in range(3)))
"""


def test_processes_read_at_the_same_time(tmp_path):
    dataset = prepared(make_source(), tmp_path)
    command = [sys.executable, "-c", READ_ALL, str(tmp_path)]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    total = sum(float(dataset.train.features(index).sum()) for index in range(3))
    for process in processes:
        assert process.communicate(timeout=60)[0].split() == [dataset.fingerprint, str(total)]
