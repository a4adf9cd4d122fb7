"""Checks that this library computes what the published implementation was recorded to compute.

  python -m launch.parity --golden DIR
  python -m launch.parity --golden DIR --devices 2

DIR holds model.npz, proposals.npz, detection_map.npz or some of them, of any sizes. Prints a row for
each quantity; ends with exit code 1 if one fails.
"""

import collections
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from configs import thumos14
from tsc_jax import cli

_GOLDEN = flags.DEFINE_string("golden", None, "Folder of recordings.", required=True)
_DEVICES = flags.DEFINE_integer("devices", 1, "CPU devices over which the recorded batch is dealt.", lower_bound=1)
_CONFIG = config_flags.DEFINE_config_file("config", thumos14.__file__, "The recipe that was recorded.")


def main(argv: list[str]) -> int:
    """The command."""
    del argv
    import jax

    from tsc_jax import parity

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", _DEVICES.value)
    verdicts = collections.Counter()
    print(f"{'quantity':60} {'absolute':>9} {'relative':>9}  {'accepted':36} verdict")
    for row in parity.check_folder(Path(_GOLDEN.value), _CONFIG.value, _DEVICES.value):
        verdicts[row.verdict] += 1
        errors = f"{row.absolute:9.1e} {row.relative:9.1e}"
        print(f"{row.quantity:60} {errors}  {row.tolerance!s:36} {row.verdict}", flush=True)
    print(f"{sum(verdicts.values())} quantities: {', '.join(f'{n} {verdict}' for verdict, n in verdicts.items())}")
    if verdicts[parity.ROUNDING]:
        print("rounding: beyond what is accepted, by no more than float32 rounding can do there (tsc_jax/parity.py)")
    return int(verdicts[parity.FAILS] > 0)


if __name__ == "__main__":
    cli.run(main)
