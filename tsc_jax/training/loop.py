"""Training, read top to bottom."""

from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import ml_collections
import numpy as np

from tsc_jax import methods, processes
from tsc_jax.data.batches import batch_maker, deal_batch, training_batches
from tsc_jax.data.dataset import Dataset, open_dataset
from tsc_jax.errors import PreemptedError
from tsc_jax.evaluation.evaluate import Evaluation, evaluate
from tsc_jax.files import open_path
from tsc_jax.inference import Inference, make_inference
from tsc_jax.method import AXIS, Method, TrainState
from tsc_jax.optimizer import learning_rate
from tsc_jax.training import checkpoints
from tsc_jax.training.checks import check_values
from tsc_jax.training.interruption import SaveClock, preemption_notice
from tsc_jax.training.log import Events, RunLog
from tsc_jax.training.parallel import make_train_step, on_devices, on_one_device
from tsc_jax.training.runs import Run, check_finite, check_together, open_runs, refresh, sizes_of, start


def train(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Trains the method that `config` names and leaves checkpoints and scalars in `workdir`.

    A run that was stopped goes on from its newest checkpoint when the same command is given again. Several seeds are
    trained by one program, each into a folder of its own (see `runs`); on a single processor one after the other.

    Raises:
      InputError: data that is not prepared, an invalid value, a batch that cannot be dealt to the devices, a workdir
        made with another config, a loss or state that is not finite, a checkpoint that cannot be written.
      PreemptedError: SIGTERM came; the run is saved.
    """
    train_and_evaluate(config, workdir)


# Opens what follows a run while it trains: its folder, its recipe, the data, and the step that it goes on from.
Follow = Callable[[Path, ml_collections.ConfigDict, Dataset, int], Events]


def train_and_evaluate(
    config: ml_collections.ConfigDict, workdir: Path, follow: Follow | None = None
) -> dict[Path, dict[int, Evaluation]]:
    """Does what `train` says; returns how the test videos were evaluated meanwhile, by the folder of a run and step.

    `follow` is called by process 0, once for each run.
    """
    workdir = open_path(workdir)
    dataset = open_dataset(config.data.data_dir, config.data.name)
    check_values(config, dataset)
    with open_runs(config, workdir, dataset) as runs:
        groups = groups_of(runs)
        for place, group in enumerate(groups):
            stopped_at = train_runs(dataset, group, (place, len(groups)), follow)
            if stopped_at is not None:
                raise PreemptedError(
                    f"told to end after step {stopped_at}, which is saved; the same command goes on from there"
                )
            if len(groups) > 1:
                jax.clear_caches()  # after some 80 runs a process has no memory mappings left for programs
    return {run.workdir: run.evaluations for run in runs}


def groups_of(runs: Sequence[Run]) -> list[Sequence[Run]]:
    """The runs in groups that train side by side: one run each on a single processor, which one run keeps busy."""
    return [[run] for run in runs] if jax.default_backend() == "cpu" and jax.device_count() == 1 else [runs]


def train_runs(
    dataset: Dataset, runs: Sequence[Run], part: tuple[int, int] = (0, 1), follow: Follow | None = None
) -> int | None:
    """Trains opened runs to their end; returns the step after which SIGTERM stopped them, if it did.

    `part` is the place of this group of runs, and the number of groups.
    """
    check_together(runs)
    config, alone = runs[0].config, len(runs) == 1  # the recipes of the runs differ in their seeds only
    shared_by = jax.device_count() if alone else 1
    deal_batch(config.train, shared_by)
    sizes = sizes_of(config, dataset, runs[0].train_split)
    method = methods.make(config, sizes, axis=AXIS if alone else None, mapped=not alone)
    inference, train_step = make_inference(config, sizes), make_train_step(method, len(runs))
    states = start(runs, inference.method)
    first_step = int(states[0].step)
    log = open_log(runs, first_step, part, method, dataset, follow)
    local = local_devices(shared_by)
    makers = [batch_maker(run.train_split, run.config.train, run.config.train.seed, shared_by, local) for run in runs]
    batches = training_batches(makers, first_step, config.train.steps)
    clock, state = SaveClock(config.checkpoint.every_minutes), None
    with log, preemption_notice() as preempted:
        for step, batch in enumerate(batches, first_step + 1):
            if step - 1 in method.refresh_at:
                states = states or [on_one_device(state, number) for number in range(len(runs))]
                states = [refresh(run, inference.method, each) for run, each in zip(runs, states, strict=True)]
            if states:
                state, states = on_devices(states), []
            state, values = train_step(state, batch)
            log.losses(step, values)
            stops, ends = preempted(step), step == config.train.steps
            judged = ends or (step >= config.eval.after and step % config.eval.every == 0)
            saved = ends or stops or step % config.checkpoint.every_steps == 0 or step in method.refresh_at
            saved = saved or (step % config.train.log_every == 0 and clock.due())
            if not (judged or saved):
                continue
            log.flush()
            checkpoints.wait(run.last for run in runs)
            for number, run in enumerate(runs):
                own = on_one_device(state, number)
                check_finite(run, step, own, np.ravel(values["total"])[number])
                if judged:
                    judge(run, number, step, own, inference, dataset, log)
                if saved:
                    checkpoints.wait(run.best.values())  # a save holds a copy of the state until it is complete
                    checkpoints.save(run.last, step, own, run.about)
            log.pause()
            if saved:
                clock.reset()
            if stops and not ends:
                return step
    return None


def open_log(
    runs: Sequence[Run],
    first_step: int,
    part: tuple[int, int],
    method: Method,
    dataset: Dataset,
    follow: Follow | None,
) -> RunLog:
    """Opens the log of runs that go on from a step, and what follows them."""
    config, followed = runs[0].config, runs if follow and processes.is_first() else ()
    events = [follow(run.workdir, run.config, dataset, first_step) for run in followed]
    rate = method.learning_rate or learning_rate(config.optimizer)
    workdirs = [run.workdir for run in runs]
    return RunLog(workdirs, first_step, config.train, lambda number: runs[number].way_on, part, events, rate)


def local_devices(shared_by: int) -> slice:
    """The part of the devices that share a global batch which belongs to this process."""
    number = shared_by // jax.process_count()
    return slice(jax.process_index() * number, (jax.process_index() + 1) * number)


def judge(
    run: Run, number: int, step: int, state: TrainState, inference: Inference, dataset: Dataset, log: RunLog
) -> None:
    """Evaluates one run, and keeps its state and evaluation where process 0 finds it the best so far."""
    variables = inference.method.variables(state.params, state.carried)
    for selection, split in run.judges.items():
        evaluation = evaluate(inference, variables, step, dataset, split, run.config)
        if selection == checkpoints.BEST_ON_TEST:
            run.evaluations[step] = evaluation
            for each in log.events[number : number + 1]:
                each.evaluated(step, evaluation)
        metrics = evaluation.metrics
        log.metrics(step, number, selection.removeprefix("best_on_"), metrics)
        score = metrics["average_mAP"][run.config.eval.select_by]
        if processes.from_first(score > run.scores.get(selection, -np.inf)):
            run.scores[selection] = score
            checkpoints.save(run.best[selection], step, state, run.about | {"score": score})
    kept = {step, *(max(manager.all_steps(), default=0) for manager in run.best.values())}
    for other in run.evaluations.keys() - kept:
        del run.evaluations[other]
