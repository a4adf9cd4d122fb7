"""Exports of a run for inference: a workdir that every command but launch.train takes."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np

import tsc_jax
from tsc_jax import methods
from tsc_jax.errors import InputError
from tsc_jax.files import check_folder, replacing
from tsc_jax.training import checkpoints
from tsc_jax.training.trained import Trained, open_trained

STORAGE = ("float32", "bfloat16")
KEPT = ("method", "config", "classes", "sizes", "snippets_per_second", "offset_snippets", "data_fingerprint")
KEPT += ("facts", "imported", "extractor")

MODEL_CARD = """# {name}

Method {method} for weakly-supervised temporal action localization, exported by tsc_jax {version}.

* trained on: {data}, video-level labels only, {step} steps; chosen as: {selection}
* input: snippet features [T, {width}], {rate}, from the extractor that it was trained with
* output: class activations and attention of every snippet, from which segments are read
* its {number} classes: {classes}
* weights: {storage}; {parameters:,} numbers

`checkpoints/` holds an orbax checkpoint with a SHA-256 of every array.
"""


def export_run(
    workdir: Path,
    output: Path,
    selection: str,
    storage: str,
    lengths: Sequence[int],
    changes: Mapping[str, Any] | None = None,
) -> str:
    """Writes what inference needs of one of a run's checkpoints into a new folder, `output`.

    Args:
      workdir: of the run.
      output: the folder to make.
      selection: which checkpoint, one of checkpoints.SELECTIONS.
      storage: type of the arrays on disk, one of STORAGE; they are read back as float32.
      lengths: in snippets; for each, stablehlo/forward_LENGTH.bin holds the forward pass over one video, which
        jax.export.deserialize reads: (variables, features [1, LENGTH, D], mask bool [1, LENGTH]) -> arrays by name.
      changes: of the recipe, such as those of the localization; values by key.

    Returns:
      What was written, in a sentence.
    """
    if storage not in STORAGE:
        raise InputError(f"--storage is {storage!r}, expected one of {', '.join(STORAGE)}")
    if output.exists():
        raise InputError(f"--output {output}: is there already; give another folder")
    check_folder(f"--output {output}", output)
    trained = open_trained(workdir, selection)
    config = trained.config.copy_and_resolve_references()
    config.update_from_flattened_dict(dict(changes or {}))
    methods.make(config, trained.sizes)  # refuses invalid values
    about = {key: trained.about[key] for key in KEPT if key in trained.about} | {"config": json.loads(config.to_json())}
    versions = {name: importlib.metadata.version(name) for name in ("jax", "flax", "orbax-checkpoint")}
    about |= {"inference_only": True, "selection": trained.selection, "versions": versions}
    stored = jax.tree.map(lambda leaf: np.asarray(leaf).astype(jnp.dtype(storage)), trained.variables)
    with replacing(output) as partial:
        partial.mkdir(parents=True)
        target = checkpoints.open_checkpoints(partial, checkpoints.LAST)
        try:
            checkpoints.save(target, trained.step, stored, about)
        finally:
            checkpoints.close([target])
        for length in lengths:
            write_program(partial / "stablehlo" / f"forward_{length}.bin", trained, length)
        (partial / "README.md").write_text(model_card(output.name, trained, storage))
    return f"{output}: step {trained.step} ({trained.selection}) in {storage}, with a model card (README.md)"


def write_program(path: Path, trained: Trained, length: int) -> None:
    """Writes the forward pass over one video of `length` snippets, to run without this library."""
    method, width = methods.make(trained.config, trained.sizes), trained.sizes.width

    # Plain dicts: whoever runs the program does not need this library's classes.
    def forward(plain, features, mask):
        variables = flax.serialization.from_state_dict(trained.variables, plain)
        outputs = method.forward(variables, features, mask)
        return outputs.snippets | outputs.videos

    plain = flax.serialization.to_state_dict(trained.variables)
    of_video = (jax.ShapeDtypeStruct((1, length, width), np.float32), jax.ShapeDtypeStruct((1, length), bool))
    program = jax.export.export(jax.jit(forward), platforms=("cpu", "cuda", "tpu"))(plain, *of_video)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(program.serialize())


def model_card(name: str, trained: Trained, storage: str) -> str:
    """The model card of an export, see MODEL_CARD."""
    rate = trained.about["snippets_per_second"]
    return MODEL_CARD.format(
        name=name,
        method=trained.config.method,
        version=tsc_jax.__version__,
        data=trained.config.data.name,
        step=trained.step,
        selection=trained.selection,
        width=trained.sizes.width,
        rate=f"{rate:g} snippets per second" if rate else "at a rate that the user gives",
        number=len(trained.classes),
        classes=", ".join(trained.classes),
        storage=storage,
        parameters=sum(np.size(leaf) for leaf in jax.tree.leaves(trained.variables)),
    )
