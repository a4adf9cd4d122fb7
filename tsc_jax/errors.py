"""The one exception that means: what was given is wrong, not the program."""

from typing import NoReturn


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


def stop(error: InputError) -> NoReturn:
    """Raises the error. Readers take another function in its place where one fault shall not hide the next."""
    raise error


class DamagedCheckpointError(InputError):
    """A step on disk that is not as it was written."""


class PreemptedError(Exception):
    """The run was told to end (SIGTERM) and has saved; the same command goes on. Commands exit with code 75."""
