"""The one exception that means: what was given is wrong, not the program."""


class InputError(ValueError):
    """Bad input from outside: a file, a flag, a config value.

    Its message is one sentence that names the file or flag, says what was found
    and what was expected. Commands print it to stderr and exit with code 1.
    """


class DamagedCheckpointError(InputError):
    """A step on disk that is not as it was written."""


class PreemptedError(Exception):
    """The run was told to end (SIGTERM) and has saved; the same command goes on. Commands exit with code 75."""
