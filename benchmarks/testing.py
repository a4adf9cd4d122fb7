"""The test pass over videos like THUMOS-14's: forward, proposals and mAP."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np

from benchmarks import machine
from benchmarks.training import recipe
from tsc_jax.evaluation.detection import average_precisions
from tsc_jax.inference import infer, make_inference
from tsc_jax.localization.segments import Segments, make_segments
from tsc_jax.method import Sizes, first_state

CLASSES, VIDEOS, INSTANCES = 20, 212, 3358
TIOUS = np.linspace(0.1, 0.9, 9)


def thumos_lengths() -> np.ndarray:
    """Snippets of 212 videos: log-normal around THUMOS-14's median of 241, the longest 2,615 as there."""
    lengths = np.exp(np.random.default_rng(0).normal(np.log(241), 0.8, VIDEOS)).astype(int)
    lengths = np.clip(lengths, 8, 2615)
    lengths[lengths.argmax()] = 2615
    return lengths


def smooth_noise(rng: np.random.Generator, length: int, channels: int, smoothness: int) -> np.ndarray:
    """Noise of unit variance averaged over `smoothness` snippets, [length, channels]."""
    noise = rng.normal(size=(length + smoothness - 1, channels)).cumsum(axis=0)
    noise = np.concatenate([np.zeros((1, channels)), noise])
    return ((noise[smoothness:] - noise[:-smoothness]) / np.sqrt(smoothness)).astype(np.float32)


def made_up_outputs(lengths: np.ndarray) -> list[dict[str, np.ndarray]]:
    """CAS and attention that give about 56,000 proposals, as the published network does on THUMOS-14's test videos.

    Smooth noise; one or two classes of each video stand out.
    """
    rng = np.random.default_rng(1)
    outputs = []
    for length in lengths:
        of_video = smooth_noise(rng, length, CLASSES + 1, 4)
        of_video[:, rng.choice(CLASSES, rng.integers(1, 3), replace=False)] += 4
        attention = 1 / (1 + np.exp(-2 * smooth_noise(rng, length, 1, 12)[:, 0]))
        outputs.append({"cas": of_video, "attention": attention})
    return outputs


def made_up_truth(lengths: np.ndarray) -> Segments:
    """Instances of all classes, of 2 to 12 snippets."""
    rng = np.random.default_rng(2)
    video = rng.integers(VIDEOS, size=INSTANCES)
    start = (rng.random(INSTANCES) * lengths[video]).astype(int)
    end = np.minimum(start + rng.integers(2, 13, INSTANCES), lengths[video])
    return make_segments(video, rng.integers(CLASSES, size=INSTANCES), start, end)


def test_pass(repeats: int, width: int, snippets: int) -> Iterator[dict]:
    """The three parts of an evaluation of 212 videos, first and later passes of the forward."""
    del snippets
    config, lengths = recipe("float32"), thumos_lengths()
    inference = make_inference(config, Sizes(CLASSES, width))
    state, localize = first_state(inference.method, 0), inference.method.localize
    variables = inference.method.variables(state.params, state.carried)
    features = [np.random.default_rng(i).random((length, width), np.float32) for i, length in enumerate(lengths)]
    split = SimpleNamespace(videos=[SimpleNamespace(num_snippets=n) for n in lengths], features=features.__getitem__)
    made_up = made_up_outputs(lengths)
    truth = made_up_truth(lengths)
    proposals = localize(made_up)

    def whole_forward() -> float:
        start = time.perf_counter()
        how = (inference, variables, split, np.arange(VIDEOS), config.eval.batch_snippets)
        assert sum(len(outputs["cas"]) for _, outputs in infer(*how)) == lengths.sum()
        return time.perf_counter() - start

    first = whole_forward()
    measures = {
        "forward": whole_forward,
        "proposals": lambda: machine.seconds(lambda: len(localize(made_up))),
        "mAP": lambda: machine.seconds(lambda: average_precisions(truth, proposals, TIOUS, CLASSES).sum()),
    }
    samples = machine.interleaved(measures, repeats)
    yield {"name": f"forward of {VIDEOS} videos, D {width}, first (compiles)", "unit": "s", "samples": [first]}
    yield {"name": f"forward of {VIDEOS} videos, D {width}", "unit": "s", "samples": samples["forward"]}
    yield {"name": f"proposals and soft-NMS, {len(proposals)} proposals", "unit": "s", "samples": samples["proposals"]}
    yield {"name": f"mAP at 9 tIoUs, {INSTANCES} instances", "unit": "s", "samples": samples["mAP"]}
    whole = [sum(parts) for parts in zip(*samples.values(), strict=True)]
    yield {"name": "whole test pass", "unit": "s", "samples": whole}
