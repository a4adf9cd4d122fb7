"""The numbers about a bank are those of a loop over snippets, heads and rows; a run with class rows shows them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from tests.methods.tscnet.small import CLASSES, WIDTH, small_config, small_trained
from tests.training import small
from tsc_jax.data.dataset import Video
from tsc_jax.errors import InputError
from tsc_jax.methods.tscnet.bank_attention import class_attention, snippets_of
from tsc_jax.methods.tscnet.report import BankReport, columns, cosines, inspect, nearest_classes, report_bank, table
from tsc_jax.training.export import export_run
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained

pytestmark = pytest.mark.slow

RATE = 2.0
DATASET = SimpleNamespace(name="made_up", snippets_per_second=RATE)


def made_up_split() -> SimpleNamespace:
    """Videos of 3 to 30 snippets with segments of the classes 0 to 2, some of which overlap; class 3 occurs nowhere."""
    rng = np.random.default_rng(0)
    lengths, videos = (3, 11, 30, 8), []
    for index, length in enumerate(lengths):
        starts = rng.uniform(0, length / RATE - 1, 2)
        segments = np.stack([starts, starts + rng.uniform(0.6, 3, 2)], axis=1)
        labels = np.array([index % 3, (index + 1) % 3])
        present = np.isin(np.arange(CLASSES), labels)
        videos.append(Video(f"v{index}", length, length / RATE, present, segments, labels, RATE))
    features = [rng.normal(size=(length, WIDTH)).astype(np.float32) for length in lengths]
    return SimpleNamespace(videos=videos, features=lambda index: features[index])


def classes_of(video: Video, snippet: int) -> set[int]:
    """Of one snippet; the last one is background."""
    middle = (snippet + 0.5) / RATE
    segments = zip(video.segments, video.segment_labels, strict=True)
    return {int(label) for (start, end), label in segments if start <= middle < end} or {CLASSES}


def test_snippets_are_of_the_classes_that_their_middles_lie_in():
    videos = made_up_split().videos
    for video in videos:
        expected = [[c in classes_of(video, i) for c in range(CLASSES + 1)] for i in range(video.num_snippets)]
        np.testing.assert_array_equal(snippets_of(video), expected)
    several = [sum(row) > 1 for video in videos for row in snippets_of(video)]
    assert any(several) and not all(several)


def test_class_attention_is_the_mean_over_snippets_and_heads():
    """Whole videos and videos in chunks; without MFIP the snippets that attend are the features."""
    trained, split = small_trained(small_config(**{"model.mfip": False, "eval.batch_snippets": 16})), made_up_split()
    dsa, heads = trained.variables["params"]["dsa"], trained.config.model.dsa_heads

    def split_heads(x, name):
        y = np.asarray(x, np.float64) @ np.asarray(dsa[name]["kernel"], np.float64) + np.asarray(dsa[name]["bias"])
        return np.split(y, heads, axis=1)

    sums, counts = np.zeros((CLASSES + 1, CLASSES + 1)), np.zeros(CLASSES + 1)
    keys = split_heads(trained.variables["bank"].rows, "key")
    for index, video in enumerate(split.videos):
        queries = split_heads(split.features(index), "query")
        for i in range(video.num_snippets):
            logits = [
                key @ query[i] / np.sqrt(queries[0].shape[1] * heads) for query, key in zip(queries, keys, strict=True)
            ]
            attention = np.mean([np.exp(each) / np.exp(each).sum() for each in logits], axis=0)
            for label in classes_of(video, i):
                sums[label], counts[label] = sums[label] + attention, counts[label] + 1
    computed = class_attention(trained, split)
    np.testing.assert_allclose(computed, sums / np.maximum(counts, 1)[:, None], rtol=1e-4, atol=1e-6)
    assert counts[3] == 0 and not computed[3].any()
    assert np.ptp(computed[counts > 0], axis=0).max() > 0.01, "classes differ, or this shows nothing"


def test_the_nearest_class_attends_most_and_how_much_more():
    attention = np.array([[0.6, 0.4], [0.0, 0.0], [0.2, 0.8], [0.1, 0.9]])
    nearest, preference = nearest_classes(attention, np.array([5, 0, 2, 9]))
    assert nearest.tolist() == [0, 3]
    np.testing.assert_allclose(preference, [0.6 / 0.15, 0.9 / 0.6])


def test_a_class_that_is_alone_has_nothing_to_be_told_apart_from():
    nearest, preference = nearest_classes(np.array([[0.0, 0.0], [0.6, 0.4]]), np.array([0, 7]))
    assert nearest.tolist() == [1, 1] and preference.tolist() == [1, 1]


def test_a_row_is_not_like_a_class_of_which_nothing_was_seen():
    """Likeness is 0 there, which is more than -0.2."""
    report = BankReport(
        rows=np.ones((1, 2)),
        classes=("seen", "unseen", "background"), snippets=np.array([3, 0, 5]), attention=np.array([[1.0], [0], [1]]),
        usage=np.ones(1), nearest=np.zeros(1, int), preference=np.ones(1), likeness=np.array([[-0.2], [0], [-0.3]]),
        similarity=np.ones((1, 1)), drift=np.zeros(1), evidence=np.zeros(1),
    )  # fmt: skip
    assert "seen (-0.20)" in table(columns(report)) and "unseen" not in table(columns(report))


def test_videos_that_are_all_too_short_are_one_sentence():
    trained = small_trained(small_config(**{"data.min_snippets": 31}))
    with pytest.raises(InputError, match=r"no video has 31 snippets or more \(config\.data\.min_snippets\)"):
        inspect(trained, DATASET, made_up_split())


def test_cosines_bear_rows_of_nothing():
    np.testing.assert_allclose(cosines(np.array([[3.0, 0], [0, 0]]), np.array([[1.0, 1]])), [[0.5**0.5], [0]])


CLASS_ROWS = {"bank.source": "class_means", "bank.update_rule": "ema", "eval.after": 6}


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    """A run whose rows are class means that move by what the videos show."""
    workdir = tmp_path_factory.mktemp("class_rows")
    train(small.small_run(data_dir, **CLASS_ROWS), workdir)
    return workdir


def test_class_rows_move_and_a_resumed_run_ends_with_the_same_bytes(finished, data_dir, tmp_path):
    train(small.small_run(data_dir, **CLASS_ROWS, **{"train.steps": 4}), tmp_path)
    stopped = open_trained(tmp_path).variables["bank"]
    train(small.small_run(data_dir, **CLASS_ROWS), tmp_path)
    whole, resumed = open_trained(finished), open_trained(tmp_path)
    assert whole.about["arrays"] == resumed.about["arrays"]
    bank = whole.variables["bank"]
    assert (bank.usage > stopped.usage).all() and (bank.rows != stopped.rows).any(axis=1).all()
    np.testing.assert_array_equal(bank.fitted, stopped.fitted)


def test_the_bank_of_a_run_is_shown(finished, data_dir):
    shown = report_bank(finished, "last", "train", {"data.data_dir": str(data_dir)})
    known = json.loads((finished / "bank.json").read_text())
    assert known["classes"] == [*small.CLASSES, "background"] and (known["step"], known["split"]) == (6, "train")
    assert known["fit"]["source"] == "class_means" and min(known["evidence"]) > 0
    np.testing.assert_allclose(np.sum(known["attention"], axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.sum(known["usage"]), 1, rtol=1e-5)
    lines = shown.splitlines()
    assert len(lines) == 1 + 1 + 4 + 1 + 1 and lines[1].endswith("evidence in snippets")
    page = (finished / "bank.html").read_text()
    assert "attention to the rows" in page and "drift since the fit" in page


def test_the_bank_of_an_export_is_that_of_its_run(finished, tmp_path):
    export_run(finished, tmp_path / "out", "last", "float32", [])
    reports = []
    for folder in (finished, tmp_path / "out"):
        report_bank(folder, "last", "test", {})
        reports.append(json.loads((folder / "bank.json").read_text()))
    assert reports[0] == reports[1]


def test_a_bank_that_cannot_be_shown_is_one_sentence(finished, data_dir, tmp_path):
    with pytest.raises(InputError, match="holds no checkpoint 'last'"):
        report_bank(tmp_path, "last", "test", {})
    with pytest.raises(InputError, match="holds no checkpoint 'best_on_holdout'"):
        report_bank(finished, "best_on_holdout", "test", {})
    (tmp_path / "seed_3").mkdir()
    with pytest.raises(InputError, match="several seeds, expected one of them: seed_3"):
        report_bank(tmp_path, "last", "test", {})
