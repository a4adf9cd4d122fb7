"""Files of snippet features: .npy, .npz, .csv and HDF5, of one video each or of many.

A piece is the features of one video or of one of its streams, RGB or flow. Its key is its path below the folder of all
features, without suffix; in a file of many videos, the path inside that file goes on behind.
"""

import dataclasses
import functools
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np

from tsc_jax.data.names import as_name
from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import SPLITS
from tsc_jax.errors import InputError, Refuse, attempt
from tsc_jax.unpickle import opened

STREAMS = ("rgb", "flow")
HDF5 = (".h5", ".hdf5")
SUFFIXES = (".npy", ".npz", ".csv", *HDF5)
FOLDERS = (*STREAMS, *SPLITS)  # whose capital letters do not matter
ALONE = ("features", "feats")  # the array of a file of one video that has further ones

Arrays = Mapping[str, np.ndarray]  # by stream, or one array under any other name


@dataclasses.dataclass(frozen=True)
class Piece:
    """The features of a video in a file."""

    key: str
    file: Path
    inside: str | None = None  # path of the array in a file of many videos; None: the file is of one video

    @property
    def origin(self) -> str:
        """Returns the file, and the place in it, for messages."""
        return str(self.file) if self.inside is None else f"{self.file}, {self.inside}"

    def read(self) -> Arrays:
        """Returns its arrays; raises InputError for a damaged file, or one that holds several without streams."""
        if self.inside is not None:
            return {"": _read_from(self.file)(self.file, self.inside)}
        arrays = _arrays(self.file)
        if len(arrays) > 1 and not set(arrays) <= set(STREAMS):
            names = ", ".join(sorted(arrays)[:5])
            raise InputError(f"{self.file}: holds the arrays {names}, expected one, or rgb and flow", "feature_arrays")
        return {name: read() for name, read in arrays.items()}


def find_pieces(root: Path, videos: Collection[str], refuse: Refuse) -> tuple[list[Piece], list[Path]]:
    """Lists the features in a folder, or in one file of many videos, and the files that cannot be read.

    A file named as one of `videos` is of that video alone; otherwise it is opened to see whether it holds many. Reads
    no features.
    """
    if not root.is_dir():
        return [piece for piece in attempt(refuse, _inside, root, "", videos) or ()], []
    pieces, others = [], []
    for file in sorted(root.rglob("*")):
        if file.name.startswith(".") or not file.is_file():
            continue
        if file.suffix.lower() not in SUFFIXES:
            others.append(file)
            continue
        *folders, name = file.relative_to(root).with_suffix("").parts
        key = "/".join([*map(_as_folder, folders), as_name(name)])
        many = file.suffix.lower() in (".npz", *HDF5) and as_name(name) not in videos and key not in videos
        pieces += (many and attempt(refuse, _inside, file, key, videos)) or [Piece(key, file)]
    return pieces, others


def _as_folder(name: str) -> str:
    known = name.casefold()
    return known if known in FOLDERS else as_name(name)


def _inside(file: Path, key: str, videos: Collection[str]) -> list[Piece]:
    """Returns the pieces in a file of many videos; none for the file of one video."""
    if not file.exists():
        raise InputError(f"{file}: no such file or folder, expected features", "no_features")
    if file.suffix.lower() not in (".npz", *HDF5):
        raise InputError(f"{file}: is no folder, and no .npz or HDF5 file of many videos", "no_features")
    names = list(_arrays(file))
    groups = Counter(name.rpartition("/")[0] for name in names)
    # The only array of a group is named after the extractor, and the group after the video.
    inner = {name: group if (group := name.rpartition("/")[0]) and groups[group] == 1 else name for name in names}
    if set(names) <= set(STREAMS) or (len(names) == 1 and as_name(inner[names[0]]) not in videos):
        return []
    folder, _, stem = key.rpartition("/")
    place = key if stem.casefold() in FOLDERS else folder
    return [Piece(f"{place}/{as_name(inner[name])}".lstrip("/"), file, name) for name in names]


def _arrays(file: Path) -> dict[str, Callable[[], np.ndarray]]:
    """Returns what reads each array of a file, by its path in the file."""
    suffix = file.suffix.lower()
    if suffix == ".npy":
        return {"": functools.partial(load_npy, file)}
    if suffix == ".csv":
        return {"": functools.partial(_read_csv, file)}
    names = _names_in_zip(file) if suffix == ".npz" else _names_in_hdf5(file)
    chosen = [name for name in ALONE if name in names][:1] or names
    return {name: functools.partial(_read_from(file), file, name) for name in chosen}


def _read_from(file: Path) -> Callable[[Path, str], np.ndarray]:
    return _read_from_zip if file.suffix.lower() == ".npz" else _read_from_hdf5


def _read_csv(file: Path) -> np.ndarray:
    """Reads numbers with commas between them; a first row of column names, and a column of row numbers, may lead."""
    with opened(file, "CSV file"):
        text = file.read_text(encoding="utf-8-sig")
        if not text.strip():
            raise InputError("holds no rows, expected one row of numbers per snippet")
        cells = text.split("\n", 1)[0].strip().split(",")
        numbered = cells[0] == ""  # as pandas writes a table
        skipped = int(numbered or not any(map(_is_number, cells)))
        array = np.loadtxt(text.splitlines(), np.float32, delimiter=",", skiprows=skipped, ndmin=2)
        return array[:, 1:] if numbered else array


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _names_in_zip(file: Path) -> list[str]:
    with opened(file, ".npz file") as stream, zipfile.ZipFile(stream) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def _read_from_zip(file: Path, name: str) -> np.ndarray:
    with opened(file, ".npz file") as stream, zipfile.ZipFile(stream) as archive, archive.open(f"{name}.npy") as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _names_in_hdf5(file: Path) -> list[str]:
    h5py, names = import_hdf5(file), []
    with opened(file, "HDF5 file"), h5py.File(file) as content:
        content.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
    return names


def _read_from_hdf5(file: Path, name: str) -> np.ndarray:
    h5py = import_hdf5(file)
    with opened(file, "HDF5 file"), h5py.File(file) as content:
        return content[name][()]


def import_hdf5(file: Path):
    """Returns the package h5py; raises InputError if it is not installed."""
    try:
        import h5py
    except ImportError:
        raise InputError(f"{file}: HDF5 files need the package h5py: pip install -r requirements-hdf5.txt") from None
    return h5py
