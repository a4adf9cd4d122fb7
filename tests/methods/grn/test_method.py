"""GRN as a method: streams, options, the graph module's late start, and settings that are refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.small import RECIPES, WIDTH
from tsc_jax import methods
from tsc_jax.errors import InputError
from tsc_jax.method import Sizes, first_state, train_step

LENGTHS = np.array([9, 5, 1, 0])
MASK = np.arange(9) < LENGTHS[:, None]


def made(width: int = WIDTH, **changes):
    return methods.make(RECIPES["grn"]("nowhere", **changes), Sizes(3, width))


def batch_of(width: int = WIDTH) -> dict:
    features = np.random.default_rng(0).random((4, 9, width)).astype(np.float32)
    return {
        "features": jnp.asarray(np.where(MASK[..., None], features, np.inf)),
        "mask": jnp.asarray(MASK),
        "labels": jnp.asarray(np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]], bool)),
        "video": jnp.array([0, 1, 2, -1]),
    }


def steps(method, number: int, width: int = WIDTH):
    """The states from the first one on."""
    take, states = jax.jit(functools.partial(train_step, method, None)), [first_state(method, 1)]
    for _ in range(number):
        state, values = take(states[-1], batch_of(width))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, state.carried, values)))
        states.append(state)
    return states


def moved(one, other) -> dict[str, bool]:
    """Which modules of RGB differ between two states."""

    def differs(module: str) -> bool:
        pairs = zip(*(jax.tree.leaves(state.params["rgb"][module]) for state in (one, other)), strict=True)
        return any((a != b).any() for a, b in pairs)

    return {module: differs(module) for module in ("class_module", "graph_module")}


def test_the_graph_module_is_held_at_first_but_its_statistics_run():
    states = steps(made(), 3)
    for before, after, graph_moves in zip(states, states[1:], (False, False, True), strict=False):
        assert moved(before, after) == {"class_module": True, "graph_module": graph_moves}
        of_norm = [state.carried["rgb"]["graph_module"]["norm1"]["mean"] for state in (before, after)]
        assert (of_norm[0] != of_norm[1]).any()


@pytest.mark.parametrize(
    "changes",
    [
        {"model.pool": "topk"},
        {"model.norm": "video"},
        {"model.embedding": False, "graph.bandwidth": "median"},
        {"model.class_bias": True, "model.kernel": 1},
        {"graph.refine": False},
        {"graph.laplacian": "sum"},
        {"model.dtype": "bfloat16"},
        {"loss.tau_scale": "range", "loss.low": "background"},
    ],
)
def test_every_option_trains_and_infers(changes):
    method = made(**changes)
    state = steps(method, 1)[-1]
    outputs = method.forward(method.variables(state.params, state.carried), batch_of()["features"], MASK)
    for array in (*outputs.snippets.values(), *outputs.videos.values()):
        assert array.dtype == jnp.float32 and np.isfinite(np.asarray(array)).all()
    assert outputs.snippets["cas"].shape == (4, 9, 4) and outputs.snippets["attention"].shape == (4, 9)


def test_streams_train_apart_and_one_modality_takes_an_odd_width():
    both, other = (steps(made(**{"loss.weights.affinity": weight}), 1)[-1] for weight in (1.0, 2.0))
    assert moved(both, other)["class_module"] is False, "the losses train different modules"
    alone = steps(made(7, **{"model.modalities": 1}), 1, 7)[-1]
    assert set(alone.params) == {"joint"}
    with pytest.raises(InputError, match="odd width 7"):
        made(7)


def test_no_more_snippets_than_at_test_time_are_used():
    method, state = made(**{"model.test_snippets": 4}), first_state(made(), 0)
    features = batch_of()["features"]
    outputs = method.forward(method.variables(state.params, state.carried), features, MASK)
    taken = [1, 3, 5, 7]  # floor((n + 1/2) 9 / 4)
    few = method.forward(method.variables(state.params, state.carried), features[:1, taken], MASK[:1, :4])
    np.testing.assert_allclose(outputs.videos["rgb_video"][0], few.videos["rgb_video"][0], atol=1e-6)
    assert len(np.unique(np.asarray(outputs.snippets["cas"])[0, :, 0])) <= 4


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.modalities", 3),
        ("model.kernel", 2),
        ("model.channels", ()),
        ("model.norm", "layer"),
        ("model.pool", "max"),
        ("graph.strength", -1.0),
        ("graph.bandwidth", "mean"),
        ("loss.low", "none"),
        ("loss.clip", 0.0),
        ("proposals.merge_limit", 0.4),
        ("proposals.rgb_weight", 1.5),
        ("optimizer.graph_factor", -1.0),
    ],
)
def test_bad_values_are_refused(key, value):
    with pytest.raises(InputError, match=key.replace(".", r"\.")):
        made(**{key: value})
