"""One pass over all snippets: whose they are, and what the next step of a fit needs to know of them.

Each chunk is spread over the local devices, which return sums; those are added over chunks and processes in float64
before anything is divided. Moments and distances are taken about the means, not about 0: the features of a network
that ends in a ReLU are constant within many a component, and squares of what is a thousand times as large as the
spread would leave nothing of it in float32.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tsc_jax import processes
from tsc_jax.methods.tscnet.bank.snippets import Snippets

AXIS = "snippets"
BLOCK = 256  # snippets looked at together: their deviations from one mean stay in the cache of a processor

product = functools.partial(jnp.matmul, precision="highest")


@dataclasses.dataclass(frozen=True)
class Moments:
    """Of all snippets, by the shares that K components have in them, about the components' means; float64.

    Attributes:
      counts: [K].
      sums: of deviations, [K, D].
      second: sums of their squares [K, D], or of their products [K, D, D]; None where not asked for.
      objective: the mean of a snippet.
      worst: float32 [D], the snippet with the lowest objective.
    """

    counts: np.ndarray
    sums: np.ndarray
    second: np.ndarray | None
    objective: float
    worst: np.ndarray


def standardize(snippets: Snippets) -> tuple[Snippets, np.ndarray, float]:
    """The snippets less the mean of each feature, by one standard deviation for all; that mean [D], and that."""
    sums, squares = np.zeros(snippets.start.shape[1]), np.zeros(())
    for x, real in snippets.chunks():
        sums += x[real].sum(axis=0, dtype=np.float64)
    offset = processes.of_each(sums).sum(axis=0) / snippets.total
    for x, real in snippets.chunks():
        squares += np.square(x[real] - offset).sum()
    scale = float(np.sqrt(processes.of_each(squares).sum() / snippets.total / len(offset))) + 1e-12

    def standard(x: np.ndarray) -> np.ndarray:
        return (x - offset.astype(np.float32)) / np.float32(scale)

    def chunks():
        return ((standard(x), real) for x, real in snippets.chunks())

    return Snippets(snippets.total, standard(snippets.start), chunks), offset, scale


def one_pass(
    snippets: Snippets, means: np.ndarray, transforms: np.ndarray, constants: np.ndarray, hard: bool, second: str = ""
) -> Moments:
    """Assigns every snippet of every process to K Gaussians.

    Args:
      snippets: standardized.
      means: [K, D].
      transforms: what turns deviations from a mean into independent ones of variance 1: [K, D] or [K, D, D].
      constants: the log-densities at the means, weights included: [K].
      hard: whether a snippet belongs to the component where its log-density is highest, which then is the objective;
        else it is shared out by probability, and the objective is its log-likelihood.
      second: which second moments: "squares", "products" or none.
    """
    devices = tuple(jax.local_devices())
    program = spread(devices, hard, second)
    over_devices = NamedSharding(Mesh(devices, AXIS), PartitionSpec(AXIS))
    densities = [jnp.asarray(each, jnp.float32) for each in (means, transforms, constants)]
    totals, objective, lowest, worst = None, 0.0, np.float32(np.inf), np.zeros(means.shape[1], np.float32)
    for x, real in snippets.chunks():
        *sums, objectives = jax.device_get(program(*densities, *jax.device_put((x, real), over_devices)))
        sums = [np.asarray(each, np.float64) for each in sums]
        totals = sums if totals is None else [total + each for total, each in zip(totals, sums, strict=True)]
        objective += float(objectives[real].sum(dtype=np.float64))
        place = np.argmin(np.where(real, objectives, np.inf))
        if real[place] and objectives[place] < lowest:
            lowest, worst = objectives[place], x[place]
    *totals, objective = (processes.of_each(each).sum(axis=0) for each in (*totals, np.array(objective)))
    worst = processes.of_each(worst)[np.argmin(processes.of_each(lowest))]
    return Moments(totals[0], totals[1], totals[2] if second else None, float(objective) / snippets.total, worst)


@functools.cache
def spread(devices: tuple[jax.Device, ...], hard: bool, second: str) -> Callable:
    """(means, transforms, constants, snippets [S, D], real [S]) -> counts, sums, second moments, objectives [S]."""

    def on_device(means, transforms, constants, x, real):
        rows = min(BLOCK, len(x))
        padding = -len(x) % rows
        blocks = jnp.pad(x, ((0, padding), (0, 0))).reshape(-1, rows, x.shape[1])
        real = jnp.pad(real, (0, padding)).reshape(-1, rows)

        def add(totals, block):
            log_joint = log_densities(block[0], means, transforms, constants)
            objectives = jnp.max(log_joint, axis=1) if hard else jax.nn.logsumexp(log_joint, axis=1)
            best = jax.nn.one_hot(jnp.argmax(log_joint, axis=1), len(means))
            shares = jnp.where(block[1][:, None], best if hard else jax.nn.softmax(log_joint, axis=1), 0)
            return jax.tree.map(jnp.add, totals, moments(block[0], shares, means, second)), objectives

        of_block = functools.partial(moments, second=second)
        shares = jax.ShapeDtypeStruct((rows, len(means)), jnp.float32)
        nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(of_block, blocks[0], shares, means))
        totals, objectives = jax.lax.scan(add, nothing, (blocks, real))
        return *jax.lax.psum(totals, AXIS), objectives.reshape(-1)[: len(x)]

    everywhere, dealt = PartitionSpec(), PartitionSpec(AXIS)
    sums = (everywhere,) * (3 if second else 2)
    return jax.jit(
        jax.shard_map(
            on_device,
            mesh=Mesh(devices, AXIS),
            in_specs=(everywhere, everywhere, everywhere, dealt, dealt),
            out_specs=(*sums, dealt),
            check_vma=False,
        )
    )


def log_densities(x: jax.Array, means: jax.Array, transforms: jax.Array, constants: jax.Array) -> jax.Array:
    """Of snippets [S, D] under each component, weights included: [S, K]."""

    def squares(component: tuple[jax.Array, jax.Array]) -> jax.Array:
        mean, transform = component
        if transform.ndim == 1:
            return product(jnp.square(x - mean[None]), jnp.square(transform))
        return jnp.sum(jnp.square(product(x - mean[None], transform.T)), axis=1)

    return constants[None] - jax.lax.map(squares, (means, transforms)).T / 2


def moments(x: jax.Array, shares: jax.Array, means: jax.Array, second: str) -> tuple[jax.Array, ...]:
    """Counts [K], sums [K, D] and second moments of snippets [S, D] by their shares [S, K]; see `Moments`."""

    def of_component(component: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        mean, share = component
        deviations = x - mean[None]
        sums = (jnp.sum(share), product(share, deviations))
        if second == "products":
            return *sums, product((share[:, None] * deviations).T, deviations)
        return (*sums, product(share, jnp.square(deviations))) if second else sums

    return jax.lax.map(of_component, (means, shares.T))
