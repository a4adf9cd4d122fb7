"""Snippet features as they come out of a file: what makes them usable, and which half is RGB."""

from typing import Any

import numpy as np

from tsc_jax.errors import InputError, Refuse, stop

MODALITIES = ("both", "rgb", "flow")
JOINED_WIDTH = 2048  # I3D's 1024 of RGB, then its 1024 of flow


def check_features(features: Any, origin: str, refuse: Refuse = stop) -> np.ndarray:
    """The features of one video as float32 [T, D].

    Args:
      features: as they came out of their file.
      origin: the file, for messages.
      refuse: receives that there is NaN or infinity; where it returns, the features come with them.

    Raises:
      InputError: not numbers in two axes, no snippet, NaN or infinity; names `origin`.
    """
    features = np.asarray(features)
    if features.dtype.kind not in "iuf":
        raise InputError(f"{origin}: holds features of type {features.dtype}, expected numbers", "feature_arrays")
    if features.ndim != 2:
        raise InputError(
            f"{origin}: features have shape {features.shape}, expected (snippets, width)", "feature_arrays"
        )
    if 0 in features.shape:
        raise InputError(f"{origin}: features have shape {features.shape}: the video is empty", "feature_arrays")
    with np.errstate(over="ignore"):  # a float64 too large for float32 is reported as infinite below
        features = np.ascontiguousarray(features, np.float32)
    finite = np.isfinite(features)
    if not finite.all():
        snippet = int(np.argmin(finite.all(axis=1)))
        refuse(InputError(f"{origin}: snippet {snippet} has features that are NaN or infinite", "not_finite"))
    return features


def take_modality(features: np.ndarray, modality: str, origin: str) -> np.ndarray:
    """The RGB or the flow half of joined I3D features [T, 2048]; "both" leaves any features as they are.

    Raises:
      InputError: a half is asked of features that are not joined.
    """
    if modality == "both":
        return features
    if features.shape[1] != JOINED_WIDTH:
        raise InputError(
            f"{origin}: features have width {features.shape[1]}, but modality {modality} can only be"
            f" cut from RGB and flow joined, width {JOINED_WIDTH}"
        )
    half = JOINED_WIDTH // 2
    return features[:, :half] if modality == "rgb" else features[:, half:]
