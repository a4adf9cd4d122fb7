"""Training, read top to bottom."""

from pathlib import Path

import jax
import ml_collections
import numpy as np

from tsc_jax.data.batches import batch_maker, deal, training_batches
from tsc_jax.data.dataset import Dataset, open_dataset
from tsc_jax.errors import InputError, PreemptedError
from tsc_jax.evaluation import results
from tsc_jax.evaluation.evaluate import evaluate
from tsc_jax.evaluation.protocols import parse_tious
from tsc_jax.inference import Forward, make_forward
from tsc_jax.localization.proposals import check_thresholds
from tsc_jax.methods.tscnet.bank.fit import check_settings
from tsc_jax.methods.tscnet.train_step import TrainState, check_optimizer, make_train_step, on_devices, on_one_device
from tsc_jax.training import checkpoints
from tsc_jax.training.interruption import SaveClock, preemption_notice
from tsc_jax.training.log import RunLog
from tsc_jax.training.replicas import Replica, open_replicas, start


def train(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Trains TSC-Net as `config` says and leaves checkpoints and scalars in `workdir`.

    A run that was stopped goes on from its newest checkpoint when the same command is given again. Several seeds are
    trained by one program, each into a folder of its own (see `replicas`).

    Raises:
      InputError: data that is not prepared, a value that cannot be, a batch that cannot be dealt to the devices, a
        workdir made with another config, a loss that is not finite, a checkpoint that cannot be written.
      PreemptedError: SIGTERM came; the run is saved.
    """
    dataset = open_dataset(config.data.data_dir, config.data.name)
    check_values(config, len(dataset.classes))
    shared_by = jax.device_count() if config.train.seeds == 1 else 1
    deal(config.train.batch_size, config.train.pairs, shared_by)
    replicas = open_replicas(config, workdir, dataset)

    states = start(replicas, dataset)
    first_step, fits = int(states[0].step), [state.bank.fit for state in states]
    state = on_devices(states)
    train_step = make_train_step(config, len(dataset.classes), dataset.width, len(replicas))
    forward = make_forward(config.model, len(dataset.classes), dataset.width)
    log = RunLog([replica.workdir for replica in replicas], first_step, config.train.steps, config.train.log_every)
    makers = [
        batch_maker(replica.train_split, config.train, replica.config.train.seed, shared_by, local_devices(shared_by))
        for replica in replicas
    ]
    batches = training_batches(makers, first_step, config.train.steps)
    clock = SaveClock(config.checkpoint.every_minutes)
    stopped_at = None
    with preemption_notice() as preempted:
        for step, batch in enumerate(batches, first_step + 1):
            state, losses = train_step(state, batch)
            log.losses(step, losses)
            stops, ends = preempted(step), step == config.train.steps
            judged = ends or (step >= config.eval.after and step % config.eval.every == 0)
            saved = ends or stops or step % config.checkpoint.every_steps == 0
            saved = saved or (step % config.train.log_every == 0 and clock.due())
            if not (judged or saved):
                continue
            log.flush()
            checkpoints.wait(replica.last for replica in replicas)
            for number, replica in enumerate(replicas):
                own = on_one_device(state, number, fits[number])
                if judged:
                    judge(replica, number, own, forward, dataset, log)
                if saved:
                    checkpoints.save(replica.last, own, replica.about)
            if saved:
                clock.reset()
            if stops and not ends:
                stopped_at = step
                break
    log.close()
    for replica in replicas:
        checkpoints.close((replica.last, *replica.best.values()))
    if stopped_at is not None:
        raise PreemptedError(
            f"told to end after step {stopped_at}, which is saved; the same command goes on from there"
        )


def judge(replica: Replica, number: int, state: TrainState, forward: Forward, dataset: Dataset, log: RunLog) -> None:
    """Evaluates one run, and keeps its state where it is the best so far."""
    for selection, split in replica.judges.items():
        metrics = evaluate(forward, state, dataset, split, replica.config).metrics
        log.metrics(int(state.step), number, selection.removeprefix("best_on_"), metrics)
        score = metrics["average_mAP"][replica.config.eval.select_by]
        if score > replica.scores[selection]:
            replica.scores[selection] = score
            checkpoints.save(replica.best[selection], state, replica.about | {"score": score})


def local_devices(shared_by: int) -> slice:
    """Which of the devices that share a global batch this process feeds."""
    number = shared_by // jax.process_count()
    return slice(jax.process_index() * number, (jax.process_index() + 1) * number)


def check_values(config: ml_collections.ConfigDict, classes: int) -> None:
    """Raises InputError for values of which training would only know after a while that they cannot be."""
    check_settings(config.bank, classes)
    check_selection(config.eval)
    check_optimizer(config.optimizer)
    check_thresholds(config.proposals)


def check_selection(settings: ml_collections.ConfigDict) -> None:
    """Raises InputError where `config.eval.select_by` names no average of the tIoUs that are evaluated."""
    tious = parse_tious(settings.tiou)
    averages = results.averages(tious, np.zeros(len(tious)))
    if settings.select_by not in averages:
        raise InputError(
            f"config.eval.select_by is {settings.select_by!r}, but the averages that config.eval.tiou {settings.tiou}"
            f" covers are {', '.join(averages)}"
        )
