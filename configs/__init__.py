"""The recipes, one module each."""

import importlib

import ml_collections


def recipe(method: str, data: str) -> ml_collections.ConfigDict:
    """Returns the recipe of a method for "thumos14", "demo" and the like; ModuleNotFoundError where there is none.

    The recipes of TSC-Net bear the name of the data alone. Self-training stands on TSC-Net here; see configs/*_best.py.
    """
    if method == "self_train":
        return importlib.import_module(f"{__name__}.tscnet_best").get_config(data)
    name = data if method == "tscnet" else f"{method}_{data}"
    return importlib.import_module(f"{__name__}.{name}").get_config()
