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
    if settings.update_rule not in UPDATE_RULES:
        raise InputError(f"config.bank.update_rule is {settings.update_rule!r}, expected one of {UPDATE_RULES}")
    snippets = np.concatenate(
        [
            draw_snippets(split.features(index), settings.snippets_per_video, np.random.default_rng([seed, index]))
            for index in range(len(split.videos))
        ]
    )
    rows = number_of_rows(config, len(dataset.classes))
    if rows > len(snippets):
        raise InputError(f"config.bank.rows is {rows}, but there are only {len(snippets)} training snippets to fit")
    how = {"max_iterations": settings.max_iterations, "tolerance": settings.tolerance}
    return fit_bank(snippets, rows, seed, dataset.train_fingerprint, **how)


def state_template(config: ml_collections.ConfigDict, classes: int, width: int) -> TrainState:
    """The structure, shapes and types of the state, without its numbers."""

    def init() -> TrainState:
        bank = Bank(jnp.zeros((number_of_rows(config, classes), width)), BankFit(0, 0, 0, ""))
        return init_state(config, classes, bank)

    return jax.eval_shape(init)


def number_of_rows(config: ml_collections.ConfigDict, classes: int) -> int:
    """K: as the config says, or one for each class and one for background."""
    return config.bank.rows or classes + 1
