"""Checks the snippet features that a file holds, and cuts RGB or flow out of joined I3D features."""

from typing import Any

import numpy as np

from tsc_jax.errors import InputError, Refuse, stop

MODALITIES = ("both", "rgb", "flow")
JOINED_WIDTH = 2048  # 1024 columns of RGB, then 1024 of flow


def check_features(features: Any, origin: str, modality: str = "both", refuse: Refuse = stop) -> np.ndarray:
    """Returns the features of one video, or their RGB or flow half, as float32 [T, D].

    Raises InputError if the features are not numbers, do not have two axes or are empty, and if a half is
    requested of a width other than 2048. `refuse` receives the error about NaN or infinity; if it returns, the
    features are returned as they are. Messages name `origin`.
    """
    if isinstance(features, np.ma.MaskedArray):
        raise InputError(f"{origin}: is a masked array, expected numbers only", "feature_arrays")
    features = np.asarray(features)
    if features.dtype.kind not in "iuf":
        raise InputError(f"{origin}: holds features of type {features.dtype}, expected numbers", "feature_arrays")
    if features.ndim != 2 or 0 in features.shape:
        problem = ": the video is empty" if features.ndim == 2 else ", expected (snippets, width)"
        raise InputError(f"{origin}: features have shape {features.shape}{problem}", "feature_arrays")
    with np.errstate(over="ignore"):  # float64 values too large for float32 become infinite, reported below
        features = np.ascontiguousarray(features, np.float32)
    finite = np.isfinite(features)
    if not finite.all():
        snippet = int(np.argmin(finite.all(axis=1)))
        refuse(InputError(f"{origin}: snippet {snippet} has features that are NaN or infinite", "not_finite"))
    if modality == "both":
        return features
    if features.shape[1] != JOINED_WIDTH:
        raise InputError(
            f"{origin}: features have width {features.shape[1]}, but modality {modality} can only be"
            f" cut from RGB and flow joined, width {JOINED_WIDTH}"
        )
    half = JOINED_WIDTH // 2
    return features[:, :half] if modality == "rgb" else features[:, half:]
