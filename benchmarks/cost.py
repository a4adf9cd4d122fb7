"""What a train step costs as its sizes grow, one at a time: a table of seconds.

  python -m benchmarks.cost

On a CPU the devices are virtual and share its cores: there the last row shows what dealing costs, not what it gains.
"""

from absl import flags

from tsc_jax import cli

_WIDTH = flags.DEFINE_integer("width", 256, "Width of the features.", lower_bound=4)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Steps of each size; their median counts.", lower_bound=1)
BASE = {"T": 160, "B": 8, "C": 20, "devices": 1}
SIZES = {"T": (40, 80, 160, 320), "B": (4, 8, 16, 32), "C": (5, 20, 100, 200), "devices": (1, 2, 4)}


def main(argv: list[str]) -> None:
    """The command."""
    del argv
    import jax

    from benchmarks.training import step_seconds

    jax.config.update("jax_num_cpu_devices", max(SIZES["devices"]))
    print(f"seconds of a float32 train step at D {_WIDTH.value}, {', '.join(f'{k} {v}' for k, v in BASE.items())}, but")
    for name, sizes in SIZES.items():
        held = [size for size in sizes if name != "devices" or size <= jax.local_device_count()]
        times = {size: step_seconds(_WIDTH.value, _REPEATS.value, **(BASE | {name: size})) for size in held}
        print("  ".join(f"{name} {size}: {time:.3f}" for size, time in times.items()), flush=True)


if __name__ == "__main__":
    cli.run(main)
