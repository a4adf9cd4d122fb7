"""Turns a data set as people have it into the one form that training and evaluation read.

python -m launch.prepare --name watch_sessions
python -m launch.prepare --name thumos14 --layout joint --source DIR
python -m launch.prepare --name mine --layout per_video --source DIR
"""

import dataclasses
from pathlib import Path

import numpy as np
from absl import flags

from tsc_jax import cli
from tsc_jax.data.features import MODALITIES
from tsc_jax.errors import InputError

_NAME = flags.DEFINE_string("name", None, "Name of the data set; watch_sessions is the embedded one.", required=True)
_LAYOUT = flags.DEFINE_enum("layout", None, ["per_video", "joint"], "How the files in --source are laid out.")
_SOURCE = flags.DEFINE_string("source", None, "Folder that holds the data set.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Folder for prepared data sets.")
_MODALITY = flags.DEFINE_enum("modality", "both", MODALITIES, "Which of I3D's features, where both are there.")
_RATE = flags.DEFINE_float("snippets_per_second", None, "Rate of the snippet features, where the files do not say.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Whether to replace what is already prepared.")

# The recipe of each data set that has one; the others start from THUMOS-14's.
RECIPES = {"watch_sessions": "demo", "activitynet12": "activitynet12"}


def main(argv: list[str]) -> None:
    """The command."""
    del argv
    from tsc_jax.data import builder
    from tsc_jax.data.dataset import open_dataset

    name, data_dir = _NAME.value, _DATA_DIR.value
    folder = builder.prepared_folder(data_dir, name)
    check_flags(name == builder.WATCH_SESSIONS)
    written = builder.prepare(read_source, name, data_dir, _OVERWRITE.value)
    print(f"{folder}: prepared" if written else f"{folder}: already there (--overwrite prepares it anew)")
    dataset = open_dataset(data_dir, name)
    print(describe(dataset))
    recipe = RECIPES.get(name, "thumos14")
    command = f"python -m launch.train --config=configs/{recipe}.py --workdir=runs/{name}"
    command += f" --config.data.name={name}" * (name not in (*RECIPES, recipe))
    command += f" --config.data.data_dir={data_dir}" * (data_dir != _DATA_DIR.default)
    print(f"next: {command}")


def check_flags(embedded: bool) -> None:
    """Raises InputError where --layout and --source do not go with --name."""
    given = [flag for flag in (_LAYOUT, _SOURCE) if flag.value is not None]
    if embedded and given:
        raise InputError(f"--{given[0].name} was given, but {_NAME.value} is embedded and takes none")
    if not embedded and len(given) < 2:
        raise InputError(f"--name {_NAME.value} needs --layout per_video or joint, and --source DIR")
    if not embedded and not Path(_SOURCE.value).is_dir():
        raise InputError(f"--source {_SOURCE.value}: no such folder")


def read_source():
    """The data set that the flags speak of."""
    if _LAYOUT.value is None:
        from tsc_jax.data.watch import watch_sessions

        return watch_sessions()
    from tsc_jax.data.builder import config_of
    from tsc_jax.data.joint import read_joint
    from tsc_jax.data.per_video import read_per_video

    if _LAYOUT.value == "joint":
        source = read_joint(Path(_SOURCE.value), config_of(_NAME.value).subsets, _MODALITY.value)
    else:
        source = read_per_video(Path(_SOURCE.value), _MODALITY.value)
    if _RATE.value is not None:
        source = dataclasses.replace(source, snippets_per_second=_RATE.value)
    return source


def describe(dataset) -> str:
    """A few lines on what is in a data set, and on what looks wrong."""
    lines = []
    for title, split in (("train", dataset.train), ("test", dataset.test)):
        lengths = [video.num_snippets for video in split.videos]
        segments = sum(len(video.segments) for video in split.videos)
        lines.append(
            f"{title:5}  {len(lengths)} videos, {sum(lengths)} snippets"
            f" ({min(lengths)} to {max(lengths)} a video), {segments} segments"
        )
    rate, videos = dataset.snippets_per_second, (*dataset.train.videos, *dataset.test.videos)
    lines.append(f"width {dataset.width}, {rate:g} snippets a second")
    lines.append(f"{len(dataset.classes)} classes: {', '.join(dataset.classes)}")
    covered = np.median([video.num_snippets / rate / video.duration for video in videos])
    if not 0.8 < covered < 1.25:
        lines.append(
            f"warning: at {rate:g} a second, the snippets last {covered:.2f} times as long as their videos;"
            " if the rate is wrong, so is every result in seconds (--snippets_per_second --overwrite)"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main)
