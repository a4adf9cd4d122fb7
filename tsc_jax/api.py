"""A trained localizer as a Python object: features in, segments in seconds out."""

import dataclasses
import html
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import jax
import numpy as np

from tsc_jax import settings as rules
from tsc_jax.data.clock import Clock
from tsc_jax.data.dataset import unlabelled
from tsc_jax.data.features import check_features
from tsc_jax.errors import InputError
from tsc_jax.evaluation.evaluate import Localized, localize
from tsc_jax.inference import Inference, make_inference
from tsc_jax.localization.segments import make_segments
from tsc_jax.training import checkpoints
from tsc_jax.training.trained import Trained, open_trained

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class Segment:
    """A predicted action, in seconds. Scores compare within the results of one localizer, and may be negative."""

    label: str
    start: float
    end: float
    score: float

    def __repr__(self) -> str:
        times = f"start={self.start:.2f}, end={self.end:.2f}"
        return f"Segment(label={self.label!r}, {times}, score={self.score:.3f})"


class SegmentList(list[Segment]):
    """The segments of a video: a list, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        rows = (
            f"<tr><td>{html.escape(each.label)}</td><td>{each.start:.2f}</td><td>{each.end:.2f}</td>"
            f"<td>{each.score:.3f}</td></tr>"
            for each in self
        )
        header = "<tr><th>label</th><th>start (s)</th><th>end (s)</th><th>score</th></tr>"
        return f"<table>{header}{''.join(rows)}</table>"


@dataclasses.dataclass(frozen=True, eq=False)
class Localization:
    """The segments of one video, and the activations that they were read from."""

    segments: SegmentList  # best first
    cas: np.ndarray  # class activations, float32 [T, C + 1]; the last column is background
    attention: np.ndarray  # float32 [T], from 0 to 1
    duration: float  # of the T snippets, in seconds
    classes: tuple[str, ...]  # names of the C classes
    offset: float = 0.0  # seconds before the first snippet

    def plot(self, title: str = "") -> "Figure":
        """Returns a matplotlib figure of the segments, the attention and the class activations over time."""
        from tsc_jax.report.figures import draw_video

        labels = [self.classes.index(each.label) for each in self.segments]
        times = np.array([(each.start, each.end, each.score) for each in self.segments]).reshape(-1, 3)
        segments = make_segments(0, labels, *times.T)
        clock = Clock(len(self.attention) / (self.duration - self.offset), self.offset)
        return draw_video(title, self.classes, segments[:0], segments, self.cas, self.attention, clock)

    def _repr_html_(self) -> str:
        return f"<p>{self.duration:.2f} seconds</p>{self.segments._repr_html_()}"

    def __repr__(self) -> str:
        best = f", best {self.segments[0]!r}" if self.segments else ""
        return f"Localization({self.duration:.2f} seconds, {len(self.segments)} segments{best})"


@dataclasses.dataclass(frozen=True, eq=False)
class Localizer:
    """A trained network; call it with features. Made by `load`."""

    trained: Trained  # its variables are on the devices
    snippets_per_second: float
    inference: Inference
    offset: float = 0.0  # seconds before the first snippet of a video

    @property
    def directory(self) -> Path:
        """The folder from which it was loaded."""
        return self.trained.directory

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the C classes."""
        return self.trained.classes

    @property
    def width(self) -> int:
        """D, the width of the features that it takes."""
        return self.trained.sizes.width

    @property
    def clock(self) -> Clock:
        """The rate and the offset of the snippets of a video."""
        return Clock(self.snippets_per_second, self.offset)

    @property
    def extractor(self) -> Any:
        """What the data set said of the extractor of its features, None if nothing."""
        return self.trained.about.get("extractor")

    def __repr__(self) -> str:
        checkpoint = f"{self.directory}, {self.trained.selection}, step {self.trained.step}"
        takes = f"width {self.width}, {self.snippets_per_second:g} snippets a second"
        return f"Localizer({checkpoint}: {len(self.classes)} classes, {takes})"

    def __reduce__(self) -> tuple:
        """What a pickle holds: the variables as NumPy arrays, and nothing that is compiled."""
        trained = dataclasses.replace(self.trained, variables=jax.device_get(self.trained.variables))
        return _localizer, (trained, self.snippets_per_second)

    @overload
    def __call__(self, features: list[Any] | tuple[Any, ...]) -> list[list[Segment]]: ...
    @overload
    def __call__(self, features: Any) -> list[Segment]: ...
    def __call__(self, features: Any) -> list[Segment] | list[list[Segment]]:
        """Returns the actions in a video, best first; for a list of videos, a list of these.

        The features [T, D] must come from the extractor that the network was trained with. Raises InputError for
        features of another shape or width, an empty or too short video, and NaN.
        """
        localized = self.localize(features)
        return [each.segments for each in localized] if isinstance(localized, list) else localized.segments

    @overload
    def localize(self, features: list[Any] | tuple[Any, ...]) -> list[Localization]: ...
    @overload
    def localize(self, features: Any) -> Localization: ...
    def localize(self, features: Any) -> Localization | list[Localization]:
        """Does the same, and returns the class activations and the attention as well."""
        several = isinstance(features, list | tuple)
        given = {f"video {i}": each for i, each in enumerate(features)} if several else {"the video": features}
        arrays = [self.check(each, name) for name, each in given.items()]
        if not arrays:
            return []
        localized = self.localize_videos(list(given), [len(array) for array in arrays], arrays.__getitem__)
        localizations = []
        for index, outputs in enumerate(localized.outputs):
            rows = localized.segments.of_video(index).rows()
            segments = SegmentList(Segment(self.classes[label], *times) for label, *times in rows)
            duration = self.clock.seconds(len(arrays[index]))
            activations = outputs["cas"], outputs["attention"]
            localizations.append(Localization(segments, *activations, duration, self.classes, self.offset))
        return localizations if several else localizations[0]

    def check(self, features: Any, origin: str) -> np.ndarray:
        """Returns the features of a video as float32 [T, D]; raises InputError, naming `origin`, if they do not fit."""
        features, least = check_features(features, origin), self.trained.config.data.min_snippets
        if features.shape[1] != self.width:
            raise InputError(f"{origin}: features have width {features.shape[1]}, this network takes {self.width}")
        if len(features) < least:
            raise InputError(f"{origin}: has {len(features)} snippets, this network takes {least} or more")
        return features

    def localize_videos(
        self, names: Sequence[str], lengths: Sequence[int], read: Callable[[int], np.ndarray], title: str | None = None
    ) -> Localized:
        """Localizes the actions in videos of T snippets each, of which `read` returns the checked features by index."""
        split = unlabelled(names, lengths, read, len(self.classes), self.snippets_per_second, self.offset)
        return localize(self.inference, self.trained.variables, split, self.trained.config, title)


def load(
    directory: str | os.PathLike, selection: str = checkpoints.LAST, snippets_per_second: float | None = None
) -> Localizer:
    """Loads a trained network.

    Args:
      directory: a workdir of launch.train (of several seeds the folder of one of them), or a folder of launch.export.
      selection: which of its checkpoints, one of "last", "best_on_holdout" and "best_on_test".
      snippets_per_second: rate of the features; needed for imported weights, and for a run on videos of different
        rates, any other run knows its own.

    Raises:
      InputError: no such checkpoint, a damaged one, an unknown rate.
    """
    if snippets_per_second is not None and not rules.POSITIVE.holds(snippets_per_second):
        raise InputError(f"snippets_per_second is {snippets_per_second!r}, expected {rules.POSITIVE.expected}")
    trained = open_trained(directory, selection)
    rate = snippets_per_second or trained.about["snippets_per_second"]
    if rate is None:
        known = trained.about["data_fingerprint"] is not None
        why = "was trained on videos of different rates" if known else "has imported weights, which tell no rate"
        raise InputError(
            f"{directory}: {why}, so it does not know how many snippets of new videos make a second; expected"
            " --snippets_per_second, in Python snippets_per_second"
        )
    return _localizer(trained, rate)


def _localizer(trained: Trained, snippets_per_second: float) -> Localizer:
    """A localizer of a run whose variables are anywhere."""
    trained = dataclasses.replace(trained, variables=jax.device_put(trained.variables))
    offset = trained.about.get("offset_snippets", 0.0) / snippets_per_second
    return Localizer(trained, snippets_per_second, make_inference(trained.config, trained.sizes), offset)
