"""Reads the "joint" layout: NAME-I3D-JOINTFeatures.npy with the features of all videos, and NAME-Annotations/."""

import dataclasses
import functools
from pathlib import Path

from tsc_jax.data import annotations
from tsc_jax.data.features import check_features
from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import SPLITS, Source, SourceVideo, labels_of
from tsc_jax.errors import InputError, Refuse, attempt, stop

# Names of the training and test subsets: of THUMOS-14 and data sets in its form, and of ActivityNet.
SUBSETS = (("validation", "test"), ("training", "validation"))
FEATURES, ANNOTATIONS = "*-I3D-JOINTFeatures.npy", "*-Annotations"
SNIPPETS_PER_SECOND = 25 / 16  # the layout cannot express another rate; its extracted_fps.npy is wrong


def read_joint(
    directory: Path, subsets: tuple[str, str] | None = None, modality: str = "both", refuse: Refuse = stop
) -> Source:
    """Reads a data set in the joint layout; loads all features at once.

    `directory` holds one NAME-I3D-JOINTFeatures.npy and one NAME-Annotations/, or is the latter. `subsets` are the
    names of the training and test subsets; None stands for the pair of SUBSETS that occurs.

    `refuse` receives errors after which reading can go on, also those of features that are read later. Raises
    InputError for a missing or ambiguous file, features that do not match the annotations, or unknown subsets.
    """
    folder = directory if (directory / "videoname.npy").exists() else the_only(directory, ANNOTATIONS)
    videos = annotations.read_npy_folder(folder, refuse)
    present = {video.subset for video in videos}
    pairs = (subsets,) if subsets else SUBSETS
    pair = next((pair for pair in pairs if present.issuperset(pair)), None)
    if pair is None:
        known = " or ".join(" and ".join(pair) for pair in pairs)
        raise InputError(f"{folder / 'subset.npy'}: has the subsets {', '.join(sorted(present))}, expected {known}")
    videos = attempt(refuse, _with_features, videos, directory, folder, modality, refuse) or videos
    return Source(
        classes=attempt(refuse, annotations.read_classes, folder / "classlist.npy") or labels_of(videos),
        snippets_per_second=SNIPPETS_PER_SECOND,
        splits={
            split: tuple(video for video in videos if video.subset == subset)
            for split, subset in zip(SPLITS, pair, strict=True)
        },
        unlisted=tuple(video.name for video in videos if video.subset not in pair),
        origins={split: f"{folder / 'videoname.npy'}, {split} subset" for split in SPLITS}
        | {"classes": str(folder / "classlist.npy")},
    )


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
