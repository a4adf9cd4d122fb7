"""What every method must keep to, whatever it computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import recipe
from tests.training.small import RECIPES
from tsc_jax import methods, parity
from tsc_jax.data.batches import batch_maker
from tsc_jax.data.dataset import open_dataset
from tsc_jax.evaluation.evaluate import localize
from tsc_jax.inference import make_inference
from tsc_jax.method import AXIS, first_state, train_step
from tsc_jax.training.export import export_run
from tsc_jax.training.loop import train
from tsc_jax.training.parallel import make_train_step, replicate
from tsc_jax.training.runs import make_look, sizes_of
from tsc_jax.training.trained import open_trained

# Where recordings of a method are.
RECORDINGS = {name: f"methods/{name}/golden" for name in methods.names() if methods.part(name, "parity")}
RECORDINGS["tscnet"] = "golden"
NAMES = sorted(RECIPES)


def test_every_method_is_tested_here():
    assert {name.partition("-")[0] for name in RECIPES} == set(methods.names())
    assert {name for name in methods.names() if methods.part(name, "parity")} == set(RECORDINGS)


@pytest.fixture(scope="module", params=NAMES)
def made(request, data_dir):
    """A method at its start, after the refresh of step 0: name, config, data set, sizes, state."""
    config = RECIPES[request.param](data_dir)
    dataset = open_dataset(data_dir, "made_up")
    sizes = sizes_of(config, dataset, dataset.train)
    method = methods.make(config, sizes)
    state = first_state(method, 3)
    if 0 in method.refresh_at:
        look = make_look(config, dataset.train, 0)
        params, carried, facts = method.refresh(state.params, state.carried, look, 0)
        assert isinstance(facts, dict)
        state = state.replace(params=params, carried=carried, opt_state=method.optimizer.init(params))
    return request.param, config, dataset, sizes, jax.tree.map(jnp.asarray, state)


@pytest.fixture(scope="module")
def step(made):
    """The train step on one device, compiled once for all tests of a method."""
    _, config, _, sizes, _ = made
    return jax.jit(lambda state, batch: train_step(methods.make(config, sizes), None, state, batch))


def batches(config, dataset, devices: int, steps: int) -> list[dict]:
    maker = batch_maker(dataset.train, config.train, 3, devices)
    return [maker(step) for step in range(steps)]


def alone(batch: dict) -> dict:
    """The share of the only device."""
    return {name: array[0] for name, array in batch.items()}


def with_empty_rows(batch: dict, rows: int, snippets: int) -> dict:
    """The batch of one device with rows that hold no video, and padding at the end of all."""

    def pad(name: str, array: np.ndarray) -> np.ndarray:
        widths = [(0, rows // 2 if name == "paired" else rows)] + [(0, 0)] * (array.ndim - 1)
        if name in ("features", "mask", "snippets"):
            widths[1] = (0, snippets)
        return np.pad(array, widths, constant_values=-1 if name == "video" else 0)

    padded = {name: pad(name, array) for name, array in batch.items()}
    # Rubbish where there is nothing must not matter.
    padded["features"] = np.where(padded["mask"][..., None], padded["features"], 1e3).astype(np.float32)
    return padded | {"order": np.arange(len(padded["order"]), dtype=np.int32)}


def close(one, other, tolerance: float = 1e-5) -> None:
    """Arrays that differ by rounding alone, measured by the largest entry of each."""

    def compare(path, a, b):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        error = np.abs(a - b).max(initial=0) / max(np.abs(a).max(initial=0), 1e-2)
        assert error < tolerance, (jax.tree_util.keystr(path), error)

    jax.tree_util.tree_map_with_path(compare, one, other)


def test_padding_changes_nothing(made):
    _, config, dataset, sizes, state = made
    method = methods.make(config, sizes)
    variables = method.variables(state.params, state.carried)
    batch = alone(batches(config, dataset, 1, 1)[0])
    length = batch["mask"].shape[1]
    forward = jax.jit(method.forward)
    plain = forward(variables, batch["features"], batch["mask"])
    padded = with_empty_rows(batch, 2, 5)
    more = forward(variables, padded["features"], padded["mask"])
    rows = len(batch["mask"])
    for name, array in plain.snippets.items():
        np.testing.assert_allclose(array, more.snippets[name][:rows, :length], atol=2e-5, err_msg=name)
    if method.probabilities:
        assert (plain.snippets["cas"] >= 0).all() and (plain.snippets["cas"] <= 1).all()
    for name, array in plain.videos.items():
        np.testing.assert_allclose(array, more.videos[name][:rows], atol=2e-5, err_msg=name)


def test_rows_without_a_video_count_for_nothing_and_leave_gradients_finite(made, step):
    _, config, dataset, _, state = made
    # Dropout and other draws belong to a video by its place, so both batches draw the same.
    batch = alone(batches(config, dataset, 1, 1)[0])
    plain, values = step(state, batch)
    # The same length: what is drawn may depend on it.
    padded, more = step(state, with_empty_rows(batch, 2, 0))
    close(values, more)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(padded.params))
    close(plain.carried, padded.carried)


def test_eight_devices_equal_one_and_hold_the_same_bytes(made):
    _, config, dataset, sizes, start = made
    method, ends = methods.make(config, sizes, axis=AXIS), {}
    for devices in (1, 8):
        state, step = replicate(start, devices), make_train_step(method)
        for batch in batches(config, dataset, devices, 3):
            state, values = step(state, batch)
        for path, leaf in jax.tree.leaves_with_path((state, values)):
            shards = {np.asarray(shard.data).tobytes() for shard in leaf.addressable_shards}
            assert len(leaf.addressable_shards) == devices and len(shards) == 1, jax.tree_util.keystr(path)
        ends[devices] = jax.device_get((state.carried, values))
    close(ends[1], ends[8], 1e-3)


def test_several_seeds_in_one_program_equal_each_alone(made, step):
    _, config, dataset, sizes, start = made
    several = make_train_step(methods.make(config, sizes, mapped=True), 2)
    batch = batches(config, dataset, 1, 1)[0]
    states = [start, start.replace(seed=start.seed + 1)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves)[:, None], *states)
    _, values = several(stacked, {name: np.concatenate([array, array]) for name, array in batch.items()})
    for number, state in enumerate(states):
        _, own = step(state, alone(batch))
        close(own, {name: value.ravel()[number] for name, value in values.items()}, 1e-4)


@pytest.fixture(scope="module", params=NAMES)
def trained(request, data_dir, tmp_path_factory):
    """Name, a finished run of epochs with a refresh on its way, and the same run stopped just there."""
    name, small = request.param, RECIPES[request.param]
    changes = {"train.batches": "epochs", "train.pairs": 0, "train.batch_size": 5, "eval.after": 6}
    changes |= {"toy.refresh_at": (0, 4)} if name == "toy" else {}
    whole, stopped = (tmp_path_factory.mktemp(f"{name}_{kind}") for kind in ("whole", "stopped"))
    train(small(data_dir, **changes), whole)
    train(small(data_dir, **changes, **{"train.steps": 4}), stopped)
    train(small(data_dir, **changes), stopped)
    return name, whole, stopped


def test_resuming_over_a_refresh_equals_never_stopped(trained):
    _, whole, stopped = trained
    one, other = open_trained(whole), open_trained(stopped)
    jax.tree.map(np.testing.assert_array_equal, one.variables, other.variables)
    assert one.about["facts"] == other.about["facts"]
    assert one.about["arrays"] == other.about["arrays"], "the optimizer and all that is carried, by checksum"


def test_an_export_holds_the_variables_alone_and_gives_the_same_segments(trained, data_dir, tmp_path):
    _, whole, _ = trained
    export_run(whole, tmp_path / "export", "last", "float32", [16])
    split, ends = open_dataset(data_dir, "made_up").test, []
    for folder in (whole, tmp_path / "export"):
        run = open_trained(folder)
        inference = make_inference(run.config, run.sizes)
        ends.append(localize(inference, run.variables, split, run.config))
        arrays = run.about["arrays"]
    assert len(arrays) == len(jax.tree.leaves(run.variables))
    for column in vars(ends[0].segments):
        np.testing.assert_array_equal(*(getattr(end.segments, column) for end in ends))
    np.testing.assert_array_equal(*(end.scores for end in ends))
    assert len(ends[0].segments) and ends[0].scores.shape == (7, 3)
    assert all(set(outputs) >= {"cas", "attention"} for outputs in ends[0].outputs)
    assert (tmp_path / "export" / "stablehlo" / "forward_16.bin").stat().st_size


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings_of_the_published_code_agree(name, shared):
    folder = shared / RECORDINGS[name]
    assert parity.method_of(folder) == name
    rows = list(parity.check_folder(folder, recipe(name, "thumos14"), devices=1))
    assert rows and not [row for row in rows if row.verdict == parity.FAILS]
