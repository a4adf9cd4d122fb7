"""The train step: its time, its arithmetic, and how long it waits for its batch."""

import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from types import SimpleNamespace

import jax
import ml_collections
import numpy as np

from benchmarks import machine
from tsc_jax import method, methods
from tsc_jax.configs import thumos14
from tsc_jax.data.batches import batch_maker, deal, training_batches
from tsc_jax.method import AXIS, Sizes
from tsc_jax.training.parallel import make_train_step, replicate


def recipe(dtype: str, videos: int = 10, snippets: int = 320) -> ml_collections.ConfigDict:
    """The published recipe in another dtype and batch."""
    config = thumos14.get_config()
    config.model.dtype = dtype
    config.train.batch_size, config.train.snippets = videos, snippets
    config.train.pairs = min(config.train.pairs, videos // 2)
    return config


def step_flops(config: ml_collections.ConfigDict, sizes: Sizes, batch: dict[str, np.ndarray]) -> float:
    """FLOPs of one train step with a batch of one device, as XLA counts them; nothing is compiled."""
    made = methods.make(config, sizes)
    state = jax.eval_shape(lambda: method.first_state(made, 0))
    batch = {name: array[0] for name, array in batch.items()}
    step = jax.jit(functools.partial(method.train_step, made, None))
    return step.lower(state, batch).cost_analysis()["flops"]


def made_up_batch(train: ml_collections.ConfigDict, width: int, classes: int, devices: int) -> dict[str, np.ndarray]:
    """A batch of noise in which the videos of every pair share a class; `config.train`."""
    dealt, videos, length = deal(train.batch_size, train.pairs, devices), train.batch_size, train.snippets
    rows = {
        "features": np.random.default_rng(0).random((videos, length, width), np.float32),
        "mask": np.ones((videos, length), bool),
        "labels": np.eye(classes, dtype=bool)[np.arange(videos) // 2 % classes],
        "video": np.arange(videos, dtype=np.int32),
        "order": np.arange(videos, dtype=np.int32),
        "snippets": np.arange(videos * length, dtype=np.int32).reshape(videos, length),
    }
    return {name: array[dealt.order] for name, array in rows.items()} | {"paired": dealt.paired}


def tscnet_step(config: ml_collections.ConfigDict, width: int, classes: int, devices: int = 1) -> "TrainStep":
    """The step of TSC-Net with a batch of noise."""
    return TrainStep(config, Sizes(classes, width), made_up_batch(config.train, width, classes, devices))


class TrainStep:
    """A train step of a recipe with one batch, ready to be taken again and again."""

    def __init__(self, config: ml_collections.ConfigDict, sizes: Sizes, batch: dict[str, np.ndarray]):
        made = methods.make(config, sizes, AXIS)
        self.state = replicate(method.first_state(made, 0), len(batch["order"]))
        self.batch = batch
        self.step = make_train_step(made)

    def __call__(self) -> float:
        """Takes a step; seconds until all of its results are there."""
        start = time.perf_counter()
        self.state, values = self.step(self.state, self.batch)
        jax.block_until_ready((self.state, values))
        return time.perf_counter() - start


def step_seconds(width: int, repeats: int, T: int, B: int, C: int, devices: int) -> float:
    """The median time of a float32 step of these sizes."""
    step = tscnet_step(recipe("float32", videos=B, snippets=T), width, C, devices)
    return machine.median(machine.interleaved({"step": step}, repeats)["step"])


def train_step(repeats: int, width: int, snippets: int) -> Iterator[dict]:
    """Steps in float32 and bfloat16 in turn with the machine's own rates."""
    measures, classes = {}, 20
    for dtype in ("float32", "bfloat16"):
        measures[f"{dtype} products"] = machine.product_rate(dtype)
        measures[f"{dtype} step"] = tscnet_step(recipe(dtype, snippets=snippets), width, classes)
    samples = machine.interleaved(measures, repeats)
    config = recipe("float32", snippets=snippets)
    flops = step_flops(config, Sizes(classes, width), made_up_batch(config.train, width, classes, devices=1))
    for dtype in ("float32", "bfloat16"):
        rates, times = samples[f"{dtype} products"], samples[f"{dtype} step"]
        rate = machine.median(rates)
        yield {"name": f"matrix products, {dtype}", "unit": "FLOP/s", "samples": rates}
        share = flops / machine.median(times) / rate
        facts = {"FLOP/s": flops / machine.median(times), "share of products": share}
        name = f"train step, {dtype}, D {width}, B 10, T {snippets}"
        yield {"name": name, "unit": "s", "samples": times, "FLOP": flops, **facts}


def made_up_split(width: int, classes: int, videos: int = 40) -> SimpleNamespace:
    """Training videos of THUMOS-14's lengths, in memory."""
    rng = np.random.default_rng(0)
    lengths = np.clip(np.exp(rng.normal(np.log(300), 0.8, videos)), 20, 2600).astype(int)
    arrays = [rng.random((length, width), np.float32) for length in lengths]
    labels = np.eye(classes, dtype=bool)[np.arange(videos) % classes]
    known = [SimpleNamespace(labels=row, num_snippets=len(x)) for row, x in zip(labels, arrays, strict=True)]
    return SimpleNamespace(videos=known, features=lambda index: arrays[index])


def input_pipeline(repeats: int, width: int, snippets: int) -> Iterator[dict]:
    """A batch by itself, from features in memory, and the wait of a train step for one that threads make ahead."""
    config, classes = recipe("float32", snippets=snippets), 20
    split = made_up_split(width, classes)

    def batches() -> Iterator[dict]:
        return training_batches([batch_maker(split, config.train, seed=0, devices=1)], 0, config.train.steps)

    ahead = batches()
    step = tscnet_step(config, width, classes)
    waits, times = [], []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        step.batch = next(ahead)
        waits.append(time.perf_counter() - start)
        times.append(step())
    whole = []
    for _ in range(repeats):
        fresh, start = batches(), time.perf_counter()
        next(fresh)
        whole.append(time.perf_counter() - start)
    yield {"name": f"a batch of 10 videos, D {width}, none ahead", "unit": "s", "samples": whole}
    share = machine.median(waits[2:]) / machine.median(times[2:])
    yield {
        "name": f"wait of a step for its batch, D {width}",
        "unit": "s",
        "samples": waits[2:],
        "share of step": share,
    }


def start_up(repeats: int, width: int, snippets: int) -> Iterator[dict]:
    """A fresh process until its first step is done, with an empty and with a filled compilation cache."""
    program = (
        "from benchmarks.training import recipe, tscnet_step;"
        f"tscnet_step(recipe('float32', snippets={snippets}), {width}, 20)()"
    )
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}

        def start() -> float:
            before = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], env=environment, check=True)
            return time.perf_counter() - before

        yield {"name": f"start to first step, D {width}, nothing compiled yet", "unit": "s", "samples": [start()]}
        again = [start() for _ in range(repeats)]
        yield {"name": f"start to first step, D {width}, second run", "unit": "s", "samples": again}
