"""Orbax checkpoints of a run: one folder for each reason to keep a step, so that none is mistaken for another.

  WORKDIR/checkpoints/last            the newest step
  WORKDIR/checkpoints/best_on_holdout the step with the best mAP on held-out training videos so far
  WORKDIR/checkpoints/best_on_test    the step with the best mAP on test videos so far, as papers report it

Beside the arrays each holds `about`: the config, the classes, the snippet rate, the data's
fingerprint, how the bank was fitted, and the best ones their score.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import flax
import jax
import ml_collections
import numpy as np
import orbax.checkpoint as ocp

from tsc_jax.data.dataset import Dataset
from tsc_jax.errors import InputError
from tsc_jax.tscnet.bank import BankFit
from tsc_jax.tscnet.train_step import TrainState

LAST = "last"
BEST_ON_HOLDOUT = "best_on_holdout"
BEST_ON_TEST = "best_on_test"
SELECTIONS = (LAST, BEST_ON_HOLDOUT, BEST_ON_TEST)


def open_checkpoints(workdir: Path, selection: str) -> ocp.CheckpointManager:
    """The manager of one folder of a run's checkpoints; it keeps the newest steps of those it is given.

    Of LAST there are two, so that runs that are trained together always have one in common.
    """
    # Without names of their own, two managers that save the same step would wait at each other's barriers.
    barriers = ocp.options.MultiprocessingOptions(barrier_sync_key_prefix=selection)
    options = ocp.CheckpointManagerOptions(
        max_to_keep=2 if selection == LAST else 1, cleanup_tmp_directories=True, multiprocessing_options=barriers
    )
    return ocp.CheckpointManager((Path(workdir) / "checkpoints" / selection).absolute(), options=options)


def find_checkpoints(workdir: Path, selection: str) -> ocp.CheckpointManager | None:
    """The manager of a folder that holds a checkpoint; None where there is none, and nothing is created then."""
    if not Path(workdir, "checkpoints", selection).is_dir():
        return None
    manager = open_checkpoints(workdir, selection)
    return None if manager.latest_step() is None else manager


def about_run(config: ml_collections.ConfigDict, dataset: Dataset) -> dict[str, Any]:
    """What every checkpoint of a run says of it, in plain JSON values."""
    return {
        "config": json.loads(config.to_json()),
        "classes": list(dataset.classes),
        "width": dataset.width,
        "snippets_per_second": dataset.snippets_per_second,
        "data_fingerprint": dataset.fingerprint,
    }


def check_data(now: Mapping[str, Any], then: Mapping[str, Any], workdir: Path) -> None:
    """Raises InputError where a run that says `then` cannot go on with the data of `now`; see `about_run`.

    What imported weights were trained on is not known: then classes and width alone must be the same.
    """
    name = now["config"]["data"]["name"]
    if then["data_fingerprint"] is None:
        for what in ("classes", "width"):
            if now[what] != then[what]:
                raise InputError(
                    f"--workdir {workdir} has the {what} {then[what]}, but data set {name} has {now[what]}"
                )
    elif now["data_fingerprint"] != then["data_fingerprint"]:
        raise InputError(f"--workdir {workdir} was trained on other data than {name} is now")


def save(manager: ocp.CheckpointManager, state: TrainState, about: Mapping[str, Any]) -> None:
    """Writes the state and `about` (plain JSON values); returns before the files are complete."""
    step = int(state.step)
    tree = jax.tree.map(np.asarray, jax.device_get(flax.serialization.to_state_dict(state)))
    about = dict(about, bank_fit=dataclasses.asdict(state.bank.fit), step=step)
    items = ocp.args.Composite(state=ocp.args.StandardSave(tree), about=ocp.args.JsonSave(about))
    manager.save(step, args=items, force=True)


def wait(managers: Iterable[ocp.CheckpointManager]) -> None:
    """Returns when all that was saved is complete on disk."""
    for manager in managers:
        manager.wait_until_finished()


def read_about(manager: ocp.CheckpointManager, step: int | None = None) -> dict[str, Any] | None:
    """What the checkpoint of a step, by default the newest, says of itself; None where there is no checkpoint."""
    step = manager.latest_step() if step is None else step
    if step is None:
        return None
    return manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore()))["about"]


def restore(manager: ocp.CheckpointManager, template: TrainState, step: int | None = None) -> TrainState:
    """The state of a step, by default the newest, in the structure, shapes and types of `template`.

    Raises:
      InputError: the checkpoint does not hold such a state.
    """
    step = manager.latest_step() if step is None else step
    about = read_about(manager, step)
    wanted = flax.serialization.to_state_dict(template)
    wanted = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), wanted)
    try:
        items = ocp.args.Composite(state=ocp.args.StandardRestore(wanted))
        tree = manager.restore(step, args=items)["state"]
    except ValueError as error:
        raise InputError(f"{manager.directory}, step {step}: not a state of this network: {error}") from error
    for (path, leaf), have in zip(jax.tree.leaves_with_path(wanted), jax.tree.leaves(tree), strict=True):
        if leaf.shape != have.shape or leaf.dtype != have.dtype:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise InputError(
                f"{manager.directory}, step {step}: {name} is {have.dtype} {have.shape},"
                f" expected {leaf.dtype} {leaf.shape}"
            )
    state = flax.serialization.from_state_dict(template, tree)
    return state.replace(bank=state.bank.replace(fit=BankFit(**about["bank_fit"])))
