"""Made-up PyTorch tensors of a whole TSC-Net, for tests."""

import numpy as np

from tsc_jax.methods.tscnet import torch_state
from tsc_jax.training.initial import state_template

STEP = 40


def made_up_tensors(config, classes: int, width: int, bank_name: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Random numbers for every tensor; positive variances, and counters that agree."""
    rng = np.random.default_rng(seed)
    shapes = torch_state.expected_shapes(state_template(config, classes, width), bank_name)
    tensors = {name: rng.normal(scale=0.3, size=shape).astype(np.float32) for name, shape in shapes.items()}
    variances = {name: np.abs(tensors[name]) + 0.5 for name in tensors if name.endswith("running_var")}
    return tensors | variances | dict.fromkeys(torch_state.COUNTERS, np.array(STEP))
