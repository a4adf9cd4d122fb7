"""What a run starts from: the semantics bank fitted on the training videos, and the state around it."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.errors import InputError
from tsc_jax.tscnet.bank import UPDATE_RULES, Bank, BankFit, draw_snippets, fit_bank
from tsc_jax.tscnet.train_step import TrainState, init_state


def make_bank(config: ml_collections.ConfigDict, dataset: Dataset, split: Split) -> Bank:
    """The bank before the first step, fitted on snippets of the training videos alone."""
    settings, seed = config.bank, config.train.seed
    snippets = np.concatenate(
        [
            draw_snippets(split.features(index), settings.snippets_per_video, np.random.default_rng([seed, index]))
            for index in range(len(split.videos))
        ]
    )
    rows = settings.rows or len(dataset.classes) + 1
    if rows > len(snippets):
        raise InputError(f"config.bank.rows is {rows}, but there are only {len(snippets)} training snippets to fit")
    how = {"max_iterations": settings.max_iterations, "tolerance": settings.tolerance}
    return fit_bank(snippets, rows, seed, dataset.train_fingerprint, **how)


def state_template(config: ml_collections.ConfigDict, dataset: Dataset) -> TrainState:
    """The structure, shapes and types of the state, without its numbers."""
    rows = config.bank.rows or len(dataset.classes) + 1

    def init() -> TrainState:
        bank = Bank(jnp.zeros((rows, dataset.width)), BankFit(0, 0, 0, ""))
        return init_state(config, len(dataset.classes), bank)

    return jax.eval_shape(init)
