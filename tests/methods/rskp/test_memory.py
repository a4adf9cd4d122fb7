"""The memory keeps the best prototypes of each class, read and written video by video."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsc_jax.methods.rskp.memory import (
    Memory,
    classes_of,
    empty_memory,
    put,
    read,
    read_and_put,
    read_and_put_globally,
)

CLASSES, SLOTS, WIDTH, PROTOTYPES, MOST = 5, 3, 2, 4, 3


def videos(number: int, seed: int = 0):
    """Prototypes, scores of few different values, and at most `MOST` labels; some videos have none."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((number, CLASSES), bool)
    for row in labels:
        row[rng.choice(CLASSES, rng.integers(0, MOST + 1), replace=False)] = True
    scores = rng.integers(1, 5, (number, PROTOTYPES, CLASSES + 1)) / np.float32(8)
    return rng.normal(size=(number, PROTOTYPES, WIDTH)).astype(np.float32), scores.astype(np.float32), labels


def put_oracle(memory, prototypes, scores, labels):
    """`memory` is one list per class of (score, prototype), the older first among equals."""
    for c in np.flatnonzero(labels):
        pairs = memory[c] + [(scores[k, c], prototypes[k]) for k in range(len(prototypes))]
        memory[c] = sorted(pairs, key=lambda pair: -pair[0])[:SLOTS]


@given(st.integers(0, 1000))
def test_a_put_keeps_the_best_of_each_class_and_the_older_of_equals(seed):
    memory, expected = empty_memory(CLASSES, SLOTS, WIDTH), [[(0, np.zeros(WIDTH))] * SLOTS for _ in range(CLASSES)]
    for video in zip(*videos(6, seed), strict=True):
        memory = put(memory, *video, MOST)
        put_oracle(expected, *video)
    np.testing.assert_array_equal(memory.scores, [[score for score, _ in row] for row in expected])
    np.testing.assert_array_equal(memory.prototypes, [[prototype for _, prototype in row] for row in expected])


def test_a_video_reads_all_slots_of_its_classes_rising():
    memory = Memory(jnp.arange(CLASSES * SLOTS * WIDTH).reshape(CLASSES, SLOTS, WIDTH), jnp.zeros((CLASSES, SLOTS)))
    labels = np.array([0, 1, 0, 0, 1], bool)
    slots, valid = read(memory, labels, MOST)
    np.testing.assert_array_equal(np.asarray(slots)[valid], memory.prototypes[labels].reshape(-1, WIDTH))
    assert valid.shape == (MOST * SLOTS,) and valid.sum() == 2 * SLOTS
    assert not read(memory, np.zeros(CLASSES, bool), MOST)[1].any()


@pytest.mark.parametrize("most", range(1, CLASSES + 1))
def test_labels_are_taken_in_rising_order(most):
    labels = np.array([0, 1, 1, 0, 1], bool)
    classes, valid = classes_of(labels, most)
    assert np.asarray(classes)[valid].tolist() == [1, 2, 4][:most]


def test_a_video_reads_what_those_before_it_have_put_and_never_its_own():
    everything = videos(7)
    _, (slots, valid) = read_and_put(empty_memory(CLASSES, SLOTS, WIDTH), *everything, MOST)
    memory = empty_memory(CLASSES, SLOTS, WIDTH)
    for number, video in enumerate(zip(*everything, strict=True)):
        own, own_valid = read(memory, video[-1], MOST)
        np.testing.assert_array_equal(slots[number], own)
        np.testing.assert_array_equal(valid[number], own_valid)
        memory = put(memory, *video, MOST)


def test_devices_read_and_put_in_the_order_of_the_global_batch():
    everything, order = videos(8), np.random.default_rng(0).permutation(8).astype(np.int32)
    start = empty_memory(CLASSES, SLOTS, WIDTH)
    expected, read_ones = read_and_put(start, *everything, MOST)
    dealt = [array[order].reshape(4, 2, *array.shape[1:]) for array in (*everything, np.arange(8, dtype=np.int32))]
    parallel = jax.pmap(lambda *batch: read_and_put_globally(start, *batch, MOST, "devices"), axis_name="devices")
    memories, read_dealt = parallel(*dealt)
    for device in range(4):
        np.testing.assert_array_equal(memories.prototypes[device], expected.prototypes)
        np.testing.assert_array_equal(memories.scores[device], expected.scores)
    for ours, theirs in zip(read_dealt, read_ones, strict=True):
        np.testing.assert_array_equal(np.asarray(ours).reshape(theirs.shape), np.asarray(theirs)[order])


def test_videos_without_labels_leave_the_memory_as_it_is():
    prototypes, scores, labels = videos(4)
    memory, _ = read_and_put(empty_memory(CLASSES, SLOTS, WIDTH), prototypes, scores, labels, MOST)
    after, (_, valid) = read_and_put(memory, prototypes, scores, np.zeros_like(labels), MOST)
    jax.tree.map(np.testing.assert_array_equal, memory, after)
    assert not valid.any()


def test_nothing_that_is_stored_or_read_has_a_gradient():
    prototypes, scores, labels = videos(3)

    def total(prototypes, scores):
        memory, read_ones = read_and_put_globally(
            empty_memory(CLASSES, SLOTS, WIDTH), prototypes, scores, labels, jnp.arange(3), MOST, None
        )
        return sum(leaf.sum() for leaf in (memory.prototypes, memory.scores, read_ones[0]))

    for gradient in jax.grad(total, (0, 1))(prototypes, scores):
        assert not gradient.any()
