"""Compares this library with recordings of the published implementation.

  python -m launch.parity --golden DIR
  python -m launch.parity --golden DIR --devices 2

DIR holds one or more of model.npz, proposals.npz and detection_map.npz, of any sizes; they tell which method was
recorded. Prints one row per quantity. The exit code is 1 if a quantity fails.
"""

import collections
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from tsc_jax import cli
from tsc_jax.configs import recipe

_GOLDEN = flags.DEFINE_string("golden", None, "Folder of recordings.", required=True)
_DEVICES = flags.DEFINE_integer("devices", 1, "Number of CPU devices that share the recorded batch.", lower_bound=1)
_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Recipe of the recordings; default: that of the recorded method for THUMOS-14."
)


def main(argv: list[str]) -> int:
    """Runs the command."""
    del argv
    import jax

    from tsc_jax import parity

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", _DEVICES.value)
    folder, verdicts = Path(_GOLDEN.value), collections.Counter()
    config = _CONFIG.value or recipe(parity.method_of(folder), "thumos14")
    print(f"{'quantity':60} {'absolute':>9} {'relative':>9}  {'accepted':36} verdict")
    for row in parity.check_folder(folder, config, _DEVICES.value):
        verdicts[row.verdict] += 1
        errors = f"{row.absolute:9.1e} {row.relative:9.1e}"
        print(f"{row.quantity:60} {errors}  {row.tolerance!s:36} {row.verdict}", flush=True)
    print(f"{sum(verdicts.values())} quantities: {', '.join(f'{n} {verdict}' for verdict, n in verdicts.items())}")
    if verdicts[parity.ROUNDING]:
        print("rounding: exceeds the tolerance, but no more than float32 rounding can explain (tsc_jax/parity.py)")
    return int(verdicts[parity.FAILS] > 0)


if __name__ == "__main__":
    cli.run(main)
