"""Reads the "per_video" layout: features in files of their own, annotations as JSON, and lists or subsets of videos."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from tsc_jax.data import annotations
from tsc_jax.data.feature_files import HDF5, SUFFIXES, find_pieces
from tsc_jax.data.locate import Locator, read_located
from tsc_jax.data.options import Options
from tsc_jax.data.source import SPLITS, Source, SourceVideo, labels_of, sound
from tsc_jax.data.subsets import choose_subsets, subset_of
from tsc_jax.data.timing import FPS, META, UNKNOWN, read_timing, with_timing
from tsc_jax.errors import InputError, Refuse, attempt, stop

ALL_FEATURES = Options()


def read_per_video(directory: Path, options: Options = ALL_FEATURES, refuse: Refuse = stop) -> Source:
    """Reads a data set whose features are in files of one video each, or in one HDF5 or .npz file of many.

    Features are loaded later, video by video. docs/your-own-data.md describes the files. split_train.txt and
    split_test.txt say which videos are in which subset; without both of them the annotations do. meta.json may give
    the classes and the values of `Timing`, fps_dict.json the frames per second of the videos.

    `refuse` receives errors after which reading can go on, also those of features that are read later. Raises
    InputError for a missing file, or a listed video without annotation.
    """
    files = options.annotations or (find_annotations(directory),)
    annotated = {video.name: video for video in _read_annotations(files, refuse)}
    meta_file = directory / META
    meta = (meta_file.exists() and attempt(refuse, annotations.load_json, meta_file, refuse)) or {}
    names, origins = _names_of_splits(directory, annotated, options, files[0], refuse)
    videos = {split: sound((annotated[name] for name in names[split] if name in annotated), refuse) for split in SPLITS}
    listed = {name for split in SPLITS for name in names[split]}
    origins |= {"rate": str(meta_file)}
    classes = meta.get("classes", [])
    if not isinstance(classes, list):
        refuse(InputError(f'{meta_file}: "classes" is {classes!r}, expected a list of names'))
        classes = []
    classes = attempt(refuse, annotations.as_labels, classes, meta_file)
    origins["classes"] = str(meta_file if classes else files[0])
    source = Source(
        classes=classes or labels_of(video for name, video in annotated.items() if not video.faults or name in listed),
        snippets_per_second=None,
        splits={split: tuple(videos[split]) for split in SPLITS},
        unlisted=tuple(video for name, video in annotated.items() if name not in listed),
        extractor=meta.get("extractor"),
        origins=origins,
    )
    source = _with_features(source, directory, annotated.keys() | listed, options, refuse)
    timing = attempt(refuse, read_timing, directory, meta) or UNKNOWN
    return attempt(refuse, with_timing, source, options.timing.over(timing)) or source


def find_annotations(directory: Path) -> Path:
    """Returns gt.json, else the only other JSON file there or in annotations/; raises InputError for several."""
    if (directory / "gt.json").exists():
        return directory / "gt.json"
    files = [file for file in (*directory.glob("*.json"), *directory.glob("annotations/*.json"))]
    files = sorted(file for file in files if file.name not in (META, FPS) and not file.name.startswith("."))
    if len(files) > 1:
        names = ", ".join(str(file.relative_to(directory)) for file in files[:4])
        raise InputError(f"{directory}: holds {names}; give --annotations=FILE, or --annotations=TRAIN.json,TEST.json")
    return files[0] if files else directory / "gt.json"


def find_features(directory: Path) -> Path:
    """Returns features/, else the only folder or file of many videos with features; raises InputError for several."""
    if (directory / "features").is_dir():
        return directory / "features"
    children = [each for each in sorted(directory.glob("*")) if not each.name.startswith(".")]
    found = [each for each in children if each.is_dir() and "feat" in each.name.casefold()]
    found += [each for each in children if each.suffix.lower() in (".npz", *HDF5)]
    if len(found) > 1:
        names = ", ".join(each.name for each in found[:4])
        raise InputError(f"{directory}: holds {names}; give --features=FOLDER", "no_features")
    if found:
        return found[0]
    if any(each.is_dir() and each.name.casefold() in ("train", "test", "rgb", "flow") for each in children):
        return directory
    if any(each.suffix.lower() in SUFFIXES for each in children):
        return directory
    raise InputError(f"{directory / 'features'}: no such folder, expected the features of the videos", "no_features")


def _read_annotations(files: Sequence[Path], refuse: Refuse) -> list[SourceVideo]:
    """Reads one file, or one of the training and one of the test videos."""
    if len(files) == 1:
        return annotations.read_json(files[0], refuse)
    return [
        dataclasses.replace(video, subset=split)
        for split, file in zip(SPLITS, files, strict=True)
        for video in annotations.read_json(file, refuse)
    ]


def _names_of_splits(
    directory: Path, annotated: Mapping[str, SourceVideo], options: Options, file: Path, refuse: Refuse
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Returns the names of the videos of each split, and where they stand, for messages."""
    lists = {split: directory / f"split_{split}.txt" for split in SPLITS}
    if not any(each.exists() for each in lists.values()) or options.subsets:
        known = options.known_subsets if len(options.annotations) < len(SPLITS) else SPLITS
        where = f"{file}, without split_train.txt and split_test.txt,"
        pair = dict(zip(SPLITS, choose_subsets([*annotated.values()], options.subsets, known, where), strict=True))
        names = {split: [name for name in annotated if subset_of(annotated[name]) == pair[split]] for split in SPLITS}
        return names, {split: f'{file}, subset "{pair[split]}"' for split in SPLITS}
    names = {}
    for split, each in lists.items():
        names[split] = [name for name in attempt(refuse, annotations.read_lines, each) or () if name]
        for name in names[split]:
            if name not in annotated:
                refuse(InputError(f'{each}: video "{name}" is not in {file.name}', "unannotated"))
    return names, {split: str(each) for split, each in lists.items()}


def _with_features(source: Source, directory: Path, names: set[str], options: Options, refuse: Refuse) -> Source:
    root = options.features or attempt(refuse, find_features, directory)
    if root is None:
        return source
    pieces, others = find_pieces(root, names, refuse)
    locator = Locator(root, pieces, () if root == directory else others, names)

    def found(video: SourceVideo, split: str) -> SourceVideo:
        located = locator.find(video.name, split, options.modality)
        read = functools.partial(read_located, located, options.modality, refuse)
        origin = " and ".join(piece.origin for _, piece in located)
        return dataclasses.replace(video, read_features=read, origin=origin)

    splits = {
        split: tuple(attempt(refuse, found, video, split) or video for video in videos)
        for split, videos in source.splits.items()
    }
    return dataclasses.replace(source, splits=splits, unused=tuple(locator.unused()))
