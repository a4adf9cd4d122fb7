"""Orbax checkpoints of a run: one folder for each reason to keep a step.

  WORKDIR/checkpoints/last            the newest step
  WORKDIR/checkpoints/best_on_holdout the step with the best mAP on held-out training videos so far
  WORKDIR/checkpoints/best_on_test    the step with the best mAP on test videos so far, as papers report it

Each step holds a tree of arrays and `about`, plain JSON: the format, the method, the config, the classes and sizes, the
snippet rate, the fingerprint of the data, facts of the method, and type, shape and SHA-256 of every array.
"""

import concurrent.futures
import contextlib
import functools
import hashlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from tsc_jax.buckets import in_bucket, sentence_of
from tsc_jax.errors import DamagedCheckpointError, InputError
from tsc_jax.files import open_path

FORMAT = 2
SCANS = 20  # attempts at listing steps while a run deletes old ones
LAST = "last"
BEST_ON_HOLDOUT = "best_on_holdout"
BEST_ON_TEST = "best_on_test"
SELECTIONS = (LAST, BEST_ON_HOLDOUT, BEST_ON_TEST)


def open_checkpoints(workdir: Path, selection: str, keep: int = 2) -> ocp.CheckpointManager:
    """Opens one folder of a run's checkpoints for writing; it keeps the `keep` newest steps."""
    # Without names of their own, two managers that save the same step would wait at each other's barriers.
    barriers = ocp.options.MultiprocessingOptions(barrier_sync_key_prefix=selection)
    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep, cleanup_tmp_directories=True, multiprocessing_options=barriers
    )
    return ocp.CheckpointManager(folder_of(workdir, selection), options=options)


def read_checkpoints(workdir: Path, selection: str) -> ocp.CheckpointManager | None:
    """Opens one folder of a run's checkpoints for reading only; None where it holds no step.

    Nothing is created or deleted there, so a run can be read while it trains.
    """
    folder = folder_of(workdir, selection)
    if not folder.is_dir():
        return None
    options = ocp.CheckpointManagerOptions(read_only=True, create=False, save_interval_steps=0)
    with _without_warnings():
        manager = _while_steps_vanish(lambda: ocp.CheckpointManager(folder, options=options))
    if manager.latest_step() is None:
        manager.close()
        return None
    return manager


def _while_steps_vanish(scan: Callable[[], Any]) -> Any:
    """What `scan` returns; it is repeated where a training run deletes a step under it."""
    for _ in range(SCANS):
        with contextlib.suppress(OSError):
            return scan()
        time.sleep(0.05)
    return scan()


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keeps orbax from warning that a folder is opened for reading."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def folder_of(workdir: Path, selection: str) -> Path:
    """The folder of a selection."""
    folder = open_path(workdir) / "checkpoints" / selection
    return folder if in_bucket(folder) else folder.absolute()


def save(manager: ocp.CheckpointManager, step: int, tree: Any, about: Mapping[str, Any]) -> None:
    """Writes arrays and `about` (plain JSON values) with their checksums; returns before the files are complete.

    A step that is there already is replaced. Raises InputError where this save, or the one before it, failed.
    """
    tree = jax.tree.map(np.asarray, jax.device_get(flax.serialization.to_state_dict(tree)))
    about = dict(about, format=FORMAT, step=step, arrays=describe(tree))
    about["sha256"] = digest(about)
    items = ocp.args.Composite(state=ocp.args.StandardSave(tree), about=ocp.args.JsonSave(about))
    with _writing(manager):
        if step in manager.all_steps():
            manager.wait_until_finished()
            manager.delete(step)
        manager.save(step, args=items, force=True)


def wait(managers: Iterable[ocp.CheckpointManager]) -> None:
    """Waits until everything saved is complete on disk; raises InputError where it could not be written."""
    for manager in managers:
        with _writing(manager):
            manager.wait_until_finished()
            manager.check_for_errors()


def close(managers: Iterable[ocp.CheckpointManager]) -> None:
    """Waits until everything saved is complete on disk, then closes the managers, whatever happens."""
    managers = list(managers)
    try:
        wait(managers)
    finally:
        for manager in managers:
            manager.close()


@contextlib.contextmanager
def _writing(manager: ocp.CheckpointManager) -> Iterator[None]:
    """Turns an error while a checkpoint is written into one sentence."""
    try:
        yield
    # Threads, TensorStore, the file system and buckets each have errors of their own.
    except Exception as error:
        if not isinstance(error, (OSError, ValueError, RuntimeError)) and sentence_of(error) is None:
            raise
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
    """SHA-256 of plain JSON values, without the entry "sha256"."""
    content = {key: value for key, value in about.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_about(manager: ocp.CheckpointManager) -> dict[str, Any] | None:
    """The `about` of the newest undamaged step; None where there is no step."""
    return newest(manager, lambda step: read_about_of(manager, step))


def newest(manager: ocp.CheckpointManager, read: Callable[[int], Any]) -> Any:
    """What `read` returns for the newest undamaged step; None where there is no step.

    A damaged step is reported on stderr; InputError where all are. Steps that vanish meanwhile are listed again.
    """
    tried: set[int] = set()
    while steps := set(manager.all_steps()) - tried:
        step = max(steps)
        try:
            return read(step)
        except DamagedCheckpointError as error:
            tried.add(step)
            _while_steps_vanish(manager.reload)
            if step in manager.all_steps():
                print(f"{error}; passed over", file=sys.stderr)
    if tried:
        raise InputError(f"{manager.directory}: every step is damaged; delete the folder to begin anew")
    return None


def read_about_of(manager: ocp.CheckpointManager, step: int) -> dict[str, Any]:
    """The `about` of one step; DamagedCheckpointError where it is not as it was written, InputError for its format."""
    with _reading(manager, step):
        about = manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore()))["about"]
        if about["sha256"] != digest(about):
            raise ValueError("its description does not have the checksum that was written with it")
    check_format(about.get("format", 1), f"{manager.directory}, step {step}")
    return about


def check_format(number: int, where: str) -> None:
    """Raises InputError where a checkpoint has another format than this version writes."""
    if number > FORMAT:
        raise InputError(f"{where}: has format {number}, this version reads format {FORMAT}; update tsc_jax")
    if number < FORMAT:
        raise InputError(
            f"{where}: has format {number}, this version reads format {FORMAT}; write its weights with"
            " launch.export_torch of the version that made it and read them with launch.import_torch, or train again"
        )


def restore(manager: ocp.CheckpointManager, step: int, about: Mapping[str, Any], template: Any) -> Any:
    """The arrays of one step, in the structure, shapes and types of `template`; exported arrays are converted.

    Raises:
      DamagedCheckpointError: they are not as they were written.
      InputError: the checkpoint holds other arrays.
    """
    wanted, exported = flax.serialization.to_state_dict(template), about.get("inference_only", False)
    check_arrays(about["arrays"], wanted, not exported, f"{manager.directory}, step {step}")
    names = list(describe_shapes(wanted))
    stored = [np.zeros(about["arrays"][name][1], jnp.dtype(about["arrays"][name][0])) for name in names]
    with _reading(manager, step):
        held = jax.tree.unflatten(jax.tree.structure(wanted), stored)
        tree = manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(held)))["state"]
        wrong = [name for name, description in describe(tree).items() if description != about["arrays"][name]]
        if wrong:
            raise ValueError(f"{wrong[0]} does not have the checksum that was written with it")
    tree = jax.tree.map(lambda leaf, like: np.asarray(leaf).astype(like.dtype, copy=False), tree, wanted)
    return flax.serialization.from_state_dict(template, tree)


def describe_shapes(tree: Any) -> dict[str, list]:
    """Type and shape of every array of a tree, by its path."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): [str(leaf.dtype), list(leaf.shape)]
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def check_arrays(held: Mapping[str, list], wanted: Any, types: bool, where: str) -> None:
    """Raises InputError where the arrays of a checkpoint differ from `wanted` in name, shape or (`types`) type."""
    first = 0 if types else 1
    expected = {name: each[first:] for name, each in describe_shapes(wanted).items()}
    held = {name: each[first:2] for name, each in held.items()}
    for name in sorted(expected.keys() | held.keys()):
        if held.get(name) != expected.get(name):
            raise InputError(f"{where}: {name} is {held.get(name)}, this recipe needs {expected.get(name)}")


@contextlib.contextmanager
def _reading(manager: ocp.CheckpointManager, step: int) -> Iterator[None]:
    """Turns every error that a damaged file can cause into DamagedCheckpointError."""
    try:
        yield
    # Orbax and TensorStore raise anything on damaged files, down to Exception itself.
    except Exception as error:
        _silence_late_errors()
        raise DamagedCheckpointError(f"{manager.directory}, step {step}: damaged: {_first_line(error)}") from error


@functools.cache
def _silence_late_errors() -> None:
    """Keeps tracebacks of further arrays that fail off the terminal, after the first one was reported.

    TensorStore reports them to an event loop that is closed by then, or to tasks that nobody waits for.
    """
    hook = sys.unraisablehook

    def report(late: Any) -> None:
        if "Event loop is closed" not in str(late.exc_value):
            hook(late)

    sys.unraisablehook = report
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
