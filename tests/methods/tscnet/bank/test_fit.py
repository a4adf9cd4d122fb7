"""A bank is fitted on the training videos alone, in the memory of a chunk, and says on what."""

import dataclasses
import tracemalloc
from types import SimpleNamespace

import ml_collections
import numpy as np
import pytest

from configs import thumos14
from tests.training.test_run import CLASSES, data_dir  # noqa: F401
from tsc_jax.data.dataset import Dataset, open_dataset
from tsc_jax.errors import InputError
from tsc_jax.methods.tscnet.bank import fit, fit_bank, snippets
from tsc_jax.methods.tscnet.bank.fit import check_fit, class_means, fit_rows
from tsc_jax.methods.tscnet.bank.snippets import of_split


def bank_config(**changes) -> ml_collections.ConfigDict:
    config = thumos14.get_config().bank
    config.update({"snippets_per_video": 8, **changes})
    return config


@pytest.fixture(scope="module")
def dataset(data_dir) -> Dataset:  # noqa: F811
    return open_dataset(data_dir, "made_up")


@pytest.mark.parametrize("source", fit.SOURCES)
def test_the_same_seed_gives_the_same_bytes(dataset, source):
    one, same, other = (fit_bank(bank_config(source=source), dataset, dataset.train, seed) for seed in (3, 3, 4))
    assert one.rows.shape == (len(CLASSES) + 1, dataset.width)
    assert np.asarray(one.rows).tobytes() == np.asarray(same.rows).tobytes() and one.fit == same.fit
    assert (np.asarray(one.rows) == np.asarray(other.rows)).all() == (source == "class_means")
    np.testing.assert_array_equal(one.fitted, one.rows)
    assert one.fit.source == source and one.fit.fingerprint == dataset.fingerprint and not one.usage.any()


def test_rows_are_in_the_units_of_the_features(dataset):
    """One row is the mean of what it is fitted on, whichever the source."""
    split = dataset.train
    drawn = of_split(split, 8, seed=5).start
    for source in ("mixture", "kmeans"):
        bank = fit_bank(bank_config(source=source, rows=1), dataset, split, 5)
        np.testing.assert_allclose(bank.rows[0], drawn.mean(axis=0), rtol=1e-4, atol=1e-5)


def test_class_means_are_means_over_the_snippets_of_their_videos(dataset):
    # A fourth class that no video contains.
    videos = [dataclasses.replace(video, labels=np.append(video.labels, False)) for video in dataset.train.videos]
    split = dataclasses.replace(dataset.train, videos=tuple(videos))
    everything = [split.features(index) for index in range(len(videos))]
    expected = []
    for label in range(4):
        rows = [
            row for video, features in zip(videos, everything, strict=True) if video.labels[label] for row in features
        ]
        expected.append(np.mean(rows or np.concatenate(everything), axis=0, dtype=np.float64))
    expected.append(np.concatenate(everything).mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(class_means(split, 4), expected, rtol=1e-6)


def test_a_wide_fit_holds_a_chunk_of_what_it_reads(monkeypatch):
    """40 videos of 2,048 features are 6.5 MB; held, they show in the trace, which knows of every NumPy array."""
    videos, per_video, width = 40, 20, 2048

    def features(index: int) -> np.ndarray:
        return np.random.default_rng(index).random((per_video, width), np.float32)

    split = SimpleNamespace(videos=[None] * videos, features=features)
    everything = videos * per_video * width * 4
    monkeypatch.setattr(snippets, "CHUNK_BYTES", everything // 20)
    monkeypatch.setattr(snippets, "START_SNIPPETS", 40)

    def fit_held(held: int) -> None:
        monkeypatch.setattr(snippets, "HELD_BYTES", held)
        fit_rows(bank_config(source="kmeans", max_iterations=1), of_split(split, per_video, 0), 3, 0)

    def peak(held: int) -> int:
        tracemalloc.start()
        try:
            fit_held(held)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    fit_held(0)  # compiles, which the trace would see
    assert peak(0) < everything / 2
    assert peak(everything) > everything


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "gmm"}, r"config\.bank\.source is 'gmm', expected one of mixture, kmeans, class_means"),
        ({"covariance": "tied"}, r"config\.bank\.covariance is 'tied', expected one of diag, full, spherical"),
        ({"update_rule": "EMA"}, r"config\.bank\.update_rule is 'EMA', expected one of gradient, frozen, ema"),
        ({"update_rule": "ema", "rows": 9}, r"update_rule is 'ema'.* config\.bank\.rows is 9; expected 4"),
        ({"source": "class_means", "rows": 9}, r"source is 'class_means'.* config\.bank\.rows is 9; expected 4"),
        ({"momentum": 1.5}, r"config\.bank\.momentum is 1\.5, expected 0 to 1"),
        ({"rows": -1}, r"config\.bank\.rows is -1, expected 0 or more"),
        ({"rows": 97}, r"config\.bank\.rows is 97, but there are only 96 training snippets"),
        ({"snippets_per_video": 0}, r"config\.bank\.snippets_per_video is 0, expected 1 or more"),
        ({"max_iterations": 0}, r"config\.bank\.max_iterations is 0, expected 1 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(dataset, changes, message):
    with pytest.raises(InputError, match=message):
        fit_bank(bank_config(**changes), dataset, dataset.train, 0)


def test_videos_that_are_not_for_training_are_refused(dataset):
    train, test = dataset.train, dataset.test
    smuggled = dataclasses.replace(
        train, videos=(*train.videos, test.videos[2]), records=np.append(train.records, test.records[2])
    )
    with pytest.raises(InputError, match=r"video test02: a bank is fitted on training videos of made_up alone"):
        fit_bank(bank_config(), dataset, smuggled, 0)
    stranger = dataclasses.replace(train.videos[0], name="elsewhere")
    with pytest.raises(InputError, match=r"video elsewhere: a bank is fitted on training videos"):
        fit_bank(bank_config(), dataset, dataclasses.replace(train, videos=(stranger,)), 0)
    both = dataclasses.replace(dataset, test=train)
    with pytest.raises(InputError, match=r"video train00: a bank is fitted on training videos"):
        fit_bank(bank_config(), both, train, 0)
    with pytest.raises(InputError, match=r"made_up: no training video is left"):
        fit_bank(bank_config(), dataset, train.select([]), 0)


def test_a_bank_that_was_fitted_on_other_videos_is_refused(dataset):
    known = fit_bank(bank_config(), dataset, dataset.train, 0).fit
    check_fit(known, dataset, "here")
    check_fit(known.replace(fingerprint=""), dataset, "here")
    with pytest.raises(InputError, match="here: the bank was fitted on other training videos than made_up has now"):
        check_fit(known.replace(fingerprint="another"), dataset, "here")
