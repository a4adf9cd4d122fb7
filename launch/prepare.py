"""Prepares a data set: writes it in the form that training and evaluation read.

python -m launch.prepare --name watch_workouts
python -m launch.prepare --name thumos14 --layout joint --source DIR
python -m launch.prepare --name mine --layout per_video --source DIR
"""

import dataclasses
import shlex
from pathlib import Path

import numpy as np
from absl import flags

from tsc_jax import cli
from tsc_jax.data.builder import config_of, prepare, prepared_folder
from tsc_jax.data.checks import rate_fits
from tsc_jax.data.dataset import Dataset, open_dataset
from tsc_jax.data.features import MODALITIES
from tsc_jax.data.joint import read_joint
from tsc_jax.data.per_video import read_per_video
from tsc_jax.data.source import Source
from tsc_jax.errors import InputError

_NAME = flags.DEFINE_string(
    "name", None, "Name of the data set; watch_workouts and watch_sessions are embedded.", required=True
)
_LAYOUT = flags.DEFINE_enum("layout", None, ["per_video", "joint"], "Layout of the files in --source.")
_SOURCE = flags.DEFINE_string("source", None, "Folder that holds the data set.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Folder for prepared data sets.")
_MODALITY = flags.DEFINE_enum("modality", "both", MODALITIES, "Which I3D features to use, if there are both.")
_RATE = flags.DEFINE_float("snippets_per_second", None, "Rate of the snippet features; default: from the files.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Whether to replace an existing data set.")

RECIPES = {"watch_workouts": "configs/demo.py"} | {
    name: f"configs/{name}.py" for name in ("thumos14", "activitynet12", "activitynet13")
}


def main(argv: list[str]) -> None:
    """Runs the command."""
    del argv
    name, data_dir = _NAME.value, _DATA_DIR.value
    folder = prepared_folder(data_dir, name)
    check_flags()
    written = prepare(read_source, name, data_dir, _OVERWRITE.value)
    print(f"{folder}: prepared" if written else f"{folder}: already there (--overwrite prepares it anew)")
    dataset = open_dataset(data_dir, name)
    print(describe(dataset))
    print(f"next: {train_command(dataset, data_dir)}")


def check_flags() -> None:
    """Raises InputError for an invalid rate, or if --layout and --source do not match --name."""
    if _RATE.value is not None and not 0 < _RATE.value < np.inf:
        raise InputError(f"--snippets_per_second is {_RATE.value}, expected a positive number")
    given = [flag.name for flag in (_LAYOUT, _SOURCE) if flag.value is not None]
    if config_of(_NAME.value).read_embedded:
        if given:
            raise InputError(f"--{given[0]} was given, but {_NAME.value} is embedded and takes none")
    elif len(given) < 2:
        raise InputError(f"--name {_NAME.value} needs --layout per_video or joint, and --source DIR")
    elif not Path(_SOURCE.value).is_dir():
        raise InputError(f"--source {_SOURCE.value}: no such folder")


def read_source() -> Source:
    """Reads the data set that the flags name."""
    known = config_of(_NAME.value)
    if known.read_embedded:
        return known.read_embedded()
    if _LAYOUT.value == "joint":
        source = read_joint(Path(_SOURCE.value), known.subsets, _MODALITY.value)
    else:
        source = read_per_video(Path(_SOURCE.value), _MODALITY.value)
    if _RATE.value is not None:
        source = dataclasses.replace(source, snippets_per_second=_RATE.value)
    return source


def describe(dataset: Dataset) -> str:
    """Summarizes a data set in a few lines; warns if the rate does not fit most of its videos."""
    lines = []
    for title, split in (("train", dataset.train), ("test", dataset.test)):
        lengths = [video.num_snippets for video in split.videos]
        segments = sum(len(video.segments) for video in split.videos)
        lines.append(
            f"{title:5}  {len(lengths)} videos, {sum(lengths)} snippets"
            f" ({min(lengths)} to {max(lengths)} per video), {segments} segments"
        )
    rate, videos = dataset.snippets_per_second, (*dataset.train.videos, *dataset.test.videos)
    lines.append(f"width {dataset.width}, {rate:g} snippets per second")
    lines.append(f"{len(dataset.classes)} classes: {', '.join(dataset.classes)}")
    fitting = sum(rate_fits(video.num_snippets, video.duration, rate) for video in videos)
    if fitting < len(videos) / 2:
        covered = np.median([video.num_snippets / rate / video.duration for video in videos])
        lines.append(
            f"warning: at {rate:g} snippets per second, the snippets last {covered:.2f} times as long as the videos"
            f" (median); {fitting} of {len(videos)} videos fit. If the rate is wrong, all results in seconds are"
            " wrong: prepare again with --snippets_per_second and --overwrite"
        )
    return "\n".join(lines)


def train_command(dataset: Dataset, data_dir: str) -> str:
    """Returns the command that trains on the data set; unknown videos are resampled to their median length."""
    name = dataset.name
    words = ["python", "-m", "launch.train", f"--config={RECIPES.get(name, RECIPES['thumos14'])}"]
    words.append(f"--workdir=runs/{name}")
    if name not in RECIPES:
        median = int(np.median([video.num_snippets for video in dataset.train.videos]))
        words += [f"--config.data.name={name}", "--config.eval.protocol=seconds", f"--config.train.snippets={median}"]
    if data_dir != _DATA_DIR.default:
        words.append(f"--config.data.data_dir={data_dir}")
    return shlex.join(words)


if __name__ == "__main__":
    cli.run(main)
