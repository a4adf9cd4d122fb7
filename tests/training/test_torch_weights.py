"""PyTorch weights are imported whole or not at all, evaluate and train like any run's, and are exported unchanged."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.methods.tscnet.tensors import STEP, made_up_tensors
from tests.torch import state_dicts
from tests.training.small import CLASSES, WIDTH, final_variables, small_run, toy_run
from tsc_jax.errors import InputError
from tsc_jax.report.run import report
from tsc_jax.torch.files import read_state_dict
from tsc_jax.training import checkpoints
from tsc_jax.training.loop import train
from tsc_jax.training.torch_weights import export_weights, import_weights

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs PyTorch: pip install -r requirements-torch.txt"
)
THUMOS, ACTIVITYNET = "clustering_thumos_train", "clustering_activitynet_train"


def write_model(path: Path, config, bank_name: str = THUMOS, **changes) -> dict[str, np.ndarray]:
    """A file with made-up tensors of CLASSES and WIDTH; `changes` replace tensors, None leaves them out."""
    tensors = made_up_tensors(config, len(CLASSES), WIDTH, bank_name) | changes
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    state_dicts.write(path, tensors)
    return tensors


@needs_torch
@pytest.mark.parametrize("bank_name", [THUMOS, ACTIVITYNET])
def test_a_round_trip_changes_no_byte(data_dir, tmp_path, bank_name):
    config = small_run(data_dir, **{"bank.rows": 7 if bank_name == THUMOS else 0})
    tensors = write_model(tmp_path / "in.pkl", config, bank_name)
    sentence = import_weights([tmp_path / "in.pkl"], tmp_path / "run", small_run(data_dir), None)
    assert f"{len(tensors)} tensors of step {STEP}; 3 classes, width 16" in sentence
    assert final_variables(tmp_path / "run")["bank"].rows.shape == (7 if bank_name == THUMOS else 4, WIDTH)
    export_weights(tmp_path / "run", tmp_path / "out.pkl", checkpoints.LAST, None)
    found = read_state_dict(tmp_path / "out.pkl")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape), name
        assert found[name].tobytes() == tensor.tobytes(), name


@needs_torch
def test_every_tensor_lands_where_the_network_uses_it(data_dir, tmp_path):
    """What is exported as another data set's differs in the bank alone, its name and layout."""
    config = small_run(data_dir)
    tensors = write_model(tmp_path / "in.pkl", config)
    import_weights([tmp_path / "in.pkl"], tmp_path / "run", config, None)
    variables = final_variables(tmp_path / "run")
    np.testing.assert_array_equal(variables["bank"].rows, tensors[THUMOS][0])
    kernel = variables["params"]["semantic_head"]["class_logits"]["kernel"]
    np.testing.assert_array_equal(kernel, tensors["cluster_classifier.3.weight"][..., 0].T)
    export_weights(tmp_path / "run", tmp_path / "out.pkl", checkpoints.LAST, "activitynet")
    found = read_state_dict(tmp_path / "out.pkl")
    np.testing.assert_array_equal(found.pop(ACTIVITYNET), tensors.pop(THUMOS)[0])
    assert found.keys() == tensors.keys()


def test_class_rows_need_a_row_of_each_class(data_dir, tmp_path):
    """The rule "ema" moves the row of a class; a bank that was not fitted here may have other rows."""
    config = small_run(data_dir, **{"bank.rows": 7})
    write_model(tmp_path / "in.pkl", config)
    with pytest.raises(InputError, match=r"in\.pkl: config\.bank\.update_rule is 'ema'.* config\.bank\.rows is 7"):
        import_weights(
            [tmp_path / "in.pkl"], tmp_path / "run", small_run(data_dir, **{"bank.update_rule": "ema"}), None
        )
    assert not (tmp_path / "run").exists()


def test_a_method_without_known_tensors_is_refused(data_dir, tmp_path):
    write_model(tmp_path / "in.pkl", small_run(data_dir))
    with pytest.raises(InputError, match=r"config\.method is 'toy'"):
        import_weights([tmp_path / "in.pkl"], tmp_path / "run", toy_run(data_dir), None)


@needs_torch
@pytest.mark.parametrize("parts", [("tce",), ("dsa",)])
def test_a_network_without_some_parts_comes_back(data_dir, tmp_path, parts):
    config = small_run(data_dir, **{f"model.{part}": False for part in parts})
    tensors = write_model(tmp_path / "in.pkl", config)
    import_weights([tmp_path / "in.pkl"], tmp_path / "run", config, None)
    export_weights(tmp_path / "run", tmp_path / "out.pkl", checkpoints.LAST, None)
    found = read_state_dict(tmp_path / "out.pkl")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor)


@needs_torch
def test_pytorch_saves_what_is_imported_and_loads_what_is_exported(data_dir, tmp_path):
    import torch

    config = small_run(data_dir)
    tensors = {name: torch.tensor(tensor) for name, tensor in write_model(tmp_path / "in.pkl", config).items()}
    for legacy in (False, True):
        torch.save(tensors, tmp_path / "in.pkl", _use_new_zipfile_serialization=not legacy)
        import_weights([tmp_path / "in.pkl"], tmp_path / f"run{legacy}", config, None)
        export_weights(tmp_path / f"run{legacy}", tmp_path / "out.pkl", checkpoints.LAST, None)
        found = torch.load(tmp_path / "out.pkl", weights_only=True)
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_imported_weights_are_evaluated_and_trained_on(data_dir, tmp_path):
    config = small_run(data_dir, **{"train.steps": STEP + 1, "eval.every": 1, "eval.after": 1})
    write_model(tmp_path / "model.pkl", config)
    import_weights([tmp_path / "model.pkl"], tmp_path / "run", config, None)
    shown = report(tmp_path / "run", {})
    assert f"last (step {STEP})" in shown
    assert "imported from model.pkl" in shown.splitlines()[-1]
    train(config, tmp_path / "run")
    shown = report(tmp_path / "run", {})
    assert f"last (step {STEP + 1})" in shown and "imported" not in shown


@needs_torch
def test_half_precision_is_imported_exactly(data_dir, tmp_path):
    config = small_run(data_dir)
    half = np.linspace(-1, 1, 16, dtype=np.float16)
    write_model(tmp_path / "in.pkl", config, **{"conv_1x1.bias": half})
    import_weights([tmp_path / "in.pkl"], tmp_path / "run", config, None)
    export_weights(tmp_path / "run", tmp_path / "out.pkl", checkpoints.LAST, None)
    np.testing.assert_array_equal(read_state_dict(tmp_path / "out.pkl")["conv_1x1.bias"], half.astype(np.float32))


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv_3x1.bias": None, "time_Attn.0.bias": None}, r"missing tensors: conv_3x1\.bias, time_Attn\.0\.bias"),
        ({"fc.weight": zeros(2)}, r"unexpected tensor: fc\.weight"),
        (
            {"concat_conv.0.weight": zeros(16, 48, 5)},
            r"concat_conv\.0\.weight has shape \(16, 48, 5\), expected \(16, 4",
        ),
        ({"MHSA_Intra.bn.running_var": zeros(16) + np.nan}, "running_var holds NaN or infinite numbers"),
        ({"MHSA_Intra.bn.weight": np.zeros(16, int)}, "has type int64, expected floating numbers"),
        (
            {"MHSA_Intra.bn.num_batches_tracked": np.array(3)},
            r"different numbers of times: .*bn\.num_batches_tracked 3",
        ),
        ({"MHSA_Intra.bn.num_batches_tracked": np.array(3.0)}, "has type float64, expected integer numbers"),
        ({THUMOS: None}, "expected one semantics bank, .*; found neither"),
        ({ACTIVITYNET: zeros(4, 16)}, f"found {THUMOS} and {ACTIVITYNET}"),
        ({THUMOS: zeros(4, 16)}, r"clustering_thumos_train has shape \(4, 16\), expected 3 axes"),
        ({"time_Attn.0.weight": zeros(5, 16, 3)}, "attention_channels of width 16 is 4, but the tensors have 5"),
        ({"time_classifier.3.weight": zeros(6, 16, 1), THUMOS: zeros(1, 6, 16)}, r"time_classifier\.3\.bias has shape"),
    ],
)
def test_what_does_not_fit_is_named_and_leaves_nothing(data_dir, tmp_path, changes, message):
    config = small_run(data_dir)
    write_model(tmp_path / "model.pkl", config, **changes)
    with pytest.raises(InputError, match=rf"model\.pkl: .*{message}"):
        import_weights([tmp_path / "model.pkl"], tmp_path / "run", config, None)
    assert not (tmp_path / "run").exists()


def test_classes_come_from_a_file_the_data_or_the_published_lists(data_dir, tmp_path):
    config = small_run(data_dir)
    write_model(tmp_path / "model.pkl", config)
    listed = tmp_path / "classes.txt"
    listed.write_text("a\nb\nc\n")
    unprepared = small_run(data_dir, **{"data.name": "other"})
    with pytest.raises(
        InputError, match="classes of data set other are not known: prepare it first, or give --classes"
    ):
        import_weights([tmp_path / "model.pkl"], tmp_path / "run", unprepared, None)
    with pytest.raises(InputError, match="data set thumos14 has 20 classes, but the tensors are of 3"):
        import_weights(
            [tmp_path / "model.pkl"], tmp_path / "run", small_run(data_dir, **{"data.name": "thumos14"}), None
        )
    import_weights([tmp_path / "model.pkl"], tmp_path / "run", unprepared, listed)
    with pytest.raises(InputError, match="holds a run already"):
        import_weights([tmp_path / "model.pkl"], tmp_path / "run", unprepared, listed)
    with pytest.raises(InputError, match=r"has the classes \['a', 'b', 'c'\], but data set made_up has \['jump'"):
        report(tmp_path / "run", {"data.name": "made_up"})
    listed.write_text("a\nb\n")
    with pytest.raises(InputError, match=r"--classes .*classes\.txt has 2 classes, but the tensors are of 3"):
        import_weights([tmp_path / "model.pkl"], tmp_path / "second", unprepared, listed)


def test_an_export_of_nothing_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="holds no checkpoint 'last'"):
        export_weights(tmp_path, tmp_path / "out.pkl", checkpoints.LAST, None)
    with pytest.raises(InputError, match="selection is 'best', expected one of last, best_on_holdout, best_on_test"):
        export_weights(tmp_path, tmp_path / "out.pkl", "best", None)
    assert not list(tmp_path.iterdir())


def command(name: str, *arguments: object) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", f"launch.{name}", *map(str, arguments)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def recorded_tensors(shared: Path) -> dict[str, np.ndarray]:
    """The recorded weights of the published implementation."""
    recording = np.load(shared / "golden" / "model.npz")
    return {name[5:]: recording[name] for name in recording.files if name.startswith("init/")}


def import_recorded(folder: Path, tensors: dict[str, np.ndarray]) -> subprocess.CompletedProcess:
    """Imports them from folder/model.pkl as folder/run."""
    state_dicts.write(folder / "model.pkl", tensors)
    classes = folder / "classes.txt"
    classes.write_text("\n".join("abcde"))
    fitting = ["--config.model.attention_channels=0.5", "--config.data.name=other", f"--classes={classes}"]
    return command("import_torch", folder / "model.pkl", f"--output={folder / 'run'}", *fitting)


def test_the_import_command(shared, tmp_path):
    imported = import_recorded(tmp_path, recorded_tensors(shared))
    assert (imported.returncode, imported.stderr) == (0, "")
    assert "69 tensors of step 0; 5 classes, width 32" in imported.stdout
    wrong = command("import_torch", tmp_path / "model.pkl", f"--output={tmp_path / 'other'}")
    assert wrong.returncode == 1 and wrong.stderr.count("\n") == 1
    assert "config.model.attention_channels of width 32 is 8, but the tensors have 16" in wrong.stderr
    assert not (tmp_path / "other").exists()


@needs_torch
def test_the_export_command(shared, tmp_path):
    tensors = recorded_tensors(shared)
    import_recorded(tmp_path, tensors)
    exported = command("export_torch", f"--workdir={tmp_path / 'run'}", f"--output={tmp_path / 'out.pkl'}")
    assert (exported.returncode, exported.stderr) == (0, "")
    found = read_state_dict(tmp_path / "out.pkl")
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in tensors.items()
    }
