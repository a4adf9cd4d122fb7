"""The runs that are trained together, one for each seed, each with a workdir of its own.

A single run has the workdir that was given. Several have WORKDIR/seed_<seed> each, and each is a run like any other.
"""

import contextlib
import dataclasses
import fcntl
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import orbax.checkpoint as ocp
from flax.traverse_util import flatten_dict

from tsc_jax import processes
from tsc_jax.buckets import in_bucket
from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.errors import DamagedCheckpointError, InputError
from tsc_jax.evaluation.evaluate import Evaluation
from tsc_jax.inference import Look
from tsc_jax.leases import leased
from tsc_jax.method import Method, Sizes, TrainState, first_state
from tsc_jax.training import base, checkpoints, recipes
from tsc_jax.training.trained import check_data, seed_folders, selections_of


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of one seed."""

    config: ml_collections.ConfigDict  # with its own seed
    workdir: Path  # its folder
    train_split: Split  # the videos that it is trained on
    judges: Mapping[str, Split]  # the videos that tell which step is best, by selection (see `checkpoints`)
    about: dict[str, Any]  # what its checkpoints say of it; a refresh adds its facts
    last: ocp.CheckpointManager  # its newest checkpoints
    best: Mapping[str, ocp.CheckpointManager]  # its best ones, by selection
    scores: dict[str, float]  # of the best so far, by selection; updated while it trains
    # of the test videos, by step: those of this process after the newest step and after the best ones
    evaluations: dict[int, Evaluation]

    @property
    def managers(self) -> list[ocp.CheckpointManager]:
        """All managers of its checkpoints."""
        return [self.last, *self.best.values()]

    @property
    def way_on(self) -> str:
        """What remains of the run when its numbers are no longer finite, and what to do."""
        good = max(self.last.all_steps(), default=0)
        kept = f"step {good} is the last good one that was saved" if good else "no step was saved before"
        rate = self.config.optimizer.learning_rate
        return f"{kept}; give the same command with a lower config.optimizer.learning_rate (it is {rate:g})"


@contextlib.contextmanager
def open_runs(config: ml_collections.ConfigDict, workdir: Path, dataset: Dataset) -> Iterator[list[Run]]:
    """Opens the runs of `config`, InputError for a workdir of others; closes their checkpoints whatever happens."""
    first, number = config.train.seed, config.train.seeds
    folders = {workdir: first}
    if number > 1:
        folders = {workdir / f"seed_{seed}": seed for seed in range(first, first + number)}
    check_same_seeds(workdir, [] if number == 1 else list(folders))
    with contextlib.ExitStack() as stack:
        yield [open_run(config, folder, seed, dataset, stack) for folder, seed in folders.items()]


def open_run(
    config: ml_collections.ConfigDict, workdir: Path, seed: int, dataset: Dataset, stack: contextlib.ExitStack
) -> Run:
    """Opens one run; `stack` closes its checkpoints."""
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.train.seed, config.train.seeds = seed, 1

    def opened(selection: str) -> ocp.CheckpointManager:
        manager = checkpoints.open_checkpoints(workdir, selection, config.checkpoint.keep)
        stack.callback(checkpoints.close, [manager])
        return manager

    if processes.is_first():
        stack.enter_context(locked(workdir))
    last = opened(checkpoints.LAST)
    check_same_folder(last)
    then = checkpoints.read_about(last)
    config = base.with_base(config, then, dataset)
    train_split, holdout = train_and_holdout(config, dataset)
    about = about_run(config, dataset, train_split)
    check_same_run(about, then, workdir, dataset)
    if "base" in config and then is None:
        for recipe in base.recipes_of(config):
            base.check_held_out(config, train_and_holdout(recipe, dataset)[0], holdout)
    judges = {checkpoints.BEST_ON_TEST: dataset.test, checkpoints.BEST_ON_HOLDOUT: holdout}
    judges = {selection: split for selection, split in judges.items() if split.has_segments}
    return Run(config, workdir, train_split, judges, about, last, {each: opened(each) for each in judges}, {}, {})


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Holds a workdir for one training, until the process ends; InputError where another process trains there."""
    if in_bucket(workdir):
        with leased(f"--workdir {workdir}", workdir):
            yield
        return
    workdir.mkdir(parents=True, exist_ok=True)
    with Path(workdir, ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"--workdir {workdir}: another process trains there; wait for it or end it") from None
        except OSError:
            pass  # a file system without locks
        yield


def about_run(config: ml_collections.ConfigDict, dataset: Dataset, train_split: Split) -> dict[str, Any]:
    """What every checkpoint of a run says of it, in plain JSON values."""
    return {
        "method": config.method,
        "config": json.loads(config.to_json()),
        "classes": list(dataset.classes),
        "sizes": dataclasses.asdict(sizes_of(config, dataset, train_split)),
        "snippets_per_second": dataset.snippets_per_second,
        "offset_snippets": dataset.offset_snippets,
        "data_fingerprint": dataset.fingerprint,
        "extractor": dataset.extractor,
        "facts": {},
    }


def sizes_of(config: ml_collections.ConfigDict, dataset: Dataset, train_split: Split) -> Sizes:
    """The sizes of a data set of which `train_split` is trained on."""
    usable = dataset.train.at_least(config.data.min_snippets)
    snippets = sum(video.num_snippets for video in usable.videos)
    return Sizes(len(dataset.classes), dataset.width, len(train_split.videos), snippets)


def train_and_holdout(config: ml_collections.ConfigDict, dataset: Dataset) -> tuple[Split, Split]:
    """The videos that a run is trained on, and those held out of them."""
    usable = dataset.train.at_least(config.data.min_snippets)
    return usable.hold_out(config.eval.holdout, config.train.seed)


def start(runs: Sequence[Run], method: Method) -> list[TrainState]:
    """The states that the runs go on from: of the newest step that all have undamaged, or before the first one.

    Checkpoints of later steps are deleted. A damaged step is reported on stderr, and process 0 decides what is damaged;
    InputError where there are steps, but none that all have undamaged.
    """
    if not any(run.last.all_steps() for run in runs):
        return [first_state(method, run.config.train.seed) for run in runs]
    common = set.intersection(*(set(run.last.all_steps()) for run in runs))
    for step in sorted(common, reverse=True):
        states = restore_all(runs, method, step)
        if states is not None:
            for run in runs:
                drop_later(run, step)
                abouts = {selection: checkpoints.read_about(manager) for selection, manager in run.best.items()}
                run.scores.update({selection: about["score"] for selection, about in abouts.items() if about})
            return states
    raise InputError(
        f"{runs[0].last.directory}: no step is undamaged{' in all seeds' * (len(runs) > 1)}; delete"
        " --workdir to begin anew"
    )


def restore_all(runs: Sequence[Run], method: Method, step: int) -> list[TrainState] | None:
    """The states of all runs at one step, with their facts; None where process 0 finds one damaged."""
    states, problem = [], ""
    template = jax.eval_shape(lambda: first_state(method, 0))
    try:
        for run in runs:
            about = checkpoints.read_about_of(run.last, step)
            states.append(checkpoints.restore(run.last, step, about, template))
            run.about.update({key: about[key] for key in ("facts", "imported") if key in about})
    except DamagedCheckpointError as error:
        problem = str(error)
    sound = processes.of_each(np.array(not problem))
    if not sound[0]:
        print(f"{problem or f'step {step}: damaged for process 0'}; going on from the step before it", file=sys.stderr)
        return None
    if problem:
        raise InputError(f"process {jax.process_index()}: {problem}, but process 0 could read it")
    return states


def refresh(run: Run, method: Method, state: TrainState) -> TrainState:
    """The state after the method's refresh; its facts go into the run's `about`."""
    look = make_look(run.config, run.train_split, int(state.step))
    params, carried, facts = method.refresh(state.params, state.carried, look, int(state.step))
    run.about["facts"] = run.about["facts"] | facts
    return state.replace(params=params, carried=carried)


def make_look(config: ml_collections.ConfigDict, train_split: Split, step: int) -> Look:
    """What a refresh before `step` sees; at step 0 also the bases of a stage."""
    bases = base.open_bases(config) if step == 0 and "base" in config else ()
    return Look(train_split, config.train.seed, config.eval.batch_snippets, bases)


def drop_later(run: Run, step: int) -> None:
    """Deletes the checkpoints of steps that will be taken again."""
    for manager in run.managers:
        for later in manager.all_steps():
            if later > step:
                manager.delete(later)


def check_finite(run: Run, step: int, state: TrainState, loss: jax.Array) -> None:
    """Raises InputError where some number of the state after `step`, or the loss of that step, is not finite."""
    if not all_finite((state, loss)):
        raise InputError(
            f"--workdir {run.workdir}, step {step}: the state is not finite, so it is not saved; {run.way_on}"
        )


@jax.jit
def all_finite(tree: Any) -> jax.Array:
    """Whether all floating-point numbers of a tree are finite."""
    floats = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in floats])) if floats else jnp.array(True)


def check_same_folder(last: ocp.CheckpointManager) -> None:
    """Raises InputError where not all processes see the same checkpoints."""
    newest = processes.of_each(np.array(max(last.all_steps(), default=0))).tolist()
    if len(set(newest)) > 1:
        raise InputError(
            f"{last.directory}: the processes see the newest steps {newest} there; expected a folder that all share"
        )


def check_same_seeds(workdir: Path, folders: Sequence[Path]) -> None:
    """Raises InputError where the workdir holds saved runs of other seeds, or one where several are asked for."""
    there = seed_folders(workdir)
    if any(map(selections_of, there)) and there != folders:
        raise InputError(
            f"--workdir {workdir} holds {there[0].name} .. {there[-1].name}, {len(there)} in all; give the same"
            " config.train.seed and config.train.seeds or another --workdir"
        )
    if folders and selections_of(workdir):
        raise InputError(f"--workdir {workdir} holds a single run, but config.train.seeds is {len(folders)}")


def check_together(runs: Sequence[Run]) -> None:
    """Raises InputError where runs cannot train side by side: other bases, or other numbers of videos in epochs."""
    base.check_alike([run.config for run in runs])
    numbers = [len(run.train_split.videos) for run in runs]
    if runs[0].config.train.batches == "epochs" and len(set(numbers)) > 1:
        raise InputError(
            f"config.eval.holdout is {runs[0].config.eval.holdout}, which leaves from {min(numbers)} to {max(numbers)}"
            f" training videos in {len(runs)} seeds; expected equal numbers for epochs: train the seeds one by one"
        )


def check_same_run(now: Mapping, then: Mapping | None, workdir: Path, dataset: Dataset) -> None:
    """Raises InputError where the workdir holds a run of another recipe (except for FREE keys) or other data."""
    if then is None:
        return
    if then.get("inference_only"):
        raise InputError(f"--workdir {workdir} holds weights exported for inference, which training cannot go on from")
    check_data(then, dataset, f"--workdir {workdir}")
    earlier = json.loads(recipes.complete(then["config"]).to_json())
    new, old = (flatten_dict(config, sep=".") for config in (now["config"], earlier))
    # The method first: another one has other keys, which would say less.
    for key in sorted((key for key in new if new[key] != old.get(key)), key=lambda key: (key != "method", key)):
        if key not in recipes.FREE:
            raise InputError(
                f"--workdir {workdir} was made with config.{key} = {old.get(key)}, now it is {new[key]};"
                " give the same config or another --workdir"
            )
        if key == "optimizer.learning_rate" and processes.is_first():
            print(f"{workdir}: config.{key} was {old[key]} so far and is {new[key]} from here on", flush=True)
