"""An export is all that inference needs, and no more."""

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.small import CLASSES, final_variables, small_run
from tsc_jax.errors import InputError
from tsc_jax.inference import make_inference
from tsc_jax.report.run import report
from tsc_jax.training.export import export_run
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained

pytestmark = pytest.mark.slow


def test_an_export_is_evaluated_like_its_run(finished, data_dir, tmp_path):
    before = report(finished, {}).splitlines()
    sentence = export_run(finished, tmp_path / "out", "last", "float32", [])
    assert "step 6 (last) in float32" in sentence
    after = report(tmp_path / "out", {}).splitlines()
    assert [line for line in before if "last" in line] == [line for line in after if "last" in line]
    run, exported = open_trained(finished), open_trained(tmp_path / "out")
    jax.tree.map(np.testing.assert_array_equal, run.variables, exported.variables)
    assert len(exported.about["arrays"]) == len(jax.tree.leaves(run.variables)) < len(run.about["arrays"])
    card = (tmp_path / "out" / "README.md").read_text()
    assert "made_up" in card and ", ".join(CLASSES) in card
    with pytest.raises(InputError, match="exported for inference"):
        train(small_run(data_dir), tmp_path / "out")
    with pytest.raises(InputError, match="is there already"):
        export_run(finished, tmp_path / "out", "last", "float32", [])


def test_an_export_may_be_stored_in_bfloat16(finished, tmp_path):
    export_run(finished, tmp_path / "out", "best_on_test", "bfloat16", [])
    exported = open_trained(tmp_path / "out")
    assert {kind for kind, *_ in exported.about["arrays"].values()} == {"bfloat16"}
    best = open_trained(finished, "best_on_test")
    assert (exported.selection, exported.step) == ("best on test", best.step)
    for leaf, own in zip(*map(jax.tree.leaves, (exported.variables, best.variables)), strict=True):
        assert leaf.dtype == np.float32
        np.testing.assert_array_equal(leaf, np.asarray(own).astype(jnp.bfloat16).astype(np.float32))


def test_the_forward_pass_runs_as_stablehlo(finished, data_dir, tmp_path):
    """On plain dicts of arrays, without the classes of this library."""
    export_run(finished, tmp_path / "out", "last", "float32", [20])
    program = jax.export.deserialize((tmp_path / "out" / "stablehlo" / "forward_20.bin").read_bytes())
    variables, sizes = final_variables(tmp_path / "out"), open_trained(finished).sizes
    features, mask = np.random.default_rng(0).random((1, 20, 16), np.float32), np.arange(20)[None] < 17
    ours = make_inference(small_run(data_dir), sizes).whole(variables, features, mask).snippets
    theirs = program.call(flax.serialization.to_state_dict(variables), features, mask)
    assert theirs.keys() == ours.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(array[:, :17], theirs[name][:, :17], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_exported_leaves_nothing(finished, tmp_path):
    with pytest.raises(InputError, match="holds no checkpoint 'best_on_holdout'"):
        export_run(finished, tmp_path / "out", "best_on_holdout", "float32", [])
    with pytest.raises(InputError, match="--storage is 'int8'"):
        export_run(finished, tmp_path / "out", "last", "int8", [])
    assert not list(tmp_path.iterdir())
