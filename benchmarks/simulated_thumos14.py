"""Writes made-up features in the form and size of THUMOS-14, to see what full size costs without its features.

  python -m benchmarks.simulated_thumos14 --output=simulated
  python -m benchmarks.simulated_thumos14 --output=simulated --annotations=Thumos14reduced-Annotations --width=1024
  python -m launch.prepare --name=thumos14 --source=simulated

With --annotations the videos are those of THUMOS-14, and snippets inside of segments are noise around a mean of their
class. Without, lengths and segments are made up too. Accuracy on such data says nothing about accuracy on real data.
"""

from pathlib import Path

from absl import flags

from benchmarks.made_up import made_up_videos, write
from tsc_jax import cli
from tsc_jax.data.annotations import read_npy_folder

_OUTPUT = flags.DEFINE_string("output", None, "Folder to write, in the layout per_video.", required=True)
_ANNOTATIONS = flags.DEFINE_string("annotations", None, "THUMOS-14's folder of annotations (.npy); default: made up.")
_WIDTH = flags.DEFINE_integer("width", 2048, "Width of the features; I3D's is 2048.", lower_bound=1)


def main(argv: list[str]) -> None:
    """The command."""
    del argv
    folder = Path(_OUTPUT.value)
    videos = made_up_videos() if _ANNOTATIONS.value is None else read_npy_folder(Path(_ANNOTATIONS.value))
    snippets = write(folder, videos, _WIDTH.value)
    print(f"{folder}: {len(videos)} videos with {snippets} snippets of width {_WIDTH.value}")


if __name__ == "__main__":
    cli.run(main)
