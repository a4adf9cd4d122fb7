"""Made-up PyTorch tensors of a whole TSC-Net."""

import jax
import numpy as np

from tsc_jax.method import Sizes
from tsc_jax.methods import tscnet
from tsc_jax.methods.tscnet import torch

STEP = 40


def made_up_tensors(config, classes: int, width: int, bank_name: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Random numbers for every tensor; positive variances, and counters that agree."""
    rng, method = np.random.default_rng(seed), tscnet.make(config, Sizes(classes, width))
    template = jax.eval_shape(lambda key: method.variables(*method.init(key)), jax.random.key(0))
    shapes = torch.expected_shapes(template, bank_name)
    tensors = {name: rng.normal(scale=0.3, size=shape).astype(np.float32) for name, shape in shapes.items()}
    variances = {name: np.abs(tensors[name]) + 0.5 for name in tensors if name.endswith("running_var")}
    return tensors | variances | dict.fromkeys(torch.COUNTERS, np.array(STEP))
