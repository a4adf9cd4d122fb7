"""The train step: its time, its arithmetic, and how long it waits for its batch."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from benchmarks import machine
from configs import thumos14
from tsc_jax.data.batches import batch_maker, deal, training_batches
from tsc_jax.methods.tscnet.bank import BankFit, new_bank
from tsc_jax.methods.tscnet.network import HEAD_KERNEL
from tsc_jax.methods.tscnet.train_step import init_state, make_train_step, replicate


def recipe(dtype: str, videos: int = 10, snippets: int = 320) -> ml_collections.ConfigDict:
    """The published recipe in another dtype and batch."""
    config = thumos14.get_config()
    config.model.dtype = dtype
    config.train.batch_size, config.train.snippets = videos, snippets
    config.train.pairs = min(config.train.pairs, videos // 2)
    return config


def forward_products(model, rows: int, length: int, width: int, classes: int) -> dict[str, int]:
    """Multiply-adds of every matrix product of the forward pass over `rows` videos of `length` snippets.

    The bank has classes + 1 rows; `config.model`.
    """
    snippets, bank, inner = rows * length, classes + 1, model.dsa_heads * model.dsa_head_width
    hidden = int(width * model.attention_channels)
    head = width * width * HEAD_KERNEL + width * (classes + 1) + HEAD_KERNEL * hidden * (width + hidden) + hidden
    level1, *levels = model.pyramid_kernels
    return {
        "mfip/level1": snippets * level1 * width * width,
        "mfip/other levels": snippets * sum(levels) * width * width,
        "mfip/fuse": snippets * model.pyramid_fuse_kernel * len(model.pyramid_kernels) * width * width,
        "tce/maps": snippets * 4 * width * width,
        "tce/attention": snippets * 2 * length * width,
        "dsa/maps": snippets * 2 * width * inner + bank * 2 * width * inner,
        "dsa/attention": snippets * 2 * bank * inner,
        "dsa/feedforward": snippets * 2 * width * width,
        "heads": snippets * 2 * head,
    }


def step_flops(model, rows: int, length: int, width: int, classes: int) -> int:
    """FLOPs of the matrix products of one train step: each product once forward and twice backward.

    But the features need no gradient, and they alone go into the first level of the pyramid.
    """
    products = forward_products(model, rows, length, width, classes)
    return 2 * (3 * sum(products.values()) - products["mfip/level1"])


def made_up_batch(config: ml_collections.ConfigDict, width: int, classes: int, devices: int) -> dict[str, np.ndarray]:
    """A batch of noise whose every pair of videos shares a class."""
    dealt, videos, length = deal(config.train.batch_size, config.train.pairs, devices), *shape_of(config)
    labels = np.zeros((videos, classes), bool)
    labels[np.arange(videos), np.arange(videos) // 2 % classes] = True
    features = np.random.default_rng(0).random((videos, length, width), np.float32)
    batch = {"features": features, "labels": labels, "mask": np.ones((videos, length), bool)}
    batch["rows"] = np.arange(videos, dtype=np.int32)
    batch = {name: value[dealt.rows] for name, value in batch.items()}
    return batch | {"paired": dealt.paired, "seed": np.zeros(devices, np.int32)}


def shape_of(config: ml_collections.ConfigDict) -> tuple[int, int]:
    """B and T of a batch."""
    return config.train.batch_size, config.train.snippets


class TrainStep:
    """A train step of a recipe, ready to be taken again and again."""

    def __init__(self, config: ml_collections.ConfigDict, width: int, classes: int, devices: int = 1):
        rows = jnp.asarray(np.random.default_rng(0).normal(size=(classes + 1, width)), jnp.float32)
        self.state = replicate(init_state(config, classes, new_bank(rows, BankFit())), devices)
        self.batch = made_up_batch(config, width, classes, devices)
        self.step = make_train_step(config, classes, width)

    def __call__(self) -> float:
        """Takes a step; seconds until all of its results are there."""
        start = time.perf_counter()
        self.state, losses = self.step(self.state, self.batch)
        jax.block_until_ready((self.state, losses))
        return time.perf_counter() - start


def step_seconds(width: int, repeats: int, T: int, B: int, C: int, devices: int) -> float:
    """The median time of a float32 step of these sizes."""
    step = TrainStep(recipe("float32", videos=B, snippets=T), width, C, devices)
    return machine.median(machine.interleaved({"step": step}, repeats)["step"])


def train_step(repeats: int, width: int, snippets: int) -> Iterator[dict]:
    """Steps in float32 and bfloat16 in turn with the machine's own rates."""
    measures, classes = {}, 20
    for dtype in ("float32", "bfloat16"):
        measures[f"{dtype} products"] = machine.product_rate(dtype)
        measures[f"{dtype} step"] = TrainStep(recipe(dtype, snippets=snippets), width, classes)
    samples = machine.interleaved(measures, repeats)
    flops = step_flops(thumos14.get_config().model, 10, snippets, width, classes)
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
    step = TrainStep(config, width, classes)
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
        "from benchmarks.training import TrainStep, recipe;"
        f"TrainStep(recipe('float32', snippets={snippets}), {width}, 20)()"
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
