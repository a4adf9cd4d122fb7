"""PyTorch weights become a run that every command takes, and a run's weights become PyTorch files.

The `torch` module of a method reads and writes the tensors. The weights of most methods are one file. A method whose
weights are several files offers `files(config)`, their names ("rgb", "flow"); the tensors then bear the name of their
file before their own ("rgb/ac_center").
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tsc_jax import methods
from tsc_jax.data import builder
from tsc_jax.data.annotations import read_lines
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.files import check_folder, check_target
from tsc_jax.method import Sizes, TrainState, first_state
from tsc_jax.torch.files import read_state_dict, write_state_dict
from tsc_jax.training import checkpoints
from tsc_jax.training.trained import open_trained


def torch_part(name: str) -> ModuleType:
    """The module that knows the PyTorch tensors of method `name`; InputError where it has none."""
    module = methods.part(name, "torch")
    if module is None:
        raise InputError(f"config.method is {name!r}, whose PyTorch tensors are not known here")
    return module


def file_names(module: ModuleType, config: ml_collections.ConfigDict) -> tuple[str, ...]:
    """The names of the files that hold the weights of a method; () for a single file without a name."""
    return module.files(config) if hasattr(module, "files") else ()


def read_tensors(models: Sequence[Path], names: Sequence[str]) -> dict[str, np.ndarray]:
    """The tensors of the files `models`: one file per name, or a single one without names."""
    if len(models) != max(1, len(names)):
        expected = f"{len(names)} files ({', '.join(names)})" if names else "one file"
        given = ", ".join(map(str, models))
        raise InputError(f"{given}: the weights of this recipe are in {expected}, not in {len(models)}")
    prefixes = [f"{name}/" for name in names] or [""]
    return {
        f"{prefix}{name}": tensor
        for prefix, model in zip(prefixes, models, strict=True)
        for name, tensor in read_state_dict(model).items()
    }


def import_weights(
    models: Sequence[Path], workdir: Path, config: ml_collections.ConfigDict, classes_file: Path | None
) -> str:
    """Makes the state_dicts in `models` the last checkpoint of a run in `workdir`, which must not hold one yet.

    Most methods have one file, others several (see above), in the order of their names. The data that they were trained
    on are not known, so the run goes with any prepared data set of its classes and width. Its optimizer starts afresh.
    The method may fill in what `config` leaves open from the sizes of the tensors; the classes are the lines of
    `classes_file`, or those of `config.data.name`.

    Returns:
      What was imported, in a sentence or two.

    Raises:
      InputError: another number of files, a file that is not a whole state_dict of this network and recipe, or other
        classes.
    """
    if checkpoints.folder_of(workdir, checkpoints.LAST).exists():
        raise InputError(f"--output {workdir}: holds a run already; give another folder")
    check_folder(f"--output {workdir}", workdir)
    module, origin = torch_part(config.method), ", ".join(map(str, models))
    tensors = read_tensors(models, file_names(module, config))
    try:
        config, sizes, facts = module.fit_recipe(config, tensors)
        method = methods.make(config, sizes)
        template = jax.eval_shape(lambda: first_state(method, 0))
        params, carried, step = module.from_tensors(tensors, template.params, template.carried)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error
    state = TrainState(jnp.int32(step), jnp.uint32(config.train.seed), params, carried, method.optimizer.init(params))
    classes, rate = known_of_data(config, sizes, classes_file)
    digest = hashlib.sha256(b"".join(model.read_bytes() for model in models)).hexdigest()
    about = {
        "method": config.method,
        "config": json.loads(config.to_json()),
        "classes": classes,
        "sizes": dataclasses.asdict(sizes),
        "snippets_per_second": rate,
        "data_fingerprint": None,
        "facts": facts,
        "imported": {"file": ", ".join(model.name for model in models), "sha256": digest},
    }
    manager = checkpoints.open_checkpoints(workdir, checkpoints.LAST)
    try:
        checkpoints.save(manager, step, state, about)
    finally:
        checkpoints.close([manager])
    return (
        f"{workdir}: {len(tensors)} tensors of step {step}; {sizes.classes} classes, width {sizes.width}\n"
        "the data that they were trained on are not known, so no data set is checked"
    )


def known_of_data(
    config: ml_collections.ConfigDict, sizes: Sizes, classes_file: Path | None
) -> tuple[list[str], float | None]:
    """The classes and the snippet rate (None if not known) of the data set that `config` names."""
    name = config.data.name
    known = builder.config_of(name)
    classes, rate, origin = known.classes, known.snippets_per_second, f"data set {name}"
    if builder.prepared_folder(config.data.data_dir, name).exists():
        dataset = open_dataset(config.data.data_dir, name)
        classes, rate = dataset.classes, dataset.snippets_per_second
        if dataset.width != sizes.width:
            raise InputError(f"{origin} has features of width {dataset.width}, but the tensors are of {sizes.width}")
    if classes_file is not None:
        classes, origin = [line for line in read_lines(classes_file) if line], f"--classes {classes_file}"
    if classes is None:
        raise InputError(f"the classes of data set {name} are not known: prepare it first, or give --classes FILE")
    if len(classes) != sizes.classes:
        raise InputError(f"{origin} has {len(classes)} classes, but the tensors are of {sizes.classes}")
    return list(classes), rate


def export_weights(workdir: Path, output: Path, selection: str, layout: str | None) -> str:
    """Writes the weights of one of a run's checkpoints as PyTorch state_dicts; returns what was written in a sentence.

    Weights in several files get the name of each before the suffix of `output`: MODEL.pkl gives MODEL_rgb.pkl and
    MODEL_flow.pkl. `layout` is one of the method's layouts; None: as the weights were imported, or as the data set
    implies.
    """
    check_target("output", output)
    trained = open_trained(workdir, selection)
    module = torch_part(trained.config.method)
    if layout is not None and layout not in getattr(module, "LAYOUTS", ()):
        raise InputError(f"--bank is {layout!r}, but config.method is {trained.config.method!r}, which has no bank")
    tensors, names = module.to_tensors(trained, layout), file_names(module, trained.config)
    paths = {output.with_stem(f"{output.stem}_{name}"): f"{name}/" for name in names} or {output: ""}
    for path, prefix in paths.items():
        own = {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        write_state_dict(path, {name.removeprefix(prefix): tensor for name, tensor in own.items()})
    written = " and ".join(map(str, paths))
    return f"{written}: {len(tensors)} tensors of step {trained.step} ({trained.selection})"
