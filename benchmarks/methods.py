"""A full-size train step of each method: whole videos of THUMOS-14's lengths, or as its recipe samples them."""

import functools
from collections.abc import Iterator

import jax
import numpy as np

from benchmarks import machine
from benchmarks.training import TrainStep, made_up_split, step_flops
from tsc_jax.configs import recipe
from tsc_jax.data.batches import batch_maker
from tsc_jax.method import Sizes

CLASSES, VIDEOS = 20, 40


def step_of(method: str, repeats: int, width: int, snippets: int) -> Iterator[dict]:
    """The step of the recipe for THUMOS-14 with its first batch, in turn with the machine's own rate."""
    del snippets
    config = recipe(method, "thumos14")
    if "base" in config:
        with config.unlocked():
            config.base.recipe = recipe("tscnet", "thumos14")
    split = made_up_split(width, CLASSES, VIDEOS)
    sizes = Sizes(CLASSES, width, VIDEOS, sum(video.num_snippets for video in split.videos))
    batch = batch_maker(split, config.train, seed=0, devices=1)(0)
    step = TrainStep(config, sizes, batch)
    samples = machine.interleaved({"products": machine.product_rate("float32"), "step": step}, repeats)
    flops, seconds = step_flops(config, sizes, batch), machine.median(samples["step"])
    videos, length = batch["mask"].shape[1:]
    yield {
        "name": f"step of {method}, D {width}, B {videos}, T {length}",
        "unit": "s",
        "samples": samples["step"],
        "FLOP": flops,
        "share of products": flops / seconds / machine.median(samples["products"]),
        "share of padding": 1 - float(np.mean(batch["mask"])),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(step.state.params)),
    }


tscnet, facnet, rskp, mmsd, grn, acn, self_train = (
    functools.partial(step_of, method) for method in ("tscnet", "facnet", "rskp", "mmsd", "grn", "acn", "self_train")
)
