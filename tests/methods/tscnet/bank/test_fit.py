"""The fit of a bank: the same bytes for one seed, rows among the snippets, and NumPy's numbers where it has them."""

import json
from types import SimpleNamespace

import ml_collections
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from configs import thumos14
from tsc_jax.errors import InputError
from tsc_jax.methods.tscnet.bank.fit import COVARIANCES, SOURCES, check_bank, fit_bank, number_of_rows, of_split

CLASSES, WIDTH, PER_VIDEO = 3, 6, 8


def bank_config(**changes) -> ml_collections.ConfigDict:
    config = thumos14.get_config().bank
    config.update({"snippets_per_video": PER_VIDEO, **changes})
    return config


def split_of(arrays: list[np.ndarray], labels: np.ndarray | None = None) -> SimpleNamespace:
    """A split of videos with the features [T, D] and labels [V, C] given, by default class c in every third video."""
    labels = np.eye(CLASSES, dtype=bool)[np.arange(len(arrays)) % CLASSES] if labels is None else labels
    videos = [SimpleNamespace(num_snippets=len(x), labels=y) for x, y in zip(arrays, labels, strict=True)]
    return SimpleNamespace(videos=tuple(videos), features=lambda index: arrays[index])


def made_up(videos: int = 12, width: int = WIDTH, seed: int = 0) -> list[np.ndarray]:
    """Videos of 5 to 20 snippets like those of a network that ends in a ReLU."""
    rng = np.random.default_rng(seed)
    return [np.maximum(rng.normal(size=(rng.integers(5, 21), width)), 0).astype(np.float32) for _ in range(videos)]


def clusters(seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """16 videos of 8 snippets, each from one of 4 clusters that lie far apart; and the clusters [128]."""
    rng = np.random.default_rng(seed)
    names = rng.permutation(np.repeat(np.arange(4), 32))
    x = 100 * np.eye(4, WIDTH)[names] + rng.normal(size=(len(names), WIDTH)) * rng.uniform(0.5, 2, WIDTH)
    return np.split(x.astype(np.float32), 16), names


def in_order(rows: np.ndarray) -> np.ndarray:
    """Rows near multiples of unit vectors, by which one."""
    return rows[np.argsort(np.argmax(rows, axis=1))]


@pytest.mark.parametrize("source", SOURCES)
def test_the_same_seed_gives_the_same_bytes_with_any_number_of_threads(source):
    split = split_of(made_up(videos=60, width=64))
    fits = []
    for threads in (None, 1, 2, 4):
        with threadpool_limits(threads):
            fits.append(fit_bank(bank_config(source=source, snippets_per_video=100), split, CLASSES, 3))
    rows, facts = fits[0]
    assert rows.shape == (CLASSES + 1, 64) and rows.dtype == np.float32
    assert facts["source"] == source and facts["seed"] == 3 and facts == json.loads(json.dumps(facts))
    assert all(same.tobytes() == rows.tobytes() and known == facts for same, known in fits[1:])
    other, _ = fit_bank(bank_config(source=source, snippets_per_video=100), split, CLASSES, 4)
    assert (other == rows).all() == (source == "class_means")


@pytest.mark.parametrize("source", SOURCES)
def test_rows_lie_within_the_range_of_the_snippets(source):
    arrays = made_up()
    rows, _ = fit_bank(bank_config(source=source), split_of(arrays), CLASSES, 0)
    everything = np.concatenate(arrays)
    assert (rows >= everything.min(axis=0) - 1e-5).all() and (rows <= everything.max(axis=0) + 1e-5).all()


@pytest.mark.parametrize("source", ["mixture", "kmeans"])
def test_one_row_is_the_mean_of_the_snippets(source):
    split = split_of(made_up())
    rows, facts = fit_bank(bank_config(source=source, rows=1), split, CLASSES, 5)
    np.testing.assert_allclose(rows[0], of_split(split, PER_VIDEO, 5).mean(axis=0), atol=1e-5)
    assert facts["snippets"] == 12 * PER_VIDEO


@pytest.mark.parametrize("source", SOURCES)
def test_the_unit_of_the_features_does_not_matter(source):
    arrays = made_up()
    rows, _ = fit_bank(bank_config(source=source), split_of(arrays), CLASSES, 1)
    for unit in (2.0**-20, 2.0**10):
        scaled, _ = fit_bank(bank_config(source=source), split_of([x * np.float32(unit) for x in arrays]), CLASSES, 1)
        np.testing.assert_array_equal(scaled, rows * unit)


def test_centres_of_kmeans_are_the_means_of_their_nearest_snippets():
    split = split_of(made_up())
    rows, facts = fit_bank(bank_config(source="kmeans"), split, CLASSES, 2)
    x = of_split(split, PER_VIDEO, 2)
    distances = np.square(x[:, None] - rows).sum(axis=2)
    nearest = np.argmin(distances, axis=1)
    means = [x[nearest == row].mean(axis=0) for row in range(CLASSES + 1)]
    np.testing.assert_allclose(rows, means, atol=1e-5)
    np.testing.assert_allclose(facts["log_likelihood"], -distances.min(axis=1).mean() / x.var(axis=0).mean(), rtol=1e-5)
    assert facts["converged"] and 1 <= facts["iterations"] < bank_config().max_iterations


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_a_mixture_of_clusters_far_apart_has_their_means_and_likelihood(covariance):
    arrays, names = clusters()
    settings = bank_config(covariance=covariance)
    rows, facts = fit_bank(settings, split_of(arrays), CLASSES, 0)
    # Every video has as many snippets as are drawn, one from each span: all of them.
    x = np.concatenate(arrays).astype(np.float64)
    means = np.stack([x[names == name].mean(axis=0) for name in range(4)])
    np.testing.assert_allclose(in_order(rows), means, atol=1e-4)
    scale = np.sqrt(x.var(axis=0).mean())
    expected = 0
    for name in range(4):
        deviations = (x[names == name] - means[name]) / scale
        full = deviations.T @ deviations / len(deviations)
        variances = np.diag(full)
        full = {"full": full, "diag": np.diag(variances), "spherical": variances.mean() * np.eye(WIDTH)}[covariance]
        full = full + 1e-6 * np.eye(WIDTH)  # scikit-learn's floor
        mahalanobis = np.sum(deviations @ np.linalg.inv(full) * deviations, axis=1)
        expected += np.sum(np.log(1 / 4) - (mahalanobis + np.linalg.slogdet(2 * np.pi * full)[1]) / 2) / len(x)
    np.testing.assert_allclose(facts["log_likelihood"], expected, rtol=1e-4)
    assert facts["converged"]


@pytest.mark.filterwarnings("error")
def test_a_fit_that_does_not_converge_says_so_in_its_facts_alone():
    split = split_of(made_up())
    for source in ("mixture", "kmeans"):
        _, facts = fit_bank(bank_config(source=source, max_iterations=1), split, CLASSES, 0)
        assert facts["iterations"] == 1 and not facts["converged"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("source", ["mixture", "kmeans"])
def test_equal_snippets_give_rows_all_the_same(source):
    rows, _ = fit_bank(bank_config(source=source), split_of([np.full((9, WIDTH), 1 / 3, np.float32)] * 6), CLASSES, 0)
    np.testing.assert_allclose(rows, 1 / 3, rtol=1e-5)


def test_class_means_are_means_over_the_snippets_of_their_videos():
    arrays = made_up(videos=7)
    labels = np.random.default_rng(1).random((7, 4)) < 0.5
    labels[:, 3] = False
    rows, facts = fit_bank(bank_config(source="class_means"), split_of(arrays, labels), 4, 0)
    everything = np.concatenate(arrays)
    for label in range(3):
        mine = np.concatenate([x for x, contained in zip(arrays, labels[:, label], strict=True) if contained])
        np.testing.assert_allclose(rows[label], mine.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(rows[3:], [everything.mean(axis=0)] * 2, rtol=1e-5)
    expected = {"source": "class_means", "seed": 0, "snippets": len(everything), "iterations": 0}
    assert facts == expected | {"log_likelihood": 0.0, "converged": True}


def test_class_means_do_not_depend_on_the_order_of_the_videos():
    arrays, order = made_up(), np.random.default_rng(0).permutation(12)
    labels = np.eye(CLASSES, dtype=bool)[np.arange(12) % CLASSES]
    rows, _ = fit_bank(bank_config(source="class_means"), split_of(arrays, labels), CLASSES, 0)
    shuffled = split_of([arrays[i] for i in order], labels[order])
    np.testing.assert_allclose(fit_bank(bank_config(source="class_means"), shuffled, CLASSES, 0)[0], rows, rtol=1e-6)


@pytest.mark.parametrize("source", ["mixture", "kmeans"])
def test_more_rows_than_snippets_are_refused(source):
    split = split_of(made_up())
    assert len(fit_bank(bank_config(source=source, rows=96), split, CLASSES, 0)[0]) == 96
    with pytest.raises(InputError, match=r"config\.bank\.rows is 97.* 96 "):
        fit_bank(bank_config(source=source, rows=97), split, CLASSES, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "gmm"}, r"config\.bank\.source is 'gmm'.* mixture, kmeans, class_means"),
        ({"covariance": "tied"}, r"config\.bank\.covariance is 'tied'.* diag, full, spherical"),
        ({"update_rule": "EMA"}, r"config\.bank\.update_rule is 'EMA'.* gradient, frozen, ema"),
        ({"update_rule": "ema", "rows": 9}, r"update_rule is 'ema'.* config\.bank\.rows is 9; expected 4"),
        ({"source": "class_means", "rows": 9}, r"source is 'class_means'.* config\.bank\.rows is 9; expected 4"),
        ({"momentum": 1.5}, r"config\.bank\.momentum is 1\.5, expected a number from 0 to 1"),
        ({"rows": -1}, r"config\.bank\.rows is -1, expected 0 or more"),
        ({"snippets_per_video": 0}, r"config\.bank\.snippets_per_video is 0, expected 1 or more"),
        ({"max_iterations": 0}, r"config\.bank\.max_iterations is 0, expected 1 or more"),
        ({"tolerance": -1.0}, r"config\.bank\.tolerance is -1\.0, expected 0 or more"),
    ],
)
def test_invalid_settings_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        check_bank(bank_config(**changes), CLASSES)


def test_the_number_of_rows_is_classes_and_background_unless_set():
    assert number_of_rows(bank_config(), 20) == 21 and number_of_rows(bank_config(rows=64), 20) == 64
