"""Turns many videos into a folder in the "per video" layout, which `tsc_jax.data.per_video` reads."""

import contextlib
import errno
import json
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tqdm

from tsc_jax.data.annotations import load_json
from tsc_jax.data.features import check_features
from tsc_jax.data.pickles import load_npy
from tsc_jax.errors import InputError
from tsc_jax.files import LONGEST_NAME, replacing, write_text
from tsc_jax.video.extract import SNIPPETS_PER_SECOND, WIDTH, account, expected_snippets, make_extractor
from tsc_jax.video.inputs import Video


def extract_folder(
    videos: Sequence[Video],
    output: Path,
    split: str | None = None,
    dtype: str = "float32",
    batch_size: int | None = None,
) -> int:
    """Writes features/VIDEO.npy, or features/SPLIT/VIDEO.npy, per video, and meta.json into `output`.

    Keeps complete files of earlier calls. Prints one line on stderr per video that cannot be used, and continues;
    returns the number of these videos. For `dtype` and `batch_size` see `make_extractor`. Raises InputError if a
    package is missing, `output` has features of another extractor, or two videos have one name.
    """
    account_now = account(dtype)
    _meta(output, account_now)
    files = {video: output / "features" / (split or "") / f"{video.stem}.npy" for video in videos}
    owners = {}
    for video, file in files.items():
        # Some file systems, and the annotations, do not tell the two spellings of an accented letter apart.
        if (owner := owners.setdefault(unicodedata.normalize("NFC", str(file)), video)) != video:
            raise InputError(f"{video}: would write the same {file.name} as {owner}; rename one of them")
    failures, wanted = {}, {}
    for video, file in files.items():
        with _noting(video, failures):
            if (size := len(os.fsencode(file.name))) > LONGEST_NAME:
                raise InputError(
                    f"{video}: File name too long: {file.name} has {size} bytes, at most {LONGEST_NAME} fit"
                )
            if _is_whole(file):
                print(f"{file}: already there")
            else:
                wanted[video] = file
    extract = make_extractor(dtype, batch_size) if wanted else None
    # disable=None: no bar unless stderr is a terminal
    with tqdm.tqdm(total=expected_snippets(wanted), unit="snippet", dynamic_ncols=True, disable=None) as bar:
        for video, file in wanted.items():
            bar.set_description(video.stem)
            with _noting(video, failures):
                features = extract(video, bar.update)
                _write(output, file, features, account_now)
                bar.write(f"{file}: {list(features.shape)}", sys.stdout)
                sys.stdout.flush()  # for readers of a redirected stream
    return len(failures)


@contextlib.contextmanager
def _noting(video: Video, failures: dict[Video, str]) -> Iterator[None]:
    """Turns an error of one video into a sentence on stderr and in `failures`; a full disk is an error of all."""
    try:
        yield
    except (InputError, OSError) as error:
        reason = error if isinstance(error, OSError) else error.__cause__
        if isinstance(reason, OSError) and reason.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        failures[video] = str(error) if isinstance(error, InputError) else f"{video}: {error.strerror or error}"
        tqdm.tqdm.write(failures[video], sys.stderr)


def _write(output: Path, file: Path, features: np.ndarray, extractor: dict[str, str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    meta = _meta(output, extractor)  # once more: another process may have written it meanwhile
    if not (output / "meta.json").exists() or load_json(output / "meta.json") != meta:
        write_text(output / "meta.json", f"{json.dumps(meta, indent=1)}\n")
    with replacing(file) as temporary, temporary.open("wb") as stream:
        np.save(stream, features)


def _meta(output: Path, extractor: dict[str, str]) -> dict:
    """Returns the content for meta.json: its present content, the rate and the extractor."""
    path = output / "meta.json"
    # Looked up first: a process that extracts beside this one writes meta.json before the first features.
    is_empty = not any((output / "features").rglob("*.npy"))
    meta = load_json(path) if path.exists() else {}
    before = meta.get("extractor")
    if isinstance(before, dict):
        for key, value in extractor.items():
            if before.get(key) != value:
                raise InputError(
                    f"--output {output}: has features of an extractor with {key} {before.get(key)!r}, expected"
                    f" {value!r}; give another folder"
                )
    elif not is_empty:
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
