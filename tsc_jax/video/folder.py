"""Turns many videos into a folder in the "per video" layout, which `tsc_jax.data.per_video` reads."""

import contextlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tqdm

from tsc_jax.data.annotations import load_json
from tsc_jax.data.features import check_features
from tsc_jax.data.pickles import load_npy
from tsc_jax.errors import InputError
from tsc_jax.files import replacing, write_text
from tsc_jax.video import decode, weights
from tsc_jax.video.extract import SNIPPETS_PER_SECOND, WIDTH, make_extractor

# Change this with every change of the features, so that old and new ones are not mixed.
_NAME = "I3D, RGB, Kinetics-400; 16 frames at 25 a second; 224 x 224 of a shorter side of 256"


def extract_folder(
    videos: Sequence[Path],
    output: Path,
    split: str | None = None,
    dtype: str = "float32",
    batch_size: int | None = None,
) -> int:
    """Writes features/VIDEO.npy, or features/SPLIT/VIDEO.npy, per video, and meta.json into `output`.

    Keeps complete files of earlier calls. Prints one line on stderr per video that cannot be used, and continues;
    returns the number of these videos. For `dtype` and `batch_size` see `make_extractor`.
    Raises InputError if a package is missing, `output` has features of another extractor, or two videos have one name.
    """
    meta = _meta(output, {"name": _NAME, "dtype": dtype, "weights_sha256": weights.SHA256})
    files = {video: output / "features" / (split or "") / f"{video.stem}.npy" for video in videos}
    owners = {file: video for video, file in files.items()}
    for video, file in files.items():
        if owners[file] != video:
            raise InputError(f"{video}: would write the same {file.name} as {owners[file]}; rename one of them")
    wanted = {video: file for video, file in files.items() if not _is_whole(file)}
    for video, file in files.items():
        if video not in wanted:
            print(f"{file}: already there")
    failures, extract = 0, make_extractor(dtype, batch_size) if wanted else None
    # disable=None: no bar unless stderr is a terminal
    with tqdm.tqdm(total=_expected(wanted), unit="snippet", dynamic_ncols=True, disable=None) as bar:
        for video, file in wanted.items():
            bar.set_description(video.stem)
            try:
                features = extract(video, bar.update)
            except InputError as error:
                failures += 1
                bar.write(str(error), sys.stderr)
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(output / "meta.json", f"{json.dumps(meta, indent=1)}\n")
            with replacing(file) as temporary, temporary.open("wb") as stream:
                np.save(stream, features)
            bar.write(f"{file}: {list(features.shape)}", sys.stdout)
            sys.stdout.flush()  # for readers of a redirected stream
    return failures


def _meta(output: Path, extractor: dict[str, str]) -> dict:
    """Returns the content for meta.json: its present content, the rate and the extractor."""
    path = output / "meta.json"
    meta = load_json(path) if path.exists() else {}
    before = meta.get("extractor")
    if isinstance(before, dict):
        for key, value in extractor.items():
            if before.get(key) != value:
                raise InputError(
                    f"--output {output}: has features of an extractor with {key} {before.get(key)!r}, expected"
                    f" {value!r}; give another folder"
                )
    elif any((output / "features").rglob("*.npy")):
        raise InputError(f"--output {output}: has features that launch.extract did not make; give another folder")
    rate = meta.get("snippets_per_second", SNIPPETS_PER_SECOND)
    if rate != SNIPPETS_PER_SECOND:
        raise InputError(f'{path}: "snippets_per_second" is {rate}, expected {SNIPPETS_PER_SECOND}')
    return meta | {"snippets_per_second": SNIPPETS_PER_SECOND, "extractor": extractor}


def _is_whole(path: Path) -> bool:
    try:
        return check_features(load_npy(path), str(path)).shape[1] == WIDTH
    except InputError:
        return False


def _expected(videos: Iterable[Path]) -> int:
    """Returns about how many snippets the videos have; extraction reports those that cannot be opened."""
    total = 0.0
    for video in videos:
        with contextlib.suppress(InputError):
            total += (decode.seconds(video) or 0) * SNIPPETS_PER_SECOND
    return round(total)
