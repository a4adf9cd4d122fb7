"""Starts and ends every command of launch/; reports bad input in one sentence."""

import contextlib
import difflib
import importlib
import io
import itertools
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tqdm
from absl import app, flags, logging

from tsc_jax.buckets import sentence_of
from tsc_jax.commands import CONFIGS, called_here
from tsc_jax.errors import InputError, InputWarning, PreemptedError
from tsc_jax.files import local_or_bucket, local_path

BUCKET_KEYS = ("workdir", "data_dir")  # of recipes, whose folders may be in a bucket


def run(main: Callable[[list[str]], None], operands: Sequence[str] = (), buckets: Sequence[str] = ()) -> None:
    """Parses the flags, runs `main` and exits.

    Bad input (InputError, an invalid flag or config value, a file that cannot be read or written) ends with one
    sentence on stderr and exit code 1, Ctrl-C with 130, a preempted run that has saved with 75. Any other exception is
    a fault of the program and keeps its traceback. Devices that JAX_PLATFORMS names and that are not there are bad
    input. An InputWarning is one sentence on stderr. XLA keeps compiled programs in JAX_COMPILATION_CACHE_DIR.

    `main` receives the program's name and its operands, the arguments that are not flags. `operands` names them for
    messages; "..." after the last means one or more, or any number if it is in brackets: [INPUT]... `buckets` names the
    flags of folders that may be in a bucket.
    """
    home = os.path.expanduser("~")
    with contextlib.suppress(OSError):  # a user without a home folder, or who cannot write there
        if home != "~" and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
            Path(home, ".cache", "tsc_jax").mkdir(parents=True, exist_ok=True)
            os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(home, ".cache", "tsc_jax"))
    # A file's name may hold characters that the terminal cannot show.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    _show_input_warnings()
    program = sys.modules["__main__"]
    program.__doc__ = called_here(program.__doc__ or "")  # --help shows it, and what follows
    for flag in flags.FLAGS.get_key_flags_for_module(program):
        flag.help = called_here(flag.help or "")
    try:
        app.run(lambda argv: _flushed(main(argv)), flags_parser=lambda argv: _parse(argv, operands, buckets))
    except InputError as error:
        _end(str(error), 1)
    except BrokenPipeError:  # whoever reads the output has read enough
        _end("", 1)
    except OSError as error:
        named = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        _end(sentence_of(error) or named, 1)
    except PreemptedError as notice:
        _end(str(notice), 75)
    except KeyboardInterrupt:
        _end("interrupted", 130)
    except Exception as error:
        if sentence := sentence_of(error):
            _end(sentence, 1)
        if "jax" in sys.modules and (sentence := importlib.import_module("tsc_jax.hardware").missing_platform()):
            _end(sentence, 1)
        raise


def _show_input_warnings() -> None:
    """Makes Python print an InputWarning as its sentence alone, above a progress bar."""
    show_others = warnings.showwarning

    def show(message: Warning, category: type[Warning], *place: Any) -> None:
        if issubclass(category, InputWarning):
            tqdm.tqdm.write(f"warning: {message}", sys.stderr)
        else:
            show_others(message, category, *place)

    warnings.simplefilter("always", InputWarning)
    warnings.showwarning = show


def _end(sentence: str, code: int) -> None:
    try:
        sys.stdout.flush()
    except OSError:  # nothing can be written there, so Python is not to try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if sentence:
        with contextlib.suppress(OSError):
            print(sentence, file=sys.stderr)
    sys.exit(code)


def _flushed(code: int | None) -> int | None:
    """Returns the exit code of a command whose output was written to its end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"standard output: cannot be written ({error.strerror})") from None
    return code


def _parse(argv: list[str], operands: Sequence[str], buckets: Sequence[str]) -> list[str]:
    try:
        arguments = flags.FLAGS(_with_recipes(argv))
        arguments[1:] = [local_path(argument) for argument in arguments[1:]]
        for name, value in flags.FLAGS.flag_values_dict().items():
            if isinstance(value, str):
                flags.FLAGS[name].value = _paths(value, f"--{name} ", name in buckets)
            if hasattr(value, "update_from_flattened_dict"):  # shows whether a config file is missing
                _localize(value, f"--{name}.")
    except (InputError, BrokenPipeError):
        raise
    except flags.Error as error:
        lines = _lines(error)  # "flag --config=...: Error whilst parsing config file:", then a traceback
        raise InputError(" ".join(dict.fromkeys([lines[0], lines[-1]]))) from None
    # A config file is a program, which may fail in any way, and so may ml_collections with a wrong key.
    except Exception as error:
        raise InputError(_config_error(error, argv)) from None
    most = float("inf") if operands and operands[-1].endswith("...") else len(operands)
    least = sum(not operand.startswith("[") for operand in operands)
    if not least <= len(arguments) - 1 <= most:
        expected = " ".join(operands) or "nothing but flags"
        raise InputError(f"found the arguments {' '.join(arguments[1:]) or 'none'}, expected {expected}")
    if flags.FLAGS["verbosity"].using_default_value:
        flags.FLAGS.verbosity = logging.ERROR  # absl, TFDS and orbax are talkative
    return arguments


def _with_recipes(argv: list[str]) -> list[str]:
    """The arguments, with the file of the recipe that --config names."""
    arguments = argv[:1]
    for before, argument in itertools.pairwise(argv):
        flag, equals, value = ("", "", argument) if re.fullmatch("--?config", before) else argument.partition("=")
        named = not flag or (equals and re.fullmatch("--?config", flag))
        arguments.append(f"{flag}{equals}{_recipe(value)}" if named else argument)
    return arguments


def _recipe(given: str) -> str:
    """FILE or FILE:ARGUMENT, where `given` may also name a recipe of this library: demo, demo.py or configs/demo.py.

    Raises:
      InputError: there is neither such a file nor such a recipe.
    """
    file, *argument = local_path(given).split(":", 1)
    name = file.removeprefix("configs/").removesuffix(".py")
    if not Path(file).exists() or Path(file).is_dir():
        file = CONFIGS / f"{name}.py"
    if not Path(file).exists():
        near = difflib.get_close_matches(name, [path.stem for path in CONFIGS.glob("*.py")], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"--config={given}: no such file, and no recipe of that name in {CONFIGS}{hint}")
    return ":".join([str(file), *argument])


def _paths(text: str, what: str, buckets: bool) -> str:
    """Paths with commas between them, each as `files` gives it; other text stays as it is."""
    return ",".join((local_or_bucket if buckets else local_path)(part, what) for part in text.split(","))


def _localize(config, what: str) -> None:
    """Does the same with every text of a config, in place."""
    for key, value in config.items():
        if hasattr(value, "items"):
            _localize(value, f"{what}{key}.")
        elif isinstance(value, str):
            with config.unlocked():
                config[key] = _paths(value, f"{what}{key} ", key in BUCKET_KEYS)


def _config_error(error: Exception, argv: list[str]) -> str:
    """Returns a sentence about --config or about one of its --config.KEY=VALUE."""
    key = re.search(r"\w+", str(error))
    for argument in argv[1:]:
        if "." in argument and key and key.group() in argument.split("=")[0].split("."):
            hint = re.search(r'Did you mean "(\w+)"', str(error))
            return f"{argument}: the config has no {key.group()!r}" + (f"; did you mean {hint[1]!r}?" if hint else "")
    given = [argument for argument in argv[1:] if re.match("--?config=", argument)] or ["--config"]
    return f"{given[-1]}: {_lines(error)[-1]}"


def _lines(error: Exception) -> list[str]:
    """Returns the lines of a message; the last one matters if it holds a traceback or a list of attempts."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else error  # str(KeyError) adds quotes
    return [line.strip() for line in str(text).splitlines() if line.strip()] or [type(error).__name__]
