"""Compares RSKP with recordings of its published implementation."""

import functools
from collections.abc import Callable, Iterator

import ml_collections
import numpy as np

from tsc_jax.methods.rskp import replay
from tsc_jax.parity import Arrays, Row, Tolerance, compare
from tsc_jax.replay import prefixed, subset

OUTPUT = Tolerance(relative=1e-5)


def checks(config: ml_collections.ConfigDict, devices: int) -> dict[str, Callable[[Arrays], Iterator[Row]]]:
    """The comparison of each file of a recording, by its name."""
    return {
        "model.npz": functools.partial(check_model, config=config, devices=devices),
    }


def check_model(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Iterator[Row]:
    """Outputs, losses, gradients, steps of the optimizer, the memory, and the published loop."""
    setup = replay.set_up(recording, config, devices)
    computed = compute(recording, setup)
    for name, recorded in recording.items():
        if not name.startswith(("init/", "in/", "meta/")):
            yield compare(name, computed.get(name), recorded, OUTPUT)


def compute(recording: Arrays, setup: replay.Setup) -> dict[str, np.ndarray]:
    init = subset(recording, "init/")
    start, later = setup.params(init), setup.params(subset(recording, "adam/phase1/final/"))
    steps = int(recording["meta/steps_lambda_s"][0])
    fill_method = setup.method(2)
    memory = replay.filled_memory(setup, start, setup.videos, fill_method, 0)
    computed = prefixed("eval/", replay.outputs(setup, start, setup.videos))
    computed |= prefixed("memory/init/", replay.as_recorded(memory))
    computed |= replay.training(setup, start, setup.empty_memory(), 1, steps)
    computed |= replay.training(setup, later, memory, 2, steps)
    computed |= prefixed("inter/", replay.inter_branch(setup, later, memory))
    computed |= prefixed("grad_term/", replay.term_gradients(setup, later, memory, 2))
    phase1 = subset(replay.term_gradients(setup, later, memory, 1), "spl/")
    computed |= prefixed("grad_term/spl_phase1/", phase1)
    order, (batch_size, warmup) = recording["run/order"], recording["run/batch_size_warmup_epoch"].tolist()
    computed |= prefixed("run/", replay.whole_run(setup, start, order, batch_size, warmup))
    return computed
