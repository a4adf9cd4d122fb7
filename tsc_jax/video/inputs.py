"""Which videos a user means: files, folders of them, folders of frames, and lists of all these."""

import collections
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from tsc_jax.errors import InputError, InputWarning
from tsc_jax.files import local_path
from tsc_jax.video.frames import FrameFolder, is_picture

SUFFIXES = (
    ".3g2", ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg",
    ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
)  # fmt: skip
Video = Path | FrameFolder


def files_in(folder: Path) -> list[Path]:
    """Lists the files in a folder and those below it, by name; hidden files and folders do not count."""
    below = [file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file()]
    return [folder / file for file in below if not any(part.startswith(".") for part in file.parts)]


def is_video(path: Path) -> bool:
    """Returns whether a file is a video, by its suffix."""
    return path.suffix.lower() in SUFFIXES


def videos_in(folder: Path, frames_per_second: float | None) -> list[Video]:
    """Lists the video files in a folder and those below it; if there are none, the folders of frames.

    Warns with `InputWarning` how many files beside the videos are left out. Raises InputError if there are frames, but
    `frames_per_second` is None.
    """
    files = files_in(folder)
    if videos := [file for file in files if is_video(file)]:
        others = collections.Counter(file.suffix.lower() or "without suffix" for file in files if not is_video(file))
        if others:
            kinds = ", ".join(f"{number} {suffix}" for suffix, number in others.most_common())
            warnings.warn(InputWarning(f"{folder}: files that are no videos are left out: {kinds}"), stacklevel=2)
        return videos
    folders = list(dict.fromkeys(file.parent for file in files if is_picture(file)))
    if folders and frames_per_second is None:
        raise InputError(f"{folders[0]}: has pictures, the frames of a video; give --frames_per_second")
    return [FrameFolder(each, frames_per_second) for each in folders]


def find_videos(paths: Sequence[str], frames_per_second: float | None) -> list[Video]:
    """Lists the videos that paths name, each once: files as they are, and what `videos_in` finds in folders.

    Raises InputError if a folder has none, and as `videos_in` does.
    """
    videos = []
    for path in map(Path, paths):
        found = videos_in(path, frames_per_second) if path.is_dir() else [path]
        if not found:
            raise InputError(f"{path}: this folder has no videos and no frames")
        videos += found
    return list(dict.fromkeys(videos))


def given_paths(arguments: Sequence[str], list_file: str | None) -> list[str]:
    """Returns the paths among the arguments of a command, and those in the lines of its --inputs.

    Raises InputError if there are none.
    """
    paths = list(arguments)
    if list_file is not None:
        lines = os.fsdecode(Path(list_file).read_bytes().removeprefix(b"\xef\xbb\xbf")).split("\n")
        paths += [local_path(line.strip(), f"--inputs {list_file}, ") for line in lines if line.strip()]
    if not paths:
        raise InputError("found no inputs, expected arguments or --inputs, a file with a path in each line")
    return paths
