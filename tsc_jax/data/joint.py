"""Reads the "joint" layout: NAME-I3D-JOINTFeatures.npy with the features of all videos, and NAME-Annotations/."""

import dataclasses
import functools
from pathlib import Path

from tsc_jax.data import annotations
from tsc_jax.data.features import check_features
from tsc_jax.data.options import Options
from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import SPLITS, Source, SourceVideo, labels_of, sound
from tsc_jax.data.subsets import choose_subsets, subset_of
from tsc_jax.data.timing import META, UNKNOWN, Timing, read_timing, with_timing
from tsc_jax.errors import InputError, Refuse, attempt, stop

FEATURES, ANNOTATIONS = "*-I3D-JOINTFeatures.npy", "*-Annotations"
SNIPPETS_PER_SECOND = 25 / 16  # of the published features; extracted_fps.npy beside them is wrong
ALL_FEATURES = Options()


def read_joint(directory: Path, options: Options = ALL_FEATURES, refuse: Refuse = stop) -> Source:
    """Reads a data set in the joint layout; loads all features at once.

    `directory` holds one NAME-I3D-JOINTFeatures.npy and one NAME-Annotations/, or is the latter; meta.json may give
    the values of `Timing`.

    `refuse` receives errors after which reading can go on, also those of features that are read later. Raises
    InputError for a missing or ambiguous file, features that do not match the annotations, or unknown subsets.
    """
    folder = directory if (directory / "videoname.npy").exists() else the_only(directory, ANNOTATIONS)
    videos = annotations.read_npy_folder(folder, refuse)
    where = folder / "subset.npy"
    pair = dict(zip(SPLITS, choose_subsets(videos, options.subsets, options.known_subsets, where), strict=True))
    videos = attempt(refuse, _with_features, videos, directory, folder, options.modality, refuse) or videos
    source = Source(
        classes=attempt(refuse, annotations.read_classes, folder / "classlist.npy") or labels_of(videos),
        snippets_per_second=None,
        splits={
            split: tuple(sound((video for video in videos if subset_of(video) == pair[split]), refuse))
            for split in SPLITS
        },
        unlisted=tuple(video for video in videos if subset_of(video) not in pair.values()),
        origins={split: f"{folder / 'videoname.npy'}, {split} subset" for split in SPLITS}
        | {"classes": str(folder / "classlist.npy")},
    )
    meta = (directory / META).exists() and attempt(refuse, annotations.load_json, directory / META, refuse)
    timing = attempt(refuse, read_timing, directory, meta or {}) or UNKNOWN
    timing = timing.over(Timing(snippets_per_second=SNIPPETS_PER_SECOND))
    return attempt(refuse, with_timing, source, options.timing.over(timing)) or source


def _with_features(
    videos: list[SourceVideo], directory: Path, folder: Path, modality: str, refuse: Refuse
) -> list[SourceVideo]:
    file = the_only(directory, FEATURES)
    features = load_npy(file)
    if features.shape[:1] != (len(videos),):
        raise InputError(f"{file}: holds shape {features.shape}, but {folder} has {len(videos)} videos")
    complete = []
    for video, array in zip(videos, features, strict=True):
        origin = f'{file}, video "{video.name}"'
        read = functools.partial(check_features, array, origin, modality, refuse)
        complete.append(dataclasses.replace(video, read_features=read, origin=origin))
    return complete


def the_only(directory: Path, pattern: str) -> Path:
    """Returns the file that matches the pattern; raises InputError for none or several."""
    matches = sorted(directory.glob(pattern))
    if len(matches) != 1:
        names = ", ".join(path.name for path in matches) or "none"
        about = "unusable" if matches else "no_features"
        raise InputError(f"{directory}: expected one {pattern}, found {names}", about)
    return matches[0]
