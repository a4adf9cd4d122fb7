"""Finds the features of each video among the files of a folder."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from tsc_jax.data.feature_files import STREAMS, SUFFIXES, Piece
from tsc_jax.data.features import check_features
from tsc_jax.data.names import Nearest, as_name
from tsc_jax.data.source import SPLITS
from tsc_jax.errors import InputError, Refuse

PREFIX = "v_"  # of files of ActivityNet, which its annotations do not have

Located = tuple[str, Piece]  # "rgb", "flow", or "" for a piece that is no stream by its place


class Locator:
    """The pieces below `root`, by video. A piece that has the name of one of the `videos` is no other's."""

    def __init__(self, root: Path, pieces: Sequence[Piece], others: Sequence[Path], videos: Collection[str]):
        self._root, self._pieces, self._others, self._videos = root, pieces, others, set(videos)
        self._by_key, self._by_stem = defaultdict(list), defaultdict(list)
        for piece in pieces:
            self._by_key[piece.key].append(piece)
            self._by_stem[piece.key.rpartition("/")[2]].append(piece)
        self._used, self._nearest = set(), None

    def find(self, name: str, split: str, modality: str) -> list[Located]:
        """Returns the piece of a video, else its streams; RGB first.

        Its place is features/[SPLIT/], with rgb/ or flow/ below or above SPLIT/, or, where only one is there, any
        folder. Raises InputError if there is none, or more than one.
        """
        other = name.removeprefix(PREFIX) if name.startswith(PREFIX) else PREFIX + name
        candidates = [name] if other in self._videos else [name, other]
        streams = STREAMS if modality == "both" else (modality,)
        for search in (self._at, self._anywhere):
            for candidate in candidates:
                kinds = {kind: search(candidate, split, kind) for kind in ("", *streams)}
                found = {"": kinds[""]} if kinds[""] else {kind: kinds[kind] for kind in streams if kinds[kind]}
                if found:
                    return [(kind, self._only(name, pieces)) for kind, pieces in found.items()]
        raise self._missing(name, split)

    def _at(self, name: str, split: str, kind: str) -> list[Piece]:
        places = [f"{split}/{kind}/{name}", f"{kind}/{split}/{name}", f"{kind}/{name}", f"{name}/{kind}"]
        places = places if kind else [f"{split}/{name}", name]
        return next((self._by_key[place] for place in places if place in self._by_key), [])

    def _anywhere(self, name: str, split: str, kind: str) -> list[Piece]:
        same = {piece: set(piece.key.split("/")[:-1]) for piece in self._by_stem.get(name.rpartition("/")[2], ())}
        if not kind and any(folders & set(STREAMS) for folders in same.values()):
            return []
        wrong, wanted = {*SPLITS} - {split}, {kind} - {""}
        return [
            piece
            for piece, folders in same.items()
            if wanted <= folders and not wrong & folders and bare(piece.key) not in self._videos
        ]

    def _only(self, name: str, pieces: list[Piece]) -> Piece:
        if len(pieces) > 1:
            both = " and ".join(piece.origin for piece in pieces[:2])
            raise InputError(f'{both} are features of video "{name}", expected one file', "repeated_names")
        self._used.add(pieces[0])
        return pieces[0]

    def _missing(self, name: str, split: str) -> InputError:
        sentence = f'{self._root}: no features of video "{name}", '
        for file in self._others:
            if as_name(file.stem) in (name, PREFIX + name):
                return InputError(f"{sentence}because {file.name} is none of {', '.join(SUFFIXES)}", "missing")
        if self._nearest is None:
            self._nearest = Nearest(bare(piece.key) for piece in self._pieces if bare(piece.key) not in self._videos)
        if near := self._nearest.to(name):
            self._used.update(piece for piece in self._pieces if bare(piece.key) == near[0])
            return InputError(f'{sentence}but of "{near[0]}", which differs in {near[1]}', "near_names")
        return InputError(f"{sentence}expected {split}/{name}.npy, or files in rgb/ and flow/", "missing")

    def unused(self) -> list[str]:
        """Returns the files that belong to no video."""
        stems = self._videos | {video.rpartition("/")[2] for video in self._videos}
        pieces = (piece for piece in self._pieces if piece not in self._used)
        strange = [piece.origin for piece in pieces if not {bare(piece.key), piece.key.rpartition("/")[2]} & stems]
        return sorted(dict.fromkeys([*strange, *map(str, self._others)]))


def bare(key: str) -> str:
    """Returns the key of a piece without the folders of subsets and streams."""
    *folders, name = key.split("/")
    return "/".join([*(folder for folder in folders if folder not in (*SPLITS, *STREAMS)), name])


def read_located(located: Sequence[Located], modality: str, refuse: Refuse) -> np.ndarray:
    """Returns the features of a video, its streams joined, as float32 [T, D]; raises InputError for invalid ones."""
    parts, origins = [], []
    for kind, piece in located:
        arrays = piece.read()
        for name in sorted(arrays, key=lambda name: (*STREAMS, name).index(name)):
            stream = kind or (name if name in STREAMS else "")
            if modality in ("both", stream) or not stream:
                parts.append(check_features(arrays[name], piece.origin, "both" if stream else modality, refuse))
                origins.append(piece.origin)
    if not parts:
        raise InputError(f"{located[0][1].origin}: holds no {modality} features", "feature_arrays")
    first, last = len(parts[0]), len(parts[-1])
    # RGB and flow are cut into snippets separately, so that one of them may lack the last snippet.
    if abs(first - last) > 1:
        raise InputError(f"{origins[-1]}: has {last} snippets, but {origins[0]} has {first}", "feature_arrays")
    return np.concatenate([part[: min(first, last)] for part in parts], axis=1)
