"""Measures how fast this machine trains and evaluates, against the rate at which it multiplies matrices.

  python -m benchmarks.run
  python -m benchmarks.run --only=train_step,test_pass --width=2048 --output=B.json
  python -m benchmarks.run --only=extraction
  python -m benchmarks.run --only=facnet,rskp,mmsd,grn,acn --width=2048
  python -m benchmarks.run --compare=A.json,B.json
  python -m benchmarks.run --profile=DIR

Everything is made up but its sizes: T 320, B 10 and 212 test videos as long as THUMOS-14's.
"""

import json
import multiprocessing
from pathlib import Path

from absl import flags

from tsc_jax import cli
from tsc_jax.errors import InputError

METHODS = ("tscnet", "facnet", "rskp", "mmsd", "grn", "acn", "self_train")
AREAS = {
    "train_step": "benchmarks.training",
    "input_pipeline": "benchmarks.training",
    "start_up": "benchmarks.training",
    "test_pass": "benchmarks.testing",
    "extraction": "benchmarks.extraction",
} | dict.fromkeys(METHODS, "benchmarks.methods")
# Extraction needs packages that training does not, and the steps of all methods take long: they are asked for by name.
_ONLY = flags.DEFINE_list(
    "only", [area for area in AREAS if area not in ("extraction", *METHODS)], f"What to measure of {', '.join(AREAS)}."
)
_WIDTH = flags.DEFINE_integer("width", 256, "Width of the features; I3D's is 2048.", lower_bound=4)
_SNIPPETS = flags.DEFINE_integer("snippets", 320, "Snippets of a training video.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Samples of each measure; their median counts.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.")
_COMPARE = flags.DEFINE_list("compare", None, "Two JSON files; nothing is measured then.")
_PROFILE = flags.DEFINE_string("profile", None, "Folder for a trace of three train steps; nothing else is measured.")


def main(argv: list[str]) -> None:
    """The command."""
    del argv
    if _COMPARE.value is not None:
        return compare(*map(read, two_files(_COMPARE.value)))
    if _PROFILE.value is not None:
        return in_own_process(profile, Path(_PROFILE.value), _WIDTH.value, _SNIPPETS.value)
    unknown = set(_ONLY.value) - set(AREAS)
    if unknown:
        raise InputError(f"--only names {', '.join(sorted(unknown))}, expected some of {', '.join(AREAS)}")
    rows = []
    for area in _ONLY.value:
        arguments = (area, _REPEATS.value, _WIDTH.value, _SNIPPETS.value)
        measured = in_own_process(measure, *arguments)
        rows += measured
        for row in measured:
            print(line(row), flush=True)
    if _OUTPUT.value is not None:
        from tsc_jax.evaluation.results import write_json

        write_json(Path(_OUTPUT.value), {"hardware": in_own_process(hardware), "rows": rows})


def in_own_process(function, *arguments):
    """The result of a function in a fresh process, whose memory is then its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def measure(area: str, repeats: int, width: int, snippets: int) -> list[dict]:
    """The rows of one area, and the memory that it took."""
    import importlib

    from benchmarks import machine

    rows = list(getattr(importlib.import_module(AREAS[area]), area)(repeats, width, snippets))
    peak = {"name": f"memory of {area}, at most", "unit": "GiB", "samples": [machine.peak_memory()]}
    return [row | {"median": machine.median(row["samples"])} for row in (*rows, peak)]


def profile(folder: Path, width: int, snippets: int) -> None:
    """Writes a trace of three steps, to be opened in TensorBoard or Perfetto."""
    import jax

    from benchmarks.training import recipe, tscnet_step

    step = tscnet_step(recipe("float32", snippets=snippets), width, 20)
    step()
    with jax.profiler.trace(folder):
        for _ in range(3):
            step()


def hardware() -> dict:
    """See `tsc_jax.hardware`."""
    from tsc_jax.hardware import hardware as described

    return described()


def line(row: dict) -> str:
    """A measure as a line of the table."""
    facts = "".join(
        f"  {100 * value:.1f}% of {name.removeprefix('share of ')}" for name, value in row.items() if "share" in name
    )
    rate = f"  {row['FLOP/s'] / 1e9:.0f} GFLOP/s" if "FLOP/s" in row else ""
    value = f"{row['median'] / 1e9:.0f} GFLOP/s" if row["unit"] == "FLOP/s" else f"{row['median']:.4g} {row['unit']}"
    return f"{row['name']:58} {value:>14}{rate}{facts}"


def two_files(names: list[str]) -> list[Path]:
    """The two files to compare."""
    if len(names) != 2:
        raise InputError(f"--compare names {len(names)} files, expected two: A.json,B.json")
    return [Path(name) for name in names]


def read(path: Path) -> dict[str, dict]:
    """The rows of a file that --output wrote, by name."""
    try:
        return {row["name"]: row for row in json.loads(path.read_text(encoding="utf-8"))["rows"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a file that --output wrote ({error})") from error


def compare(before: dict[str, dict], after: dict[str, dict]) -> None:
    """Prints, for what both files hold, the ratio of the medians: second over first."""
    for name in (name for name in before if name in after):
        first, second = before[name]["median"], after[name]["median"]
        print(f"{name:58} {first:10.4g} {second:10.4g} {before[name]['unit']:7} x {second / first:.2f}")


if __name__ == "__main__":
    cli.run(main)
