"""Orbax checkpoints of a run: one folder for each reason to keep a step, so that none is mistaken for another.

  WORKDIR/checkpoints/last            the newest step
  WORKDIR/checkpoints/best_on_holdout the step with the best mAP on held-out training videos so far
  WORKDIR/checkpoints/best_on_test    the step with the best mAP on test videos so far, as papers report it

Beside the arrays each holds `about`: the config, the classes, the snippet rate, the data's
fingerprint, how the bank was fitted, type, shape and checksum of every array, and the best ones their score.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import orbax.checkpoint as ocp

from tsc_jax.data.dataset import Dataset
from tsc_jax.errors import DamagedCheckpointError, InputError
from tsc_jax.methods.tscnet.bank import BankFit
from tsc_jax.methods.tscnet.train_step import TrainState

LAST = "last"
BEST_ON_HOLDOUT = "best_on_holdout"
BEST_ON_TEST = "best_on_test"
SELECTIONS = (LAST, BEST_ON_HOLDOUT, BEST_ON_TEST)


def open_checkpoints(workdir: Path, selection: str, keep: int = 2) -> ocp.CheckpointManager:
    """The manager of one folder of a run's checkpoints; it keeps the `keep` newest steps of those it is given."""
    # Without names of their own, two managers that save the same step would wait at each other's barriers.
    barriers = ocp.options.MultiprocessingOptions(barrier_sync_key_prefix=selection)
    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep, cleanup_tmp_directories=True, multiprocessing_options=barriers
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
    """Writes the state and `about` (plain JSON values) with their checksums; returns before the files are complete.

    Raises:
      InputError: this save, or the one before it, could not be written.
    """
    step = int(state.step)
    tree = jax.tree.map(np.asarray, jax.device_get(flax.serialization.to_state_dict(state)))
    about = dict(about, bank_fit=dataclasses.asdict(state.bank.fit), step=step, arrays=describe(tree))
    about["sha256"] = digest(about)
    items = ocp.args.Composite(state=ocp.args.StandardSave(tree), about=ocp.args.JsonSave(about))
    with _writing(manager):
        manager.save(step, args=items, force=True)


def wait(managers: Iterable[ocp.CheckpointManager]) -> None:
    """Returns when all that was saved is complete on disk; raises InputError where it cannot be."""
    for manager in managers:
        with _writing(manager):
            manager.wait_until_finished()
            manager.check_for_errors()


def close(managers: Iterable[ocp.CheckpointManager]) -> None:
    """Waits for what was saved, then ends the managers."""
    managers = list(managers)
    wait(managers)
    for manager in managers:
        manager.close()


@contextlib.contextmanager
def _writing(manager: ocp.CheckpointManager) -> Iterator[None]:
    """Turns what goes wrong while a checkpoint is written into one sentence."""
    try:
        yield
    # Threads, TensorStore and the file system each have errors of their own.
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{manager.directory}: the newest step could not be saved, those before it are intact: {_first_line(error)}"
        ) from error


def describe(tree: Any) -> dict[str, list]:
    """Type, shape and SHA-256 of every array of a tree, by its path."""

    def checksum(leaf: np.ndarray) -> str:
        return hashlib.sha256(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8).data).hexdigest()

    with concurrent.futures.ThreadPoolExecutor() as threads:
        sums = threads.map(checksum, jax.tree.leaves(tree))
        shapes = describe_shapes(tree)
        return {name: [*shape, sha256] for (name, shape), sha256 in zip(shapes.items(), sums, strict=True)}


def digest(about: Mapping[str, Any]) -> str:
    """SHA-256 of plain JSON values, but for that under "sha256"."""
    content = {key: value for key, value in about.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_about(manager: ocp.CheckpointManager) -> dict[str, Any] | None:
    """What the newest step that can still be read says of itself; None where there is no checkpoint.

    Raises:
      InputError: there are steps, but all are damaged.
    """
    return _newest(manager, lambda step: _read_about(manager, step))


def restore(manager: ocp.CheckpointManager, template: TrainState) -> TrainState:
    """The state of the newest step that is as it was written, in the structure, shapes and types of `template`.

    A damaged step is reported on stderr and passed over.

    Raises:
      InputError: the checkpoint does not hold such a state, or all steps are damaged.
    """
    return _newest(manager, lambda step: restore_step(manager, template, step))


def _newest(manager: ocp.CheckpointManager, read: Callable[[int], Any]) -> Any:
    """What `read` gives for the newest step that is not damaged."""
    steps = sorted(manager.all_steps(), reverse=True)
    for step in steps:
        try:
            return read(step)
        except DamagedCheckpointError as error:
            print(f"{error}; passed over", file=sys.stderr)
    if steps:
        raise InputError(f"{manager.directory}: every step is damaged; delete the folder to begin anew")
    return None


def _read_about(manager: ocp.CheckpointManager, step: int) -> dict[str, Any]:
    with _reading(manager, step):
        about = manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore()))["about"]
        if about["sha256"] != digest(about):
            raise ValueError("its description does not have the checksum that was written with it")
    return about


def restore_step(manager: ocp.CheckpointManager, template: TrainState, step: int) -> TrainState:
    """The state of one step; like `restore`, but raises DamagedCheckpointError where it is damaged.

    What was exported for inference comes without a state of the optimizer, and as float32 however it was stored.
    """
    about = _read_about(manager, step)
    exported = about.get("inference_only", False)
    template = template.replace(opt_state=(), averages={}) if exported else template
    wanted = flax.serialization.to_state_dict(template)
    check_network(about["arrays"], wanted, not exported, f"{manager.directory}, step {step}")
    names = list(describe_shapes(wanted))
    stored = [np.zeros(about["arrays"][name][1], jnp.dtype(about["arrays"][name][0])) for name in names]
    with _reading(manager, step):
        held = jax.tree.unflatten(jax.tree.structure(wanted), stored)
        tree = manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(held)))["state"]
        wrong = [name for name, found in describe(tree).items() if found != about["arrays"][name]]
        if wrong:
            raise ValueError(f"{wrong[0]} does not have the checksum that was written with it")
    tree = jax.tree.map(lambda leaf, like: np.asarray(leaf).astype(like.dtype, copy=False), tree, wanted)
    state = flax.serialization.from_state_dict(template, tree)
    return state.replace(bank=state.bank.replace(fit=BankFit(**about["bank_fit"])))


def describe_shapes(tree: Any) -> dict[str, list]:
    """Type and shape of every array of a tree, by its path."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): [str(leaf.dtype), list(leaf.shape)]
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def check_network(held: Mapping[str, list], wanted: Any, types: bool, where: str) -> None:
    """Raises InputError where the arrays of a checkpoint are not those of `wanted` by name, shape and maybe type."""
    first = 0 if types else 1
    expected = {name: each[first:] for name, each in describe_shapes(wanted).items()}
    held = {name: each[first:2] for name, each in held.items()}
    for name in sorted(expected.keys() | held.keys()):
        if held.get(name) != expected.get(name):
            raise InputError(f"{where}: {name} is {held.get(name)}, this network has {expected.get(name)}")


@contextlib.contextmanager
def _reading(manager: ocp.CheckpointManager, step: int) -> Iterator[None]:
    """Turns whatever a damaged file leads to into DamagedCheckpointError."""
    try:
        yield
    # Orbax and TensorStore raise anything, down to Exception itself, on files that are not whole.
    except Exception as error:
        _let_late_answers_pass()
        raise DamagedCheckpointError(f"{manager.directory}, step {step}: damaged: {_first_line(error)}") from error


@functools.cache
def _let_late_answers_pass() -> None:
    """Keeps what follows the first array that fails off the terminal: the others that fail, a traceback each.

    TensorStore answers for them to an event loop that is closed by then, or to tasks that nobody waits for.
    """
    hook = sys.unraisablehook

    def hear(late: Any) -> None:
        if "Event loop is closed" not in str(late.exc_value):
            hook(late)

    sys.unraisablehook = hear
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
