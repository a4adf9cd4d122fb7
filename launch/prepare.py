"""Prepares a data set: writes it in the form that training and evaluation read.

python -m launch.prepare --name watch_workouts
python -m launch.prepare --name thumos14 --source DIR
python -m launch.prepare --name mine --source DIR --skip_missing
"""

import dataclasses
import shlex
from pathlib import Path

import numpy as np
from absl import flags

from tsc_jax import cli
from tsc_jax.commands import called_here
from tsc_jax.data.builder import config_of, prepare, prepared_folder
from tsc_jax.data.checks import mostly_past_end
from tsc_jax.data.dataset import Dataset, open_dataset
from tsc_jax.data.joint import read_joint
from tsc_jax.data.layouts import detect_layout
from tsc_jax.data.options import Options
from tsc_jax.data.per_video import read_per_video
from tsc_jax.data.source import SPLITS, Source
from tsc_jax.errors import InputError
from tsc_jax.launch import data_flags

_NAME = flags.DEFINE_string(
    "name", None, "Name of the data set; watch_workouts and watch_sessions are embedded.", required=True
)
_SOURCE = flags.DEFINE_string("source", None, "Folder that holds the data set.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Folder for prepared data sets.")
_SKIP = flags.DEFINE_bool("skip_missing", False, "Whether to leave out listed videos that have no features.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Whether to replace an existing data set.")

RECIPES = {"watch_workouts": "configs/demo.py"} | {
    name: f"configs/{name}.py" for name in ("thumos14", "activitynet12", "activitynet13")
}


def main(argv: list[str]) -> None:
    """Runs the command."""
    del argv
    name, data_dir = _NAME.value, _DATA_DIR.value
    folder = prepared_folder(data_dir, name)
    options, skipped = data_flags.options(), []
    check_flags()
    written = prepare(lambda: read_source(options, skipped), name, data_dir, _OVERWRITE.value)
    print(f"{folder}: prepared" if written else f"{folder}: already there (--overwrite prepares it anew)")
    if skipped:
        names = ", ".join([*skipped[:5], *["..."] * (len(skipped) > 5)])
        what = "video has no features and was" if len(skipped) == 1 else "videos have no features and were"
        print(f"{len(skipped)} listed {what} left out: {names}")
    dataset = open_dataset(data_dir, name)
    print(describe(dataset))
    print(f"next: {called_here(train_command(dataset, data_dir))}")


def check_flags() -> None:
    """Raises InputError if --layout and --source do not match --name."""
    given = [flag.name for flag in (data_flags.LAYOUT, _SOURCE) if flag.value is not None]
    if config_of(_NAME.value).read_embedded:
        if given:
            raise InputError(f"--{given[0]} was given, but {_NAME.value} is embedded and takes none")
    elif _SOURCE.value is None:
        raise InputError(f"--name {_NAME.value} needs --source DIR")
    elif not Path(_SOURCE.value).is_dir():
        raise InputError(f"--source {_SOURCE.value}: no such folder")


def read_source(options: Options, skipped: list[str]) -> Source:
    """Reads the data set that the flags name; adds the names of videos that --skip_missing leaves out to `skipped`."""
    known = config_of(_NAME.value)
    if known.read_embedded:
        return known.read_embedded()
    directory = Path(_SOURCE.value)
    layout = data_flags.LAYOUT.value or detect_layout(directory)
    options = dataclasses.replace(options, known_subsets=known.subsets)

    def refuse(error: InputError) -> None:
        if not (_SKIP.value and error.about == "missing"):
            raise error

    source = (read_joint if layout == "joint" else read_per_video)(directory, options, refuse)
    videos = [video for split in SPLITS for video in source.splits[split]]
    skipped += [video.name for video in videos if video.read_features is None]
    splits = {split: tuple(video for video in source.splits[split] if video.read_features) for split in SPLITS}
    return dataclasses.replace(source, splits=splits)


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
    videos = (*dataset.train.videos, *dataset.test.videos)
    rates = sorted({video.snippets_per_second for video in videos})
    rate = " to ".join(f"{each:g}" for each in dict.fromkeys((rates[0], rates[-1])))
    offset = float(np.median([video.offset for video in videos]))
    lines.append(f"width {dataset.width}, {rate} snippets per second{f', from {offset:.3g} s on' if offset else ''}")
    lines.append(f"{len(dataset.classes)} classes: {', '.join(dataset.classes)}")
    fitting = sum(video.rate_fits for video in videos)
    if fitting < len(videos) / 2:
        covered = np.median([video.num_snippets / video.snippets_per_second / video.duration for video in videos])
        lines.append(
            f"warning: at {rate} snippets per second, the snippets last {covered:.2f} times as long as the videos"
            f" (median); {fitting} of {len(videos)} videos fit. If the rate is wrong, all results in seconds are"
            " wrong: launch.doctor says what would fit; prepare again with --snippets_per_second and --overwrite"
        )
    if mostly_past_end([(end, video.duration) for video in dataset.test.videos for _, end in video.segments]):
        lines.append(
            "warning: most segments of the test videos end after their video; if their times are in frames, write"
            " seconds and prepare again with --overwrite"
        )
    if not dataset.test.has_segments:
        lines.append("note: no test video has a segment, so that there will be predictions, but no mAP")
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
