"""A recording of the published PyTorch implementation, made ready to run: its sizes, settings, videos and tensors."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import ml_collections
import numpy as np

from tsc_jax.data.dataset import Split, Video
from tsc_jax.inference import Look
from tsc_jax.method import AXIS, Method, Sizes
from tsc_jax.methods.rskp import torch
from tsc_jax.methods.rskp.memory import Memory, empty_memory
from tsc_jax.methods.rskp.method import make
from tsc_jax.methods.rskp.network import RSKP, make_network
from tsc_jax.replay import recorded_batch

Arrays = Mapping[str, np.ndarray]

# The losses, as recordings call them.
TERMS = {
    "fore_o": "main/class_agnostic",
    "fore_m": "intra/class_agnostic",
    "back_o": "main/class_specific",
    "back_m": "intra/class_specific",
    "att": "attention",
    "spl": "pseudo_labels",
    "fore_r": "inter/class_agnostic",
    "back_r": "inter/class_specific",
}


@dataclasses.dataclass(frozen=True)
class Videos:
    """Some videos, padded."""

    features: np.ndarray  # float32 [B, T, D]
    lengths: np.ndarray  # int [B], in snippets
    labels: np.ndarray  # [B, C]

    def __getitem__(self, rows: np.ndarray | slice) -> "Videos":
        """The videos at `rows`."""
        return Videos(*(array[rows] for array in vars(self).values()))

    def padded(self, rows: int, length: int) -> "Videos":
        """The videos with empty rows and snippets after them, so that batches of one size need one program."""
        more = [(0, rows - len(self.lengths))]
        snippets = (0, length - self.features.shape[1])
        features = np.pad(self.features, [*more, snippets, (0, 0)])
        return Videos(features, np.pad(self.lengths, more), np.pad(self.labels, [*more, (0, 0)]))

    def dealt(self, devices: int) -> dict[str, np.ndarray]:
        """A batch as the train step takes it, filled up with empty rows to a number that the devices divide."""
        number, length = self.features.shape[:2]
        videos = self.padded(number + -number % devices, length)
        batch = recorded_batch(videos.features, videos.labels, videos.lengths, devices)
        return batch | {"video": np.where(batch["mask"].any(axis=-1), batch["order"], -1)}

    def batch(self) -> dict[str, np.ndarray]:
        """A batch for one device."""
        return {name: array[0] for name, array in self.dealt(1).items()}

    def look(self) -> Look:
        """What a refresh sees where these are the training videos."""
        no_segments = (np.zeros((0, 2)), np.zeros(0, np.int64))
        videos = tuple(
            Video(str(number), int(length), 0.0, labels.astype(bool), *no_segments)
            for number, (length, labels) in enumerate(zip(self.lengths, self.labels, strict=True))
        )
        wholes = [
            features[:length].astype(np.float32) for features, length in zip(self.features, self.lengths, strict=True)
        ]
        return Look(Split(videos, np.arange(len(videos)), wholes.__getitem__), 0, 8192)


@dataclasses.dataclass(frozen=True, eq=False)
class Setup:
    """A recording made ready to run; every object compiles its programs once, being compared by identity."""

    config: ml_collections.ConfigDict  # the recipe with the sizes and settings of the recording
    sizes: Sizes
    videos: Videos  # all B
    devices: int  # that share the batches of the optimizer

    @property
    def network(self) -> RSKP:
        """The network."""
        return make_network(self.config.model, self.sizes.classes)

    def method(self, warmup_epochs: int, batch_size: int, videos: int) -> Method:
        """The method that trains on so many videos."""
        changes = {"memory.warmup_epochs": warmup_epochs, "train.batch_size": batch_size}
        return make(changed(self.config, changes), dataclasses.replace(self.sizes, videos=videos), AXIS)

    def params(self, tensors: Arrays) -> Any:
        """The network's parameters from recorded tensors."""
        template = jax.eval_shape(self.method(1, 1, 1).init, jax.random.key(0))
        return torch.from_tensors(tensors, *template)[0]

    def empty_memory(self) -> Memory:
        """A memory without prototypes."""
        return empty_memory(self.sizes.classes, self.config.memory.slots, self.config.model.embedding_width)


def set_up(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Setup:
    """Fits the published recipe to the sizes and settings of a recording."""
    size = dict(zip(recording["meta/dims_names"].tolist(), recording["meta/dims"].tolist(), strict=True))
    value = dict(zip(recording["meta/hyper_names"].tolist(), recording["meta/hyper"].tolist(), strict=True))
    _, *pseudo_labels = recording["meta/steps_lambda_s"].tolist()
    videos = Videos(*(recording[f"in/{name}"] for name in ("features", "lengths", "labels")))
    sections = {
        "model": {"embedding_width": size["D"], "prototypes": size["K"], "em_rounds": int(value["em_iter"])}
        | {"scale": value["scale_factor"], "walk_weight": value["w"], "dropout": value["dropout"]},
        "memory": {"slots": size["S"], "labels": int(videos.labels.sum(axis=1).max())},
        "loss": {"temperature": value["T"]},
        "loss.weights": {"class_specific": value["lambda_b"], "attention": value["lambda_a"]}
        | {f"pseudo_labels_{phase}": weight for phase, weight in enumerate(pseudo_labels, 1)},
        "optimizer": {"learning_rate": value["lr"], "weight_decay": value["weight_decay"]}
        | {beta: value[beta] for beta in ("beta1", "beta2")},
    }
    changes = {f"{section}.{key}": each for section, keys in sections.items() for key, each in keys.items()}
    snippets = int(videos.lengths.sum())
    return Setup(changed(config, changes), Sizes(size["C"], size["F"], size["B"], snippets), videos, devices)


def changed(config: ml_collections.ConfigDict, changes: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """A copy of a recipe with other values."""
    config = ml_collections.ConfigDict(config.to_dict())
    config.update_from_flattened_dict(changes)
    return config
