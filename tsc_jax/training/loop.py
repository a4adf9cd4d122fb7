"""Training, read top to bottom."""

from pathlib import Path

import jax
import ml_collections
import numpy as np

from tsc_jax.data.batches import deal, training_batches
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation import results
from tsc_jax.evaluation.evaluate import evaluate
from tsc_jax.evaluation.protocols import parse_tious
from tsc_jax.inference import make_forward
from tsc_jax.training import checkpoints
from tsc_jax.training.initial import make_bank, state_template
from tsc_jax.training.log import RunLog
from tsc_jax.tscnet.train_step import init_state, make_train_step, on_one_device, replicate

# What may change between two runs in one workdir: it says how long and how loud, not what is computed.
FREE = ("train.steps", "train.log_every", "eval.figures", "data.data_dir")


def train(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Trains TSC-Net as `config` says and leaves checkpoints and scalars in `workdir`.

    A run that was stopped goes on from its newest checkpoint when the same command is given again.

    Raises:
      InputError: data that is not prepared, a batch that cannot be dealt to the devices, a workdir
        made with another config, a loss that is not finite.
    """
    dataset = open_dataset(config.data.data_dir, config.data.name)
    train_split, holdout = dataset.train.at_least(config.data.min_snippets).hold_out(
        config.eval.holdout, config.train.seed
    )
    judges = {checkpoints.BEST_ON_TEST: dataset.test}
    judges |= {checkpoints.BEST_ON_HOLDOUT: holdout} if holdout.videos else {}
    devices = jax.device_count()
    deal(config.train.batch_size, config.train.pairs, devices)
    check_selection(config.eval)
    about = checkpoints.about_run(config, dataset)
    last = checkpoints.open_checkpoints(workdir, checkpoints.LAST)
    best = {selection: checkpoints.open_checkpoints(workdir, selection) for selection in judges}
    check_same_run(about, checkpoints.read_about(last), workdir)

    if last.latest_step() is None:
        state = init_state(config, len(dataset.classes), make_bank(config, dataset, train_split))
    else:
        state = checkpoints.restore(last, state_template(config, len(dataset.classes), dataset.width))
    first_step = int(state.step)
    state = replicate(state, jax.local_device_count())
    train_step = make_train_step(config, len(dataset.classes), dataset.width)
    forward = make_forward(config.model, len(dataset.classes), dataset.width)

    scores = {name: (checkpoints.read_about(best[name]) or {"score": -np.inf})["score"] for name in judges}
    log = RunLog(workdir, first_step, config.train.steps, config.train.log_every)
    batches = training_batches(train_split, config.train, config.train.seed, first_step, devices, local_devices())
    for step, batch in enumerate(batches, first_step + 1):
        state, losses = train_step(state, batch)
        log.losses(step, losses)
        ends = step == config.train.steps
        if ends or (step >= config.eval.after and step % config.eval.every == 0):
            log.flush()
            local = on_one_device(state)
            for selection, split in judges.items():
                metrics = evaluate(forward, local, dataset, split, config).metrics
                log.metrics(step, selection.removeprefix("best_on_"), metrics)
                score = metrics["average_mAP"][config.eval.select_by]
                if score > scores[selection]:
                    scores[selection] = score
                    checkpoints.save(best[selection], state, about | {"score": score})
        if ends or step % config.train.save_every == 0:
            log.flush()
            checkpoints.save(last, state, about)
    log.close()
    for manager in (last, *best.values()):
        manager.close()


def local_devices() -> slice:
    """Which devices' shares of the global batch this process feeds."""
    number = jax.local_device_count()
    return slice(jax.process_index() * number, (jax.process_index() + 1) * number)


def check_selection(settings: ml_collections.ConfigDict) -> None:
    """Raises InputError where `config.eval.select_by` names no average of the tIoUs that are evaluated."""
    tious = parse_tious(settings.tiou)
    averages = {name for name, value in results.averages(tious, np.zeros(len(tious))).items() if value is not None}
    if settings.select_by not in averages:
        raise InputError(
            f"config.eval.select_by is {settings.select_by!r}, expected one of {sorted(averages)},"
            f" which config.eval.tiou {settings.tiou} covers"
        )


def check_same_run(now: dict, then: dict | None, workdir: Path) -> None:
    """Raises InputError where the workdir holds a run of another config (but for FREE) or other data."""
    if then is None:
        return
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
