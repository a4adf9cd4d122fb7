"""PyTorch weights become a run that every command takes, and a run's weights become a PyTorch file."""

import hashlib
import json
from pathlib import Path

import ml_collections

from tsc_jax.data import builder
from tsc_jax.data.annotations import read_lines
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.methods.tscnet import torch_state
from tsc_jax.methods.tscnet.bank import number_of_rows
from tsc_jax.methods.tscnet.train_step import for_inference
from tsc_jax.torch.files import read_state_dict, write_state_dict
from tsc_jax.training import checkpoints
from tsc_jax.training.initial import state_template


def import_weights(model: Path, workdir: Path, config: ml_collections.ConfigDict, classes_file: Path | None) -> str:
    """Makes the state_dict in `model` the last checkpoint of a run in `workdir`.

    The data it was trained on is not known, so the run goes with any prepared data set of its classes and
    width. How its bank was fitted is not known either, and its optimizer starts afresh.

    Args:
      model: file of torch.save.
      workdir: must not hold a run yet.
      config: the recipe; `config.bank.rows` becomes what the file says where it leaves that open.
      classes_file: names of the classes, one a line; None: those of `config.data.name`.

    Returns:
      What was imported, in a sentence or two.

    Raises:
      InputError: a file that is not a whole state_dict of this network and recipe; classes that are not
        known or not as many as the network's.
    """
    if checkpoints.find_checkpoints(workdir, checkpoints.LAST) is not None:
        raise InputError(f"--output {workdir}: holds a run already; give another folder")
    tensors = read_state_dict(model)
    try:
        sizes = torch_state.read_sizes(tensors)
        config = fitting_config(config, sizes)
        state = torch_state.from_tensors(tensors, config)
    except InputError as error:
        raise InputError(f"{model}: {error}") from error
    classes, rate = known_of_data(config, sizes, classes_file)
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    about = {
        "config": json.loads(config.to_json()),
        "classes": classes,
        "width": sizes.width,
        "snippets_per_second": rate,
        "data_fingerprint": None,
        "imported": {"file": model.name, "sha256": digest, "bank_name": sizes.bank_name},
    }
    manager = checkpoints.open_checkpoints(workdir, checkpoints.LAST)
    checkpoints.save(manager, state, about)
    checkpoints.close([manager])
    return (
        f"{workdir}: {len(tensors)} tensors of step {int(state.step)}; {sizes.classes} classes, width {sizes.width},"
        f" {sizes.bank_rows} bank rows\nthe data they were trained on is not known, so none is checked"
    )


def fitting_config(config: ml_collections.ConfigDict, sizes: torch_state.Sizes) -> ml_collections.ConfigDict:
    """`config` with the file's number of bank rows; InputError where its numbers and the file's differ."""
    config = ml_collections.ConfigDict(config.to_dict())
    if not config.bank.rows and sizes.bank_rows != number_of_rows(config.bank, sizes.classes):
        config.bank.rows = sizes.bank_rows
    channels = max(1, int(sizes.width * config.model.attention_channels))
    for name, wanted, found in (
        ("config.bank.rows", number_of_rows(config.bank, sizes.classes), sizes.bank_rows),
        (f"config.model.attention_channels of width {sizes.width}", channels, sizes.attention_channels),
    ):
        if wanted != found:
            raise InputError(f"{name} is {wanted}, but the tensors have {found}")
    return config


def known_of_data(
    config: ml_collections.ConfigDict, sizes: torch_state.Sizes, classes_file: Path | None
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


def export_weights(workdir: Path, output: Path, selection: str, bank_name: str | None) -> str:
    """Writes the weights of one of a run's checkpoints as a PyTorch state_dict.

    Args:
      workdir: of the run.
      output: the file to write.
      selection: which checkpoint, one of checkpoints.SELECTIONS.
      bank_name: of the bank's tensor; None: as it was imported, else as the name of the data set tells.

    Returns:
      What was written, in a sentence.
    """
    if selection not in checkpoints.SELECTIONS:
        raise InputError(f"--selection is {selection!r}, expected one of {', '.join(checkpoints.SELECTIONS)}")
    manager = checkpoints.find_checkpoints(workdir, selection)
    if manager is None:
        raise InputError(f"--workdir {workdir}: holds no checkpoint {selection!r}")
    about = checkpoints.read_about(manager)
    config = ml_collections.ConfigDict(about["config"])
    state = for_inference(checkpoints.restore(manager, state_template(config, len(about["classes"]), about["width"])))
    activitynet = config.data.name.startswith("activitynet")
    by_data = "clustering_activitynet_train" if activitynet else "clustering_thumos_train"
    bank_name = bank_name or about.get("imported", {}).get("bank_name", by_data)
    tensors = torch_state.to_tensors(state, bank_name)
    write_state_dict(output, tensors)
    return f"{output}: {len(tensors)} tensors of step {int(state.step)} ({selection.replace('_', ' ')}), {bank_name}"
