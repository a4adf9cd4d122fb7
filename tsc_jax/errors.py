"""What was given is wrong, not the program: the one exception that means so, and how readers deal with it."""

from collections.abc import Callable
from typing import Any, NoReturn


class InputError(ValueError):
    """Bad input from outside: a file, a flag, a config value.

    Its message is one sentence that names the file or flag, says what was found
    and what was expected. Commands print it to stderr and exit with code 1.

    Attributes:
      about: which of `tsc_jax.doctor`'s checks would find it.
    """

    def __init__(self, message: str = "", about: str = "unusable"):
        super().__init__(message)
        self.about = about


# What readers do with something that is wrong; where it returns, they leave that out and go on.
Refuse = Callable[[InputError], None]


def stop(error: InputError) -> NoReturn:
    """Raises the error. Readers take another `Refuse` in its place where one fault shall not hide the next."""
    raise error


def attempt(refuse: Refuse, read: Callable, *arguments: Any) -> Any:
    """What `read` returns of `arguments`; None where it raised an InputError that `refuse` let pass."""
    try:
        return read(*arguments)
    except InputError as error:
        return refuse(error)


class DamagedCheckpointError(InputError):
    """A step on disk that is not as it was written."""


class PreemptedError(Exception):
    """The run was told to end (SIGTERM) and has saved; the same command goes on. Commands exit with code 75."""
