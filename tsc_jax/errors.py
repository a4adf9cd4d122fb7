"""Exceptions that are no faults of the program, and what readers do with bad input."""

from collections.abc import Callable
from typing import Any, NoReturn

from tsc_jax.commands import called_here


class InputError(ValueError):
    """Bad input: a file, a flag, a config value.

    Its message is one sentence that names the file or flag, what was found and what was expected. Commands print it to
    stderr and exit with code 1.
    """

    def __init__(self, message: str = "", about: str = "unusable"):
        super().__init__(called_here(message))
        self.about = about  # the check of `tsc_jax.doctor` that finds it


class InputWarning(UserWarning):
    """Input that is used although it is not what it should be. Commands print its sentence to stderr and go on."""


# Receives an error. If it returns, the reader leaves the faulty piece out and continues.
Refuse = Callable[[InputError], None]


def stop(error: InputError) -> NoReturn:
    """Raises the error; the `Refuse` that readers use by default."""
    raise error


def attempt(refuse: Refuse, read: Callable, *arguments: Any) -> Any:
    """Returns read(*arguments), or None if it raises an InputError and `refuse` returns."""
    try:
        return read(*arguments)
    except InputError as error:
        return refuse(error)


class DamagedCheckpointError(InputError):
    """A checkpoint on disk that differs from what was written."""


class PreemptedError(Exception):
    """The run received SIGTERM and has saved; the same command resumes it. Commands exit with code 75."""
