"""Many videos -> a folder in the "per video" layout, which `tsc_jax.data.per_video` reads."""

import collections
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
import tqdm

from tsc_jax.data.annotations import load_json
from tsc_jax.data.features import check_features
from tsc_jax.data.pickles import load_npy
from tsc_jax.errors import InputError
from tsc_jax.files import replacing, write_text
from tsc_jax.video import decode, weights
from tsc_jax.video.extract import SNIPPETS_PER_SECOND, WIDTH, make_extractor

# Whoever changes what comes out of the pixels changes this, so that old and new features are not mixed.
_NAME = "I3D, RGB, Kinetics-400; 16 frames at 25 a second; 224 x 224 of a shorter side of 256"


def extract_folder(
    videos: Sequence[Path],
    output: Path,
    split: str | None = None,
    dtype: str = "float32",
    batch_size: int | None = None,
) -> int:
    """Writes features/VIDEO.npy, or features/SPLIT/VIDEO.npy, for each video, and meta.json.

    What is there already and whole stays. A video that cannot be used does not stop the others: what is wrong with it
    is one line on stderr.

    Args:
      videos: files, each once; their names without the ending are the videos' names.
      output: folder of the data set; made if need be.
      split: "train" or "test", or None for videos that belong to none yet.
      dtype: see `make_extractor`.
      batch_size: see `make_extractor`.

    Returns:
      How many videos have no features.

    Raises:
      InputError: a package is missing; `output` holds features of another extractor.
    """
    features = output / "features" / (split or "")
    meta = _meta(output, {"name": _NAME, "dtype": dtype, "weights_sha256": weights.SHA256})
    videos, failures = _named_apart(videos)
    files = {video: features / f"{video.stem}.npy" for video in videos}
    wanted = [video for video in videos if not _is_whole(files[video])]
    for video in (video for video in videos if video not in wanted):
        print(f"{files[video]}: already there")
    extract = make_extractor(dtype, batch_size) if wanted else None
    # On a terminal alone; elsewhere the lines tell how far it is.
    with tqdm.tqdm(total=_expected(wanted), unit="snippet", dynamic_ncols=True, disable=None) as bar:
        for video in wanted:
            bar.set_description(video.stem)
            try:
                array = extract(video, bar.update)
            except InputError as error:
                failures.append(str(error))
                _say(bar, str(error), sys.stderr)
                continue
            features.mkdir(parents=True, exist_ok=True)
            write_text(output / "meta.json", f"{json.dumps(meta, indent=1)}\n")
            with replacing(files[video]) as temporary, temporary.open("wb") as file:
                np.save(file, array)
            _say(bar, f"{files[video]}: {list(array.shape)}", sys.stdout)
    return len(failures)


def _say(bar: tqdm.tqdm, line: str, stream: TextIO) -> None:
    """Prints a line above the bar, at once even into a file."""
    bar.write(line, stream)
    stream.flush()


def _named_apart(videos: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The videos whose features files have names of their own, and a printed sentence for each of the others."""
    groups = collections.defaultdict(list)
    for video in videos:
        groups[video.stem].append(video)
    failures = [
        f"{video}: {next(other for other in groups[video.stem] if other != video)} has the same name before the ending,"
        f" and with it the same features file {video.stem}.npy; rename one of them"
        for video in videos
        if len(groups[video.stem]) > 1
    ]
    for failure in failures:
        print(failure, file=sys.stderr)
    return [video for video in videos if len(groups[video.stem]) == 1], failures


def _meta(output: Path, extractor: dict[str, str]) -> dict:
    """What meta.json is to hold: what it holds already, the rate and the extractor."""
    path = output / "meta.json"
    meta = load_json(path) if path.exists() else {}
    found = meta.get("extractor")
    if not isinstance(found, dict) and any((output / "features").rglob("*.npy")):
        raise InputError(f"--output {output}: holds features that were not made here; give another folder")
    for key, value in extractor.items():
        if isinstance(found, dict) and found.get(key) != value:
            raise InputError(
                f"--output {output}: holds features of an extractor with {key} {found.get(key)!r}, now it is {value!r};"
                " give another folder"
            )
    rate = meta.get("snippets_per_second", SNIPPETS_PER_SECOND)
    if rate != SNIPPETS_PER_SECOND:
        raise InputError(f'{path}: "snippets_per_second" is {rate}, but here it is {SNIPPETS_PER_SECOND}')
    return meta | {"snippets_per_second": SNIPPETS_PER_SECOND, "extractor": extractor}


def _is_whole(path: Path) -> bool:
    try:
        return check_features(load_npy(path), str(path)).shape[1] == WIDTH
    except InputError:
        return False


def _expected(videos: Sequence[Path]) -> int:
    """About how many snippets there are to compute."""
    total = 0.0
    for video in videos:
        try:
            total += (decode.seconds(video) or 0) * SNIPPETS_PER_SECOND
        except InputError:
            continue  # said when its turn comes
    return round(total)
