"""The semantics bank: dataset-level prototypes that every snippet can attend to.

It is explicit carried state: `fit` computes it from the training split before the first step, the network takes it as
an input, and the train step advances it (`update`).
"""

from tsc_jax.methods.tscnet.bank.fit import SOURCES, fit_bank, number_of_rows
from tsc_jax.methods.tscnet.bank.state import Bank, BankFit, drift, new_bank
from tsc_jax.methods.tscnet.bank.update import UPDATE_RULES

__all__ = ["SOURCES", "UPDATE_RULES", "Bank", "BankFit", "drift", "fit_bank", "new_bank", "number_of_rows"]
