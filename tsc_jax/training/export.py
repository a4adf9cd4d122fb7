"""What a run learnt, without what training needs: a workdir that every command but launch.train takes."""

import importlib.metadata
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import tsc_jax
from tsc_jax.errors import InputError
from tsc_jax.inference import make_forward
from tsc_jax.methods.tscnet.train_step import TrainState, count_parameters, for_inference
from tsc_jax.training import checkpoints
from tsc_jax.training.initial import state_template

STORAGE = ("float32", "bfloat16")

MODEL_CARD = """# {name}

TSC-Net (Lin et al., 2025), weakly-supervised temporal action localization, exported by tsc_jax {version}.

* trained on: {data}, video-level labels only, {step} steps; chosen as: {selection}
* input: snippet features [T, {width}], {rate:g} snippets a second, from the extractor that it was trained with
* output: class activations and attention of every snippet, from which segments are read
* its {number} classes: {classes}
* weights: {storage}; {parameters:,} parameters, the semantics bank of {rows} rows included

`checkpoints/` holds an orbax checkpoint with a SHA-256 of every array.
"""


def export_run(workdir: Path, output: Path, selection: str, storage: str, lengths: Sequence[int]) -> str:
    """Writes the parameters, batch statistics and bank of one of a run's checkpoints into a folder of their own.

    Args:
      workdir: of the run.
      output: the folder to make.
      selection: which checkpoint, one of checkpoints.SELECTIONS.
      storage: type of the arrays on disk, one of STORAGE; they are read back as float32.
      lengths: in snippets; for each the forward pass over one video is written to stablehlo/forward_LENGTH.bin,
        which jax.export.deserialize reads: (variables, bank rows, features [1, LENGTH, D], mask bool [1, LENGTH]).

    Returns:
      What was written, in a sentence.

    Raises:
      InputError: no such checkpoint, or a folder that is there already.
    """
    if storage not in STORAGE:
        raise InputError(f"--storage is {storage!r}, expected one of {', '.join(STORAGE)}")
    if output.exists():
        raise InputError(f"--output {output}: is there already; give another folder")
    manager = checkpoints.find_checkpoints(workdir, selection)
    if manager is None:
        raise InputError(f"--workdir {workdir}: holds no checkpoint {selection!r}")
    about = checkpoints.read_about(manager)
    config = ml_collections.ConfigDict(about["config"])
    state = for_inference(checkpoints.restore(manager, state_template(config, len(about["classes"]), about["width"])))
    named = selection.replace("_", " ")
    known = {key: about[key] for key in ("config", "classes", "width", "snippets_per_second", "data_fingerprint")}
    known |= {"inference_only": True, "selection": named, "versions": versions()}
    known |= {key: about[key] for key in ("imported",) if key in about}

    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        stored = jax.tree.map(lambda leaf: np.asarray(leaf).astype(jnp.dtype(storage)), learnt(state))
        target = checkpoints.open_checkpoints(partial, checkpoints.LAST)
        checkpoints.save(target, state.replace(**stored, opt_state=()), known)
        checkpoints.close([target])
        for length in lengths:
            write_program(partial / "stablehlo" / f"forward_{length}.bin", config, about, state, length)
        (partial / "README.md").write_text(model_card(output.name, known, state, storage))
        os.replace(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return f"{output}: step {int(state.step)} ({named}) in {storage}, with a model card (README.md)"


def learnt(state: TrainState) -> dict:
    """The float arrays of a state that inference needs, as fields of it."""
    return {"params": state.params, "batch_stats": state.batch_stats, "bank": state.bank}


def versions() -> dict[str, str]:
    """Of the packages that made the file."""
    return {name: importlib.metadata.version(name) for name in ("jax", "flax", "orbax-checkpoint")}


def write_program(path: Path, config: ml_collections.ConfigDict, about: dict, state: TrainState, length: int) -> None:
    """Writes the forward pass over one video of `length` snippets, to run without this library."""
    width, rows = about["width"], state.bank.rows
    forward = make_forward(config.model, len(about["classes"]), width)
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    of_video = (jax.ShapeDtypeStruct((1, length, width), np.float32), jax.ShapeDtypeStruct((1, length), bool))
    program = jax.export.export(forward.whole, platforms=("cpu", "cuda", "tpu"))(variables, rows, *of_video)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(program.serialize())


def model_card(name: str, about: dict, state: TrainState, storage: str) -> str:
    """See MODEL_CARD."""
    return MODEL_CARD.format(
        name=name,
        version=tsc_jax.__version__,
        data=about["config"]["data"]["name"],
        step=int(state.step),
        selection=about["selection"],
        width=about["width"],
        rate=about["snippets_per_second"] or float("nan"),
        number=len(about["classes"]),
        classes=", ".join(about["classes"]),
        storage=storage,
        parameters=count_parameters(state),
        rows=len(state.bank.rows),
    )
