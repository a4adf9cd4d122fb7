"""Opening a prepared data set: concurrent readers, earlier versions, and errors for missing or damaged files."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.data.small import make_source, prepared
from tsc_jax.data.builder import prepare, prepared_folder
from tsc_jax.data.dataset import open_dataset
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
