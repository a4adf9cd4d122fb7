"""Opens a trained run, or an export of one, for reading."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections

from tsc_jax import methods
from tsc_jax.data.dataset import Dataset, open_dataset
from tsc_jax.errors import InputError
from tsc_jax.files import open_path
from tsc_jax.method import Sizes, first_state
from tsc_jax.training import checkpoints
from tsc_jax.training.recipes import check_sections, complete


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """One checkpoint of a run."""

    directory: Path  # of the run
    selection: str  # how the checkpoint was chosen, as in "last" or "best on test"
    step: int  # after which it was saved
    config: ml_collections.ConfigDict  # the recipe of the run
    classes: tuple[str, ...]  # names of the C classes
    sizes: Sizes  # of the data that it was trained on
    about: Mapping[str, Any]  # everything else that the checkpoint says, plain JSON
    variables: Any  # see `Method.variables`; NumPy


def open_trained(workdir: Path, selection: str = checkpoints.LAST) -> Trained:
    """Reads the newest undamaged checkpoint of a selection; a run that trains meanwhile is not disturbed.

    Raises:
      InputError: no such checkpoint, all of them damaged, or a format that this version does not read.
    """
    workdir = open_path(workdir)
    manager = find(workdir, selection)
    try:
        return checkpoints.newest(manager, lambda step: _open_step(manager, workdir, selection, step))
    finally:
        manager.close()


def _open_step(manager, workdir: Path, selection: str, step: int) -> Trained:
    about = checkpoints.read_about_of(manager, step)
    config, sizes = complete(about["config"]), Sizes(**about["sizes"])
    method = methods.make(config, sizes)
    state = jax.eval_shape(lambda: first_state(method, 0))
    variables = jax.eval_shape(method.variables, state.params, state.carried)
    if about.get("inference_only"):
        variables = checkpoints.restore(manager, step, about, variables)
    else:
        state = checkpoints.restore(manager, step, about, state)
        variables = method.variables(state.params, state.carried)
    return Trained(
        directory=workdir,
        selection=about.get("selection", selection).replace("_", " "),
        step=step,
        config=config,
        classes=tuple(about["classes"]),
        sizes=sizes,
        about=about,
        variables=variables,
    )


def read_about(workdir: Path, selection: str = checkpoints.LAST) -> dict[str, Any]:
    """What the newest undamaged checkpoint of a selection says of it; no arrays are read. Raises as `open_trained`."""
    manager = find(workdir, selection)
    try:
        return checkpoints.read_about(manager)
    finally:
        manager.close()


def find(workdir: Path, selection: str):
    """The checkpoints of a selection, opened for reading; InputError names what is there instead."""
    if selection not in checkpoints.SELECTIONS:
        raise InputError(f"selection is {selection!r}, expected one of {', '.join(checkpoints.SELECTIONS)}")
    manager = checkpoints.read_checkpoints(workdir, selection)
    if manager is not None:
        return manager
    if folders := seed_folders(workdir):
        names = ", ".join(folder.name for folder in folders)
        raise InputError(f"{workdir}: holds the runs of several seeds, expected one of them: {names}")
    there = selections_of(workdir)
    others = f", only {' and '.join(there)}" if there else "; expected a workdir of launch.train or an export"
    raise InputError(f"{workdir}: holds no checkpoint {selection!r}{others}")


def selections_of(workdir: Path) -> list[str]:
    """The selections of which a run holds a checkpoint."""
    steps = {each: checkpoints.folder_of(workdir, each).glob("*") for each in checkpoints.SELECTIONS}
    return [each for each, paths in steps.items() if any(path.name.isdecimal() for path in paths)]


def seed_folders(workdir: Path) -> list[Path]:
    """The folders of the runs that were trained together in a workdir, by seed; none if it holds a single run."""
    folders = [folder for folder in open_path(workdir).glob("seed_*") if folder.name.removeprefix("seed_").isdecimal()]
    return sorted(folders, key=lambda folder: int(folder.name.removeprefix("seed_")))


def with_dataset(trained: Trained, changes: Mapping[str, Any]) -> tuple[Trained, Dataset]:
    """A run with some values of its recipe changed, and its data set.

    Raises:
      InputError: the data set is not prepared, or is not the one that the run was trained on.
    """
    config = trained.config.copy_and_resolve_references()
    config.update_from_flattened_dict(dict(changes))
    check_sections(config)
    dataset = open_dataset(config.data.data_dir, config.data.name)
    check_data(trained.about, dataset, f"--workdir {trained.directory}")
    return dataclasses.replace(trained, config=config), dataset


def check_data(about: Mapping[str, Any], dataset: Dataset, where: str) -> None:
    """Raises InputError where the run in `where`, a flag and its value, was trained on other data than `dataset`.

    For imported weights the data are not known: then classes and width alone must be the same.
    """
    if about["data_fingerprint"] is None:
        known = {"classes": about["classes"], "width": about["sizes"]["width"]}
        for what, now in (("classes", list(dataset.classes)), ("width", dataset.width)):
            if known[what] != now:
                raise InputError(f"{where} has the {what} {known[what]}, but data set {dataset.name} has {now}")
    elif about["data_fingerprint"] != dataset.fingerprint:
        raise InputError(f"{where} was trained on other data than {dataset.name} is now")
