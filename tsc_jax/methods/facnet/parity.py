"""Compares FAC-Net with recordings of its published implementation."""

import functools
from collections.abc import Iterator

import jax
import ml_collections
import numpy as np

from tsc_jax.evaluation import classification
from tsc_jax.evaluation.ambiguous import shares_snippet
from tsc_jax.evaluation.detection import mean_average_precision
from tsc_jax.evaluation.protocols import to_protocol
from tsc_jax.localization.segments import Segments, make_segments
from tsc_jax.method import Sizes
from tsc_jax.methods.facnet import torch
from tsc_jax.methods.facnet.localize import candidates, class_scores, localize, probabilities
from tsc_jax.methods.facnet.method import make
from tsc_jax.methods.facnet.replay import STEPS, replay
from tsc_jax.parity import EQUAL, PRECISION, Arrays, Row, Tolerance, compare, compare_rows
from tsc_jax.replay import subset

# Names of arrays of which every recording of this method, and of no other, holds one.
MARKS = ("eval/fg_scrs", "0/rgb_frm_scrs")

MODEL = Tolerance(relative=1e-5)
MAP = Tolerance(absolute=1e-6)
STREAMS = {"rgb": ("rgb",), "flow": ("flow",), "fused": ("rgb", "flow")}
RATE = 25 / 16  # snippets per second of all recordings


def check_model(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Iterator[Row]:
    """Outputs, losses, gradients, dropout with recorded masks, the steps of Adam, and the initialisation."""
    computed = replay(recording, config, devices)
    for name, recorded in recording.items():
        given = name.startswith(("meta/", "in/", "init/", "drop/keep")) or name.endswith(STEPS)
        if not given and not name.startswith("init_full/"):
            yield compare(name, computed.get(name), recorded, MODEL)
    yield from check_initialisation(subset(recording, "init_full/"), config)


def check_initialisation(recorded: Arrays, config: ml_collections.ConfigDict) -> Iterator[Row]:
    """Mean, standard deviation, largest absolute value and count of each tensor of a new network of full size."""
    if not recorded:
        return
    count = {name: int(statistics[3]) for name, statistics in recorded.items() if statistics.ndim}
    width, channels = (count[f"feature_embedding.process.{layer}.bias"] for layer in (0, 3))
    config = ml_collections.ConfigDict(config.to_dict())
    config.model.update(modalities=1, embedding_width=channels)
    params, _ = make(config, Sizes(count["ac_center"] // channels - 1, width)).init(jax.random.key(0))
    tensors = torch.tensors_of(params)
    for name, tensor in tensors.items():
        computed = np.array([tensor.mean(), tensor.std(), np.abs(tensor).max(), tensor.size])
        largest = recorded[name][2]
        # Two draws of n uniform numbers differ: 6 standard deviations of each statistic at n entries.
        spread = Tolerance(absolute=float(6 * largest * tensor.size**-0.5))
        yield compare(f"init_full/{name} mean, deviation, largest", computed[:3], recorded[name][:3], spread)
        yield compare(f"init_full/{name} count", computed[3:], recorded[name][3:], EQUAL)
    apart = np.abs(tensors["fg_center"][0] + tensors["ac_center"][-1]).max()
    yield compare("init_full/fg_center_plus_background", apart, recorded["fg_center_plus_background"], EQUAL)
    parameters = sum(tensor.size for tensor in tensors.values())
    yield compare("init_full/parameters", parameters, recorded["parameters"], EQUAL)


def check_proposals(recording: Arrays, config: ml_collections.ConfigDict) -> Iterator[Row]:
    """Softmaxes, candidates and proposals of every video, and the metrics over all of them."""
    outputs = [video_outputs(recording, video) for video in range(len(recording["meta/lengths"]))]
    for modality in ("rgb", "flow"):
        for video, output in enumerate(outputs):
            name = f"{video}/{modality}"
            for kind, logits in (("frm_pred", "scores"), ("vid_pred", "class_agnostic")):
                computed = probabilities(output[f"{modality}/{logits}"])
                yield compare(f"{name}_{kind}", computed, recording[f"{name}_{kind}"], PRECISION)
            segments = candidates(video, output, modality, config.proposals)
            yield from compare_segments(f"{name}_candidates", segments, recording)
    ambiguous = instances(recording, "evaluation/ambiguous")
    for stream, modalities in STREAMS.items():
        segments = localize(outputs, modalities, config.proposals)
        yield from compare_stream(stream, segments, recording)
        if stream in modalities:
            scores = class_scores(outputs, modalities)
            mean = 100 * classification.mean_average_precision(scores, recording["evaluation/labels"] > 0)
            yield compare(f"evaluation/cmap_{stream}", mean, recording[f"evaluation/cmap_{stream}"], MAP)
        filtered = localize(outputs, modalities, config.proposals, functools.partial(without, ambiguous))
        yield from compare_stream(f"{stream}_filtered", filtered, recording)
        yield from compare_stream(f"{stream}_class_0_empty", segments[segments.label != 0], recording)


def video_outputs(recording: Arrays, video: int) -> dict[str, np.ndarray]:
    """The recorded outputs of a video under our names."""
    names = {"scores": "frm_scrs", "class_agnostic": "ca_logits"}
    return {
        f"{modality}/{ours}": recording[f"{video}/{modality}_{theirs}"]
        for modality in ("rgb", "flow")
        for ours, theirs in names.items()
    }


def compare_stream(name: str, segments: Segments, recording: Arrays) -> Iterator[Row]:
    """Compares the proposals of every video, in snippets, and their mAP in percent, if they were recorded."""
    stream, _, suffix = name.partition("_")
    for video in range(len(recording["meta/lengths"])):
        recorded = f"{video}/{stream}_proposals{suffix and '_'}{suffix}"
        if recorded in recording:
            yield from compare_segments(recorded, segments[segments.video == video], recording)
    if f"evaluation/map_{name}" in recording:
        computed = 100 * published_map(recording, segments)
        yield compare(f"evaluation/map_{name}", computed, recording[f"evaluation/map_{name}"], MAP)


def instances(recording: Arrays, name: str) -> Segments:
    """The segments, in seconds, of an array with rows (video, start, end) and, for actions, the class."""
    video, start, end, *label = recording[name].T
    return make_segments(video, label[0] if label else 0, start, end)


def without(ambiguous: Segments, segments: Segments) -> Segments:
    """The segments, in snippets, that share no snippet with an ambiguous stretch, in seconds."""
    return segments[~shares_snippet(segments.scaled(1 / RATE), ambiguous, RATE)]


def compare_segments(name: str, segments: Segments, recording: Arrays) -> Iterator[Row]:
    """Compares rows (start, end, class, score) of one video and their order."""
    rows = np.stack([segments.start, segments.end, segments.label, segments.score], axis=1)
    yield from compare_rows(name, rows, recording[name], PRECISION)


def published_map(recording: Arrays, segments: Segments) -> np.ndarray:
    """The mAP at each tIoU; as published, it is 0 where a class with ground truth has no prediction at all."""
    # Of equal tIoUs the published code takes the first instance, ours the last.
    truth = instances(recording, "evaluation/gt")[::-1]
    compared = to_protocol(truth, segments.scaled(1 / RATE), RATE, "published")
    tious, classes = recording["evaluation/tiou"], recording["evaluation/labels"].shape[1]
    return mean_average_precision(*compared, tious, classes) * np.isin(truth.label, segments.label).all()
