"""Extracts snippet features from videos with I3D on RGB: 1024 numbers per 16 frames, at 25 frames per second.

  python -m launch.extract videos/*.mp4 --output=data/mine
  python -m launch.extract videos/test --output=data/mine --split=test
  python -m launch.extract frames --frames_per_second=30 --output=data/mine

A VIDEO is a file, a folder of videos (those below it count too), or a folder of frames, pictures of one video such as
frame_000001.jpg; a folder of such folders gives a video each. --inputs names a file with one of these in each line.
Needs the packages of requirements-video.txt. The same command resumes an interrupted extraction. The public features of
THUMOS and ActivityNet are different, because they use flow and another decoder: train and apply a model with features
of one extractor.
"""

from pathlib import Path

from absl import flags

from tsc_jax import cli
from tsc_jax.commands import called_here
from tsc_jax.data.source import SPLITS
from tsc_jax.errors import InputError

_OUTPUT = flags.DEFINE_string("output", None, "Folder of the data set: features/ and meta.json.", required=True)
_SPLIT = flags.DEFINE_enum("split", None, SPLITS, "Split of these videos; writes to features/SPLIT/.")
_INPUTS = flags.DEFINE_string(
    "inputs", None, "File with a VIDEO in each line; paths count from the working folder, as those of arguments do."
)
_FRAMES = flags.DEFINE_float("frames_per_second", None, "Rate of the pictures in folders of frames.")
_DTYPE = flags.DEFINE_enum(
    "dtype", "float32", ["float32", "bfloat16"], "Type of the network; features are always float32."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", None, "Number of snippets to compute at once.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Runs the command."""
    from tsc_jax.video.folder import extract_folder
    from tsc_jax.video.inputs import find_videos, given_paths

    output = Path(_OUTPUT.value)
    videos = find_videos(given_paths(argv[1:], _INPUTS.value), _FRAMES.value)
    failed = extract_folder(videos, output, _SPLIT.value, _DTYPE.value, _BATCH_SIZE.value)
    if failed < len(videos):
        print(called_here(next_step(output)))
    if failed:
        raise InputError(f"{failed} of {len(videos)} videos gave no features")


def next_step(output: Path) -> str:
    """Returns the command that makes a data set of the features."""
    missing = [name for name in ("gt.json", "split_train.txt", "split_test.txt") if not (output / name).exists()]
    first = f"add {', '.join(missing)} to {output}, then " if missing else ""
    command = f"python -m launch.prepare --name {output.resolve().name} --layout per_video --source {output}"
    return f"next: {first}{command}"


if __name__ == "__main__":
    cli.run(main, ["[VIDEO]..."])
