"""The index of a prepared data set: all that its records hold except the features.

It is part of the metadata, so that opening a data set reads no record. Versions before the index wrote none.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

Index = dict[str, list[dict[str, Any]]]  # the entries of each split, in the order of its records


def entry_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a record holds, without features, as JSON keeps it exactly."""
    return {name: np.asarray(value).tolist() for name, value in record.items()}


def seal(index: Index, fingerprint: str) -> str:
    """Returns the SHA-256 of an index and the fingerprint of the data set to which it belongs."""
    return hashlib.sha256(json.dumps([fingerprint, index]).encode()).hexdigest()


def index_of(metadata: Mapping[str, Any]) -> Index | None:
    """Returns the index in the metadata of a data set, or None where there is none; ValueError if it is damaged."""
    index = metadata.get("index")
    if index is not None and seal(index, metadata["fingerprint"]) != metadata.get("index_seal"):
        raise ValueError("its index does not belong to it")
    return index
