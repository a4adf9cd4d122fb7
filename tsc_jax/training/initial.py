"""The state that a run starts from, around the bank fitted on its training videos."""

import jax
import jax.numpy as jnp
import ml_collections

from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.methods.tscnet.bank import BankFit, fit_bank, new_bank, number_of_rows
from tsc_jax.methods.tscnet.train_step import TrainState, init_state


def first_state(config: ml_collections.ConfigDict, dataset: Dataset, split: Split) -> TrainState:
    """The state before the first step, its bank fitted on `split`, the videos that are trained on."""
    rows, facts = fit_bank(config.bank, split, len(dataset.classes), config.train.seed)
    known = {name: value for name, value in facts.items() if name != "converged"}
    bank = new_bank(rows, BankFit(**known, fingerprint=dataset.fingerprint))
    return init_state(config, len(dataset.classes), bank)


def state_template(config: ml_collections.ConfigDict, classes: int, width: int) -> TrainState:
    """The structure, shapes and types of the state, without its numbers."""

    def init() -> TrainState:
        bank = new_bank(jnp.zeros((number_of_rows(config.bank, classes), width)), BankFit())
        return init_state(config, classes, bank)

    return jax.eval_shape(init)
