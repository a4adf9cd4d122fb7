"""Self-training as a stage: what the student learns, from whom, and what it carries."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.small import final_variables, self_train_run, toy_base, toy_run
from tsc_jax import methods
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.localization import steps
from tsc_jax.method import class_probabilities, first_state, without_prefix
from tsc_jax.methods.self_train.labels import annotated_segments
from tsc_jax.methods.self_train.method import moments, say, teacher_of, vote
from tsc_jax.training.base import open_bases
from tsc_jax.training.loop import train
from tsc_jax.training.runs import make_look, sizes_of
from tsc_jax.training.trained import open_trained


def refreshed(config, step: int = 0):
    """The method of a recipe, its state after the refresh before `step`, and what it saw."""
    dataset = open_dataset(config.data.data_dir, config.data.name)
    method = methods.make(config, sizes_of(config, dataset, dataset.train))
    state, look = first_state(method, 0), make_look(config, dataset.train, step)
    return method, method.refresh(state.params, state.carried, look, step), look


def test_features_are_standardized_by_the_training_split(data_dir):
    train_split = open_dataset(data_dir, "made_up").train
    everything = np.concatenate([train_split.features(index) for index in range(len(train_split.videos))])
    mean, scale = moments(train_split)
    np.testing.assert_allclose(mean, everything.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scale, 1 / everything.std(axis=0), rtol=1e-5)


def test_a_feature_that_never_changes_does_no_harm(data_dir):
    split = open_dataset(data_dir, "made_up").train
    constant = dataclasses.replace(split, read=lambda record: np.pad(split.read(record), ((0, 0), (0, 1))))
    mean, scale = moments(constant)
    assert np.isfinite(scale).all() and scale[-1] == 0 and mean[-1] == 0


def test_labels_name_classes_that_the_video_shows_and_no_others(data_dir):
    _, (_, carried, facts), look = refreshed(self_train_run(data_dir))
    lengths = [video.num_snippets for video in look.split.videos]
    assert carried["labels"].shape == (sum(lengths),) and carried["labels"].dtype == np.int32
    of_videos = np.split(carried["labels"], np.cumsum(lengths)[:-1])
    for video, own in zip(look.split.videos, of_videos, strict=True):
        assert set(own.tolist()) <= {*np.flatnonzero(video.labels).tolist(), 3}
    assert (carried["labels"] < 3).any()
    assert facts["pseudo_labels_0"]["segments"] > 0


def test_a_regression_student_learns_distances_of_the_same_segments(data_dir):
    _, (_, carried, _), _ = refreshed(self_train_run(data_dir, **{"student.kind": "regression"}))
    _, (_, of_snippet, _), _ = refreshed(self_train_run(data_dir))
    np.testing.assert_array_equal(carried["labels"], of_snippet["labels"])
    assert "distances" not in of_snippet and carried["distances"].shape == (len(carried["labels"]), 2)
    np.testing.assert_array_equal(carried["distances"].sum(axis=1) > 0, carried["labels"] < 3)


def test_two_equal_teachers_say_what_one_says(data_dir):
    config = self_train_run(data_dir)
    _, _, look = refreshed(config)
    (run,) = look.bases
    tracks, scores = say(*teacher_of(run), look)
    together, mean_scores = vote([(tracks, scores), (tracks, scores)])
    np.testing.assert_allclose(mean_scores, scores)
    for one, both in zip(tracks, together, strict=True):
        jax.tree.map(np.testing.assert_allclose, one, both)
        np.testing.assert_allclose(one["cas"].sum(axis=1), 1, rtol=1e-5)


def test_several_teachers_are_read_and_another_data_set_is_refused(data_dir, tmp_path):
    one = toy_base(data_dir)
    train(toy_run(data_dir, **{"train.steps": 2, "train.seed": 5}), tmp_path / "other")
    config = self_train_run(data_dir, **{"base.workdir": f"{one}, {tmp_path / 'other'}"})
    _, (_, carried, _), look = refreshed(config)
    assert [run.directory for run in look.bases] == [one, tmp_path / "other"]
    _, (_, alone, _), _ = refreshed(self_train_run(data_dir))
    assert carried["labels"].shape == alone["labels"].shape
    with pytest.raises(InputError, match=r"config\.base: .*missing: holds no checkpoint 'last'"):
        self_train_run(data_dir, **{"base.workdir": f"{one},{tmp_path / 'missing'}"})
    with pytest.raises(InputError, match=r"config\.base\.workdir is .*, expected the workdir of a finished run, or"):
        self_train_run(data_dir, **{"base.workdir": f"{one},"})


def test_the_annotations_can_be_the_labels_and_are_asked_for(data_dir):
    _, (_, carried, _), look = refreshed(self_train_run(data_dir, **{"labels.source": "annotations"}))
    truth = []
    for video in look.split.videos:
        middles = video.offset + (np.arange(video.num_snippets) + 0.5) / video.snippets_per_second
        own = np.full(video.num_snippets, 3)
        for (start, end), label in zip(video.segments, video.segment_labels, strict=True):
            own[(middles >= start) & (middles < end)] = label
        truth.append(own)
    np.testing.assert_array_equal(carried["labels"], np.concatenate(truth))
    bare = [
        dataclasses.replace(video, segments=np.zeros((0, 2)), segment_labels=np.zeros(0, int))
        for video in look.split.videos
    ]
    with pytest.raises(InputError, match=r"config\.labels\.source is 'annotations', but no training video has annot"):
        annotated_segments(bare)


def test_a_second_round_labels_with_the_student_and_begins_anew(data_dir):
    config = self_train_run(data_dir)
    method, (params, carried, _), _ = refreshed(config)
    assert method.refresh_at == (0, 3)
    look = make_look(config, open_dataset(data_dir, "made_up").train, 3)
    assert look.bases == ()
    again, renewed, facts = method.refresh(params, carried, look, 3)
    assert set(facts) == {"pseudo_labels_3"}
    same = jax.tree.map(np.array_equal, params, again)
    assert not all(jax.tree.leaves(same))
    jax.tree.map(np.testing.assert_array_equal, again, renewed["average"])
    np.testing.assert_array_equal(renewed["mean"], carried["mean"])


def test_inference_needs_no_labels_and_a_student_alone_no_teacher(data_dir, tmp_path):
    train(self_train_run(data_dir), tmp_path / "together")
    train(self_train_run(data_dir, **{"student.weight": 1.0}), tmp_path / "alone")
    together, alone = (final_variables(tmp_path / name) for name in ("together", "alone"))
    assert set(alone) == {"params", "mean", "scale"}
    jax.tree.map(np.testing.assert_array_equal, together.pop("base"), final_variables(toy_base(data_dir)))
    assert set(together) == set(alone)
    assert set(open_trained(tmp_path / "alone").about["facts"]) == {"pseudo_labels_0", "pseudo_labels_3"}


def test_the_answer_is_the_mean_of_student_and_base(data_dir):
    """In probabilities, attention and class scores, by the weight of the student; with 0 segments are the base's."""
    split = open_dataset(data_dir, "made_up").test
    said = {}
    for weight in (0.0, 0.25, 1.0):
        config = self_train_run(data_dir, **{"student.weight": weight})
        method, (params, carried, _), _ = refreshed(config)
        params = jax.tree.map(lambda leaf: jnp.sin(jnp.arange(leaf.size, dtype=float)).reshape(leaf.shape), params)
        variables = method.variables(params, carried | {"average": params})
        features = jnp.asarray(split.features(0))[None]
        outputs = method.forward(variables, features, jnp.ones(features.shape[:2], bool))
        of_video = {name: np.asarray(array)[0] for name, array in (outputs.snippets | outputs.videos).items()}
        tracks = np.asarray(class_probabilities(method, outputs))[0], of_video["attention"]
        said[weight] = (*tracks, method.class_scores([of_video])[0]), of_video, method
    base, mean, student = (said[weight][0] for weight in (0.0, 0.25, 1.0))
    for of_base, of_both, of_student in zip(base, mean, student, strict=True):
        np.testing.assert_allclose(of_both, 0.25 * of_student + 0.75 * of_base, atol=1e-6)
        assert np.abs(of_base - of_student).max() > 0.01
    _, of_video, method = said[0.0]
    (run,) = open_bases(config)
    teacher, _ = teacher_of(run)
    expected = steps.localize(
        [without_prefix(of_video, "base")], base[2][None], config.proposals, probabilities=teacher.probabilities
    )
    found = method.localize([of_video])
    assert len(found) > 0
    for column, wanted in zip(vars(found).values(), vars(expected).values(), strict=True):
        np.testing.assert_allclose(column, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"student.round_steps": 0}, r"config\.student\.round_steps is 0, expected 1 or more"),
        ({"student.label_smoothing": 1.0}, r"config\.student\.label_smoothing is 1\.0, expected 0 or more and less"),
        ({"optimizer.clip": 0.0}, r"config\.optimizer\.clip is 0\.0, expected a number above 0"),
        ({"student.weight": 1.5}, r"config\.student\.weight is 1\.5, expected a number from 0 to 1"),
        ({"labels.fusion": "sum"}, r"config\.labels\.fusion is 'sum'"),
        ({"proposals.tracks": "all"}, r"config\.proposals\.tracks is 'all'"),
    ],
)
def test_wrong_values_are_named(data_dir, changes, message):
    config = self_train_run(data_dir, **changes)
    dataset = open_dataset(data_dir, "made_up")
    with pytest.raises(InputError, match=message):
        methods.make(config, sizes_of(config, dataset, dataset.train))
