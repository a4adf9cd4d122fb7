"""The command `tsc-jax`, which runs the commands of launch/ where the library is installed."""

import ast
import difflib
import pkgutil
import re
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALLED = (HERE / "launch").is_dir()  # from a wheel; in a clone, the folders stand beside the package
LAUNCH, CONFIGS = ((HERE if INSTALLED else HERE.parent) / name for name in ("launch", "configs"))


def main() -> None:
    """Runs `tsc-jax COMMAND ...`; lists the commands if there is none."""
    known, name = commands(), sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help", "help"):
        lines = [called_here(f"  {each:13} {sentence}\n") for each, sentence in known.items()]
        sys.stdout.write("usage: tsc-jax COMMAND ... (tsc-jax COMMAND --help shows its flags)\n\n" + "".join(lines))
        return
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
        sys.exit(f"tsc-jax has no command {name!r}; {hint}")
    del sys.argv[1]
    runpy.run_module(f"tsc_jax.launch.{name}", run_name="__main__", alter_sys=True)


def commands() -> dict[str, str]:
    """The commands, and what each does in a sentence."""
    sources = {each.name: (LAUNCH / f"{each.name}.py").read_text() for each in pkgutil.iter_modules([str(LAUNCH)])}
    programs = {name: source for name, source in sources.items() if "cli.run(" in source}
    return {name: ast.get_docstring(ast.parse(source)).splitlines()[0] for name, source in programs.items()}


def called_here(text: str) -> str:
    """The text with every command called as it is here: `python -m launch.train` is `tsc-jax train` if installed.

    So is `pip install "tsc_jax[video]"` for `pip install -r requirements-video.txt`.
    """
    if not INSTALLED or not re.search(r"launch\.|requirements-", text):
        return text
    text = re.sub(rf"(?:python -m )?(?<![\w./])launch\.({'|'.join(commands())})\b", r"tsc-jax \1", text)
    return re.sub(r"-r requirements-(\w+)\.txt", r'"tsc_jax[\1]"', text)
