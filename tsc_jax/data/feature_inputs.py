"""The videos whose features lie in a file or folder, without annotations."""

import dataclasses
from collections import defaultdict
from pathlib import Path

import numpy as np

from tsc_jax.data.feature_files import HDF5, STREAMS, SUFFIXES, Piece, find_pieces
from tsc_jax.data.locate import Located, bare, read_located
from tsc_jax.data.names import as_name
from tsc_jax.errors import stop


@dataclasses.dataclass(frozen=True)
class Features:
    """The features of one video; its streams are joined."""

    stem: str  # its name: the path of its file below the given folder, without suffix and without rgb/, train/ ...
    located: tuple[Located, ...]

    def __str__(self) -> str:
        return " and ".join(piece.origin for _, piece in self.located)

    def read(self) -> np.ndarray:
        """Returns float32 [T, D]; raises InputError for a damaged or invalid file."""
        return read_located(self.located, "both", stop)


def is_features(path: Path) -> bool:
    """Returns whether the file is one of features, by its suffix."""
    return path.suffix.lower() in SUFFIXES


def features_in(path: Path) -> list[Features]:
    """Lists the videos in a folder and those below, or in a file of features of one video or of many."""
    many = path.is_dir() or path.suffix.lower() in (".npz", *HDF5)
    pieces = (find_pieces(path, (), stop)[0] if many else []) or ([] if path.is_dir() else [Piece(path.stem, path)])
    streams = defaultdict(dict)
    for piece in pieces:
        folders = piece.key.split("/")[:-1]
        kind = next((kind for kind in STREAMS if kind in folders), "")
        streams[as_name(bare(piece.key))].setdefault(kind, []).append(piece)
    videos = []
    for name, kinds in sorted(streams.items()):
        videos += [Features(name, (("", piece),)) for piece in kinds.get("", ())]
        if "" not in kinds:
            videos.append(Features(name, tuple((kind, kinds[kind][0]) for kind in STREAMS if kind in kinds)))
    return videos
