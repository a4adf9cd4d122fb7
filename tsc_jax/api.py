"""A trained localizer as a Python object: features in, segments in seconds out."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from tsc_jax.data.dataset import Split, unlabelled
from tsc_jax.data.features import check_features
from tsc_jax.errors import InputError
from tsc_jax.evaluation.evaluate import localize
from tsc_jax.inference import Forward, make_forward
from tsc_jax.localization.segments import Segments
from tsc_jax.methods.tscnet.train_step import TrainState, for_inference
from tsc_jax.training import checkpoints
from tsc_jax.training.initial import state_template
from tsc_jax.training.replicas import seed_folders


@dataclasses.dataclass(frozen=True)
class Segment:
    """An action that was found.

    Attributes:
      label: name of its class.
      start: in seconds.
      end: in seconds.
      score: comparable within the results of one localizer; no probability, and may be negative.
    """

    label: str
    start: float
    end: float
    score: float

    def __repr__(self) -> str:
        times = f"start={self.start:.2f}, end={self.end:.2f}"
        return f"Segment(label={self.label!r}, {times}, score={self.score:.3f})"


@dataclasses.dataclass(frozen=True, eq=False)
class Localization:
    """What was found in one video, and what it was read from.

    Attributes:
      segments: best first.
      cas: fused class activations, float32 [T, C + 1]; the last column is background.
      attention: fused attention, float32 [T], from 0 to 1.
      duration: of its T snippets, in seconds.
    """

    segments: list[Segment]
    cas: np.ndarray
    attention: np.ndarray
    duration: float

    def __repr__(self) -> str:
        best = f", best {self.segments[0]!r}" if self.segments else ""
        return f"Localization({self.duration:.2f} seconds, {len(self.segments)} segments{best})"


@dataclasses.dataclass(frozen=True, eq=False)
class Localizer:
    """A trained network; call it with features. Made by `load`.

    Attributes:
      directory: where it was loaded from.
      selection: how its checkpoint was chosen, as in "last" or "best on test".
      step: of the training, after which it was saved.
      classes: names of the C classes.
      width: D, of the features that it takes.
      snippets_per_second: their rate.
      config: the recipe that it was trained with.
      forward: the compiled forward pass.
      state: parameters, batch statistics and bank.
    """

    directory: Path
    selection: str
    step: int
    classes: tuple[str, ...]
    width: int
    snippets_per_second: float
    config: ml_collections.ConfigDict
    forward: Forward
    state: TrainState

    def __repr__(self) -> str:
        takes = f"width {self.width}, {self.snippets_per_second:g} snippets a second"
        return f"Localizer({self.directory}, {self.selection}, step {self.step}: {len(self.classes)} classes, {takes})"

    def __call__(self, features: Any) -> list[Segment] | list[list[Segment]]:
        """The actions in a video, best first, or those in each of a list of videos.

        Args:
          features: [T, D] of one video, from the extractor that the network was trained with, or a list of such.

        Raises:
          InputError: features of another shape or width, an empty or too short video, NaN.
        """
        found = self.localize(features)
        return [each.segments for each in found] if isinstance(found, list) else found.segments

    def localize(self, features: Any) -> Localization | list[Localization]:
        """The same with the class activations and the attention that the segments were read from."""
        several = isinstance(features, list | tuple)
        given = {f"video {i}": each for i, each in enumerate(features)} if several else {"the video": features}
        arrays = [self.check(each, name) for name, each in given.items()]
        lengths = [len(array) for array in arrays]
        split = unlabelled(list(given), lengths, arrays.__getitem__, len(self.classes), self.snippets_per_second)
        if not arrays:
            return []
        found = self._localizations(split, *self.localize_split(split))
        return found if several else found[0]

    def check(self, features: Any, origin: str) -> np.ndarray:
        """The features of a video as float32 [T, D]; raises InputError, naming `origin`, where they do not fit."""
        features, least = check_features(features, origin), self.config.data.min_snippets
        if features.shape[1] != self.width:
            raise InputError(f"{origin}: features have width {features.shape[1]}, this network takes {self.width}")
        if len(features) < least:
            raise InputError(f"{origin}: has {len(features)} snippets, this network takes {least} or more")
        return features

    def localize_split(self, split: Split, title: str | None = None) -> tuple[Segments, list, list]:
        """See `evaluate.localize`; of videos that were checked."""
        return localize(self.forward, self.state, split, self.snippets_per_second, self.config, title)

    def _localizations(self, split: Split, found: Segments, cas: Sequence, attention: Sequence) -> list[Localization]:
        return [
            Localization(self._segments(found[found.video == index]), cas[index], attention[index], video.duration)
            for index, video in enumerate(split.videos)
        ]

    def _segments(self, found: Segments) -> list[Segment]:
        """Those of one video, best first; of equal scores the first stays first."""
        found = found[np.argsort(-found.score, kind="stable")]
        columns = (column.tolist() for column in (found.label, found.start, found.end, found.score))
        return [Segment(self.classes[label], *rest) for label, *rest in zip(*columns, strict=True)]


def load(
    directory: str | os.PathLike, selection: str = checkpoints.LAST, snippets_per_second: float | None = None
) -> Localizer:
    """Loads a trained network.

    Args:
      directory: a workdir of launch.train (of several seeds the folder of one of them), or a folder of launch.export.
      selection: which of its checkpoints, one of "last", "best_on_holdout" and "best_on_test".
      snippets_per_second: rate of the features; needed for imported weights alone, any other run knows its own.

    Raises:
      InputError: no such checkpoint, a damaged one, an unknown rate.
    """
    if snippets_per_second is not None and not 0 < snippets_per_second < np.inf:
        raise InputError(f"snippets_per_second is {snippets_per_second}, expected a positive number")
    manager = _find(Path(directory), selection)
    about = checkpoints.read_about(manager)
    rate = snippets_per_second or about["snippets_per_second"]
    if rate is None:
        raise InputError(f"{directory}: does not say how many snippets make a second: give snippets_per_second")
    config, classes = ml_collections.ConfigDict(about["config"]), tuple(about["classes"])
    state = checkpoints.restore(manager, state_template(config, len(classes), about["width"]))
    manager.close()
    return Localizer(
        directory=Path(directory),
        selection=about.get("selection", selection).replace("_", " "),
        step=int(state.step),
        classes=classes,
        width=about["width"],
        snippets_per_second=rate,
        config=config,
        forward=make_forward(config.model, len(classes), about["width"]),
        state=jax.device_put(for_inference(state).replace(opt_state=())),
    )


def _find(directory: Path, selection: str) -> checkpoints.ocp.CheckpointManager:
    if selection not in checkpoints.SELECTIONS:
        raise InputError(f"selection is {selection!r}, expected one of {', '.join(checkpoints.SELECTIONS)}")
    manager = checkpoints.find_checkpoints(directory, selection)
    if manager is not None:
        return manager
    seeds = [folder.name for folder in seed_folders(directory)]
    if seeds:
        raise InputError(f"{directory}: holds the runs of several seeds, expected one of them: {', '.join(seeds)}")
    there = [each for each in checkpoints.SELECTIONS if checkpoints.find_checkpoints(directory, each)]
    found = f", only {' and '.join(there)}" if there else "; expected a workdir of launch.train or an export"
    raise InputError(f"{directory}: holds no checkpoint {selection!r}{found}")
