"""How every command of launch/ starts and ends: what is wrong with the input is said in one sentence."""

import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags, logging

from tsc_jax.errors import InputError, PreemptedError


def run(main: Callable[[list[str]], None], operands: Sequence[str] = ()) -> None:
    """Parses the flags, runs `main` and exits.

    Bad input (InputError, a flag or config value that cannot be, a file that cannot be read or
    written) ends with one sentence on stderr and exit code 1, Ctrl-C with 130, a run that was preempted
    and has saved with 75. Any other exception is a fault of the program and keeps its traceback.

    What XLA compiles is kept on disk for the next start; JAX_COMPILATION_CACHE_DIR says where.

    Args:
      main: receives the program's name and its operands.
      operands: names of the arguments, not flags, that it takes, for messages; with "..." after the last one or more.
    """
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "tsc_jax"))
    # A file's name may hold what the terminal cannot show.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app.run(main, flags_parser=lambda argv: _parse(argv, operands))
    except InputError as error:
        _end(str(error), 1)
    except OSError as error:
        _end(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except PreemptedError as notice:
        _end(str(notice), 75)
    except KeyboardInterrupt:
        _end("interrupted", 130)


def _end(sentence: str, code: int) -> None:
    sys.stdout.flush()
    print(sentence, file=sys.stderr)
    sys.exit(code)


def _parse(argv: list[str], operands: Sequence[str]) -> list[str]:
    try:
        found = flags.FLAGS(argv)
        for value in flags.FLAGS.flag_values_dict().values():
            getattr(value, "keys", None)  # a config file that was not found only shows when it is used
    except flags.Error as error:
        lines = _lines(error)  # "flag --config=...: Error whilst parsing config file:", then a traceback
        raise InputError(" ".join(dict.fromkeys([lines[0], lines[-1]]))) from None
    # A config file is a program, which may fail in any way; so may ml_collections with a wrong key.
    except Exception as error:
        raise InputError(_config_error(error, argv)) from None
    most = float("inf") if operands and operands[-1].endswith("...") else len(operands)
    if not len(operands) <= len(found) - 1 <= most:
        expected = " ".join(operands) or "nothing but flags"
        raise InputError(f"found the arguments {' '.join(found[1:]) or 'none'}, expected {expected}")
    if flags.FLAGS["verbosity"].using_default_value:
        flags.FLAGS.verbosity = logging.ERROR  # absl, TFDS and orbax tell much that nobody asked for
    return found


def _config_error(error: Exception, argv: list[str]) -> str:
    """What is wrong with --config or with one of its --config.KEY=VALUE."""
    key = re.search(r"\w+", str(error))
    for argument in argv[1:]:
        if "." in argument and key and key.group() in argument.split("=")[0].split("."):
            hint = re.search(r'Did you mean "(\w+)"', str(error))
            return f"{argument}: the config has no {key.group()!r}" + (f"; did you mean {hint[1]!r}?" if hint else "")
    given = [argument for argument in argv[1:] if re.match("--?config=", argument)] or ["--config"]
    return f"{given[-1]}: {_lines(error)[-1]}"


def _lines(error: Exception) -> list[str]:
    """The lines of a message; of a traceback or a list of attempts in it, the last one matters."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else error  # which would quote it
    return [line.strip() for line in str(text).splitlines() if line.strip()] or [type(error).__name__]
