"""What is measured with: clocks, memory, and the rate that this machine multiplies matrices at."""

import functools
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np

# Rows, inner width, columns: snippets of a batch times a map or a convolution, and a square.
PRODUCTS = ((3200, 2048, 2048), (3200, 6144, 2048), (4096, 4096, 4096))


def seconds(function: Callable, *arguments) -> float:
    """Seconds until the result of one call is there."""
    start = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - start


def interleaved(measures: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """`repeats` values of each measure, taken in turn after one to warm up, so that a noisy neighbour hits all."""
    for measure in measures.values():
        measure()
    samples = {name: [] for name in measures}
    for _ in range(repeats):
        for name, measure in measures.items():
            samples[name].append(measure())
    return samples


def product_rate(dtype: str) -> Callable[[], float]:
    """A measure of FLOP/s of matrix products in `dtype`, accumulated in float32: the best of PRODUCTS."""
    multiply = jax.jit(functools.partial(jnp.matmul, preferred_element_type=jnp.float32))
    rng = np.random.default_rng(0)
    operands = [
        tuple(jnp.asarray(rng.random(shape, np.float32), dtype) for shape in ((rows, inner), (inner, columns)))
        for rows, inner, columns in PRODUCTS
    ]

    def measure() -> float:
        work = (2 * rows * inner * columns for rows, inner, columns in PRODUCTS)
        return max(flops / seconds(multiply, *pair) for flops, pair in zip(work, operands, strict=True))

    return measure


def median(samples: Iterable[float]) -> float:
    """The median."""
    return statistics.median(samples)


def peak_memory() -> float:
    """GiB that this process has held at most."""
    unit = 2**30 if platform.system() == "Darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
