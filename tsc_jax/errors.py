"""The one exception that means: what was given is wrong, not the program."""


class InputError(ValueError):
    """Bad input from outside: a file, a flag, a config value.

    Its message is one sentence that names the file or flag, says what was found
    and what was expected. Commands print it to stderr and exit with code 1.
    """
