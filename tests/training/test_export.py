"""An export is all that inference needs, and no more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.test_run import CLASSES, data_dir, finished, last_state, small_run  # noqa: F401
from tsc_jax.errors import InputError
from tsc_jax.inference import make_forward
from tsc_jax.report.run import report
from tsc_jax.training import checkpoints
from tsc_jax.training.export import export_run
from tsc_jax.training.loop import train


def test_an_export_is_evaluated_like_its_run(finished, data_dir, tmp_path):  # noqa: F811
    before = report(finished, {}).splitlines()
    sentence = export_run(finished, tmp_path / "out", "last", "float32", [])
    assert "step 6 (last) in float32" in sentence
    after = report(tmp_path / "out", {}).splitlines()
    assert [line for line in before if "last" in line] == [line for line in after if "last" in line]
    states = [last_state(small_run(data_dir), folder) for folder in (finished, tmp_path / "out")]
    assert states[1].opt_state == ()
    trimmed = states[0].replace(opt_state=())
    jax.tree.map(np.testing.assert_array_equal, trimmed, states[1])
    card = (tmp_path / "out" / "README.md").read_text()
    assert "made_up" in card and ", ".join(CLASSES) in card
    with pytest.raises(InputError, match="exported for inference"):
        train(small_run(data_dir), tmp_path / "out")
    with pytest.raises(InputError, match="is there already"):
        export_run(finished, tmp_path / "out", "last", "float32", [])


def test_an_export_may_be_stored_in_bfloat16(finished, data_dir, tmp_path):  # noqa: F811
    export_run(finished, tmp_path / "out", "best_on_test", "bfloat16", [])
    about = checkpoints.read_about(checkpoints.open_checkpoints(tmp_path / "out", "last"))
    assert {each[0] for name, each in about["arrays"].items() if "params" in name} == {"bfloat16"}
    exported = last_state(small_run(data_dir), tmp_path / "out")
    for leaf in jax.tree.leaves(exported.params):
        assert leaf.dtype == np.float32
        np.testing.assert_array_equal(leaf, np.asarray(leaf).astype(jnp.bfloat16).astype(np.float32))


def test_the_forward_pass_runs_as_stablehlo(finished, data_dir, tmp_path):  # noqa: F811
    export_run(finished, tmp_path / "out", "last", "float32", [20])
    program = jax.export.deserialize((tmp_path / "out" / "stablehlo" / "forward_20.bin").read_bytes())
    state = last_state(small_run(data_dir), tmp_path / "out")
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    features = np.random.default_rng(0).random((1, 20, 16), np.float32)
    mask = np.arange(20)[None] < 17
    ours = make_forward(small_run(data_dir).model, len(CLASSES), 16).whole(variables, state.bank.rows, features, mask)
    theirs = program.call(variables, state.bank.rows, features, mask)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one[:, :17], other[:, :17], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_exported_leaves_nothing(finished, tmp_path):  # noqa: F811
    with pytest.raises(InputError, match="holds no checkpoint 'best_on_holdout'"):
        export_run(finished, tmp_path / "out", "best_on_holdout", "float32", [])
    with pytest.raises(InputError, match="--storage is 'int8'"):
        export_run(finished, tmp_path / "out", "last", "int8", [])
    assert not list(tmp_path.iterdir())
