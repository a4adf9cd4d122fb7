"""The runs that are trained together: one for each seed, each with a workdir of its own.

A single run has the workdir that was given; of several each has WORKDIR/seed_<seed>, and is a run like any other there.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import ml_collections
import numpy as np
import orbax.checkpoint as ocp

from tsc_jax import processes
from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.errors import DamagedCheckpointError, InputError
from tsc_jax.methods.tscnet.train_step import TrainState
from tsc_jax.training import checkpoints
from tsc_jax.training.initial import first_state, state_template

# What may change between two runs in one workdir: it says how long and how loud, not what is computed.
FREE = (
    "train.steps",
    "train.log_every",
    "eval.figures",
    "data.data_dir",
    "checkpoint.every_steps",
    "checkpoint.every_minutes",
    "checkpoint.keep",
)


@dataclasses.dataclass(frozen=True)
class Replica:
    """One run.

    Attributes:
      config: with its own seed.
      workdir: its folder.
      train_split: the videos it is trained on.
      judges: the videos that tell which step is best, by selection (see `checkpoints`).
      about: what its checkpoints say of it.
      last: its newest checkpoints.
      best: its best ones, by selection.
      scores: of the best so far, by selection; changes as the run goes.
    """

    config: ml_collections.ConfigDict
    workdir: Path
    train_split: Split
    judges: Mapping[str, Split]
    about: dict
    last: ocp.CheckpointManager
    best: Mapping[str, ocp.CheckpointManager]
    scores: dict[str, float]


def seed_folders(workdir: Path) -> list[Path]:
    """Workdirs of the runs that were trained together there, by seed; none where the workdir is of a single run."""
    folders = [folder for folder in Path(workdir).glob("seed_*") if folder.name.removeprefix("seed_").isdecimal()]
    return sorted(folders, key=lambda folder: int(folder.name.removeprefix("seed_")))


def open_replicas(config: ml_collections.ConfigDict, workdir: Path, dataset: Dataset) -> list[Replica]:
    """The runs that `config` asks for.

    Raises:
      InputError: seeds that cannot be, or a workdir that holds other runs.
    """
    first, number = config.train.seed, config.train.seeds
    if not (first >= 0 and number >= 1 and first + number <= 2**31):
        raise InputError(
            f"config.train.seed is {first} and config.train.seeds {number}, expected a first seed from 0 and at least"
            " 1 of them, below 2147483648"
        )
    if number > 1 and jax.process_count() > 1:
        raise InputError(f"config.train.seeds is {number}, but over several processes only one run is trained")
    folders = {workdir: first}
    if number > 1:
        folders = {Path(workdir, f"seed_{seed}"): seed for seed in range(first, first + number)}
    check_same_seeds(workdir, [] if number == 1 else list(folders))
    return [open_replica(config, folder, seed, dataset) for folder, seed in folders.items()]


def open_replica(config: ml_collections.ConfigDict, workdir: Path, seed: int, dataset: Dataset) -> Replica:
    """One of them."""
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.train.seed, config.train.seeds = seed, 1
    train_split, holdout = train_and_holdout(config, dataset)
    judges = {checkpoints.BEST_ON_TEST: dataset.test}
    judges |= {checkpoints.BEST_ON_HOLDOUT: holdout} if holdout.videos else {}
    about = checkpoints.about_run(config, dataset)
    keep = config.checkpoint.keep
    last = checkpoints.open_checkpoints(workdir, checkpoints.LAST, keep)
    check_same_folder(last)
    check_same_run(about, checkpoints.read_about(last), workdir)
    best = {selection: checkpoints.open_checkpoints(workdir, selection, keep) for selection in judges}
    scores = {name: (checkpoints.read_about(manager) or {"score": -np.inf})["score"] for name, manager in best.items()}
    return Replica(config, workdir, train_split, judges, about, last, best, scores)


def start(replicas: Sequence[Replica], dataset: Dataset) -> list[TrainState]:
    """The states that the runs go on from: of the newest step that all of them have, or before the first one.

    What is left of later steps is dropped; a damaged step is reported on stderr.

    Raises:
      InputError: there are steps, but none that all have undamaged.
    """
    if not any(replica.last.all_steps() for replica in replicas):
        return [first_state(replica.config, dataset, replica.train_split) for replica in replicas]
    template = state_template(replicas[0].config, len(dataset.classes), dataset.width)
    common = set.intersection(*(set(replica.last.all_steps()) for replica in replicas))
    for step in sorted(common, reverse=True):
        try:
            states = [checkpoints.restore_step(replica.last, template, step) for replica in replicas]
        except DamagedCheckpointError as error:
            print(f"{error}; going on from the step before it", file=sys.stderr)
            continue
        drop_later(replicas, step)
        return states
    raise InputError(
        f"{replicas[0].last.directory}: no step is undamaged{' in all seeds' * (len(replicas) > 1)}; delete"
        " --workdir to begin anew"
    )


def train_and_holdout(config: ml_collections.ConfigDict, dataset: Dataset) -> tuple[Split, Split]:
    """The videos that a run is trained on, and those held out of them."""
    usable = dataset.train.at_least(config.data.min_snippets)
    return usable.hold_out(config.eval.holdout, config.train.seed)


def drop_later(replicas: Sequence[Replica], step: int) -> None:
    """Deletes the checkpoints of steps that will be taken again."""
    for replica in replicas:
        for later in replica.last.all_steps():
            if later > step:
                replica.last.delete(later)


def check_same_folder(last: ocp.CheckpointManager) -> None:
    """Raises InputError where not all processes see the same checkpoints."""
    newest = processes.of_each(max(last.all_steps(), default=0)).tolist()
    if len(set(newest)) > 1:
        raise InputError(
            f"{last.directory}: the processes see the newest steps {newest} there; expected a folder that all share"
        )


def check_same_seeds(workdir: Path, folders: Sequence[Path]) -> None:
    """Raises InputError where the workdir holds runs of other seeds, or a single run where several are asked for."""
    found = seed_folders(workdir)
    if found and found != folders:
        raise InputError(
            f"--workdir {workdir} holds {found[0].name} .. {found[-1].name}, {len(found)} in all; give the same"
            " config.train.seed and config.train.seeds or another --workdir"
        )
    if folders and checkpoints.find_checkpoints(workdir, checkpoints.LAST):
        raise InputError(f"--workdir {workdir} holds a single run, but config.train.seeds is {len(folders)}")


def check_same_run(now: dict, then: dict | None, workdir: Path) -> None:
    """Raises InputError where the workdir holds a run of another config (but for FREE) or other data."""
    if then is None:
        return
    if then.get("inference_only"):
        raise InputError(f"--workdir {workdir} holds weights exported for inference, which training cannot go on from")
    checkpoints.check_data(now, then, workdir)
    new, old = flatten(now["config"]), flatten(then["config"])
    for key in sorted(new.keys() | old.keys()):
        if key not in FREE and new.get(key) != old.get(key):
            raise InputError(
                f"--workdir {workdir} was made with config.{key} = {old.get(key)}, now it is {new.get(key)};"
                " give the same config or another --workdir"
            )


def flatten(tree: dict, prefix: str = "") -> dict:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    leaves = {}
    for key, value in tree.items():
        leaves |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return leaves
