"""From trained variables to predictions, metrics and their floor."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.errors import InputError
from tsc_jax.evaluation import classification, detection, diagnosis, protocols, results
from tsc_jax.evaluation.ambiguous import read_ambiguous, shares_snippet
from tsc_jax.inference import Inference, OfVideo, infer_everywhere
from tsc_jax.localization.segments import Segments, concatenate, make_segments


class Evaluation(NamedTuple):
    """The results of trained variables on a split."""

    predictions: Segments  # in seconds, `video` an index into the split
    metrics: dict  # the content of metrics.json without "selection"
    floor: np.ndarray  # mAP in percent at each tIoU of one whole-video segment per true class
    outputs: list[OfVideo | None]  # of every video, see `Localized`


class Localized(NamedTuple):
    """The predictions in a split, and the outputs that they were read from."""

    segments: Segments  # in seconds, `video` an index into the split, in the order of the method's `localize`
    outputs: list[OfVideo | None]  # "cas" [T, C + 1], "attention" [T] and others per video; None where it is too short
    used: np.ndarray  # indices of the videos that are long enough, int [V]
    scores: np.ndarray  # class scores [V, C] of these videos


def evaluate(inference: Inference, variables: Any, step: int, dataset: Dataset, split: Split, config) -> Evaluation:
    """Localizes the actions in all videos of a split and computes the metrics.

    Videos of fewer than `config.data.min_snippets` snippets get no predictions; their ground truth counts. Predictions
    in the stretches of the file `config.eval.ambiguous` are dropped. Raises as `localize` does.
    """
    localized = localize(inference, variables, split, config)
    predictions = without_ambiguous(localized.segments, split, config.eval.ambiguous)
    truth, tious, protocol = ground_truth(split), protocols.parse_tious(config.eval.tiou), config.eval.protocol

    def mean_ap(predictions: Segments) -> np.ndarray:
        compared = protocols.to_protocol(truth, predictions, split.clock, protocol)
        return 100 * detection.mean_average_precision(*compared, tious, len(dataset.classes))

    labels = np.stack([split.videos[index].labels for index in localized.used])
    classification_ap = 100 * classification.mean_average_precision(localized.scores, labels)
    metrics = results.make_metrics(protocol, tious, mean_ap(predictions), classification_ap, step)
    floor = protocols.floor_predictions(truth, np.array([video.duration for video in split.videos]))
    return Evaluation(predictions, metrics, mean_ap(floor), localized.outputs)


def localize(inference: Inference, variables: Any, split: Split, config, title: str | None = None) -> Localized:
    """Localizes the actions in all videos of a split; processes share the work.

    `variables` are those of `Method.variables`, `title` is that of a progress bar on the terminal (None: no bar).

    Raises:
      InputError: the outputs of a video are not finite, from which no segments could be read.
    """
    lengths = np.array([video.num_snippets for video in split.videos])
    used = np.flatnonzero(lengths >= config.data.min_snippets)
    outputs = infer_everywhere(inference, variables, split, used, config.eval.batch_snippets, title)
    of_used = [outputs[index] for index in used]
    for index, output in zip(used, of_used, strict=True):
        wrong = [name for name, array in output.items() if not np.isfinite(array).all()]
        if wrong:
            raise InputError(
                f"{split.videos[index].name}: the network's output is not finite ({wrong[0]}); expected finite weights,"
                " and features as large as those of the training"
            )
    segments, scores = inference.method.localize(of_used), inference.method.class_scores(of_used)
    segments = dataclasses.replace(segments, video=used[segments.video]).in_seconds(split.clock)
    return Localized(segments, [outputs.get(index) for index in range(len(lengths))], used, scores)


def without_ambiguous(predictions: Segments, split: Split, path: str) -> Segments:
    """The predictions, in seconds, that share no snippet with a stretch of the file `path`; "" drops none."""
    if not path:
        return predictions
    ambiguous = read_ambiguous(Path(path), [video.name for video in split.videos])
    return predictions[~shares_snippet(predictions, ambiguous, split.clock)]


def ground_truth(split: Split) -> Segments:
    """Returns all action instances of a split, in seconds, `video` an index into it."""
    return concatenate(
        make_segments(index, video.segment_labels, *video.segments.T) for index, video in enumerate(split.videos)
    )


def shares_covered(split: Split) -> np.ndarray:
    """Returns the share of its video that each instance of `ground_truth` covers, float64 [N]."""
    return diagnosis.coverage(ground_truth(split), np.array([video.duration for video in split.videos]))
