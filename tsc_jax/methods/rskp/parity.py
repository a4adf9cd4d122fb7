"""Compares RSKP with recordings of its published implementation."""

import functools
from collections.abc import Callable, Iterator

import jax
import ml_collections
import numpy as np

from tsc_jax.methods.rskp import replay, torch
from tsc_jax.methods.rskp.recorded import Setup, Videos, set_up
from tsc_jax.parity import Arrays, Row, Tolerance, compare
from tsc_jax.replay import prefixed, subset

# Names of arrays of which every recording of this method, and of no other, holds one.
MARKS = ("init/fg_center", "0/m_logits", "gt_class")

NUMBER = Tolerance(relative=1e-5)
# Of a recording: what the comparison starts from.
INPUTS = ("init/", "in/", "meta/", "run/order", "run/batch_size", "edge/features", "edge/labels", "dropout/rate")
INPUTS += ("dropout/kept",)


def checks(config: ml_collections.ConfigDict, devices: int) -> dict[str, Callable[[Arrays], Iterator[Row]]]:
    """The comparison of each file of a recording, by its name."""
    return {
        "model.npz": functools.partial(check_model, config=config, devices=devices),
    }


def check_model(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Iterator[Row]:
    """Outputs, losses, gradients, steps of the optimizer, the memory, and the published loop."""
    setup = set_up(recording, config, devices)
    start, later = (setup.params(subset(recording, prefix)) for prefix in ("init/", "adam/phase1/final/"))
    batch, number = setup.videos.batch(), int(recording["meta/steps_lambda_s"][0])
    memory = setup.method(0, 1, 1).refresh(start, {"memory": setup.empty_memory()}, setup.videos.look(), 0)[1]["memory"]
    computed = inference(setup, start) | prefixed("memory/init/", replay.as_recorded(memory))
    computed |= replay.steps(setup, start, setup.empty_memory(), 1, number)
    computed |= replay.steps(setup, later, memory, 2, number)
    computed |= prefixed("inter/", jax.device_get(replay.inter_branch(setup, later, memory, batch)))
    computed |= prefixed("grad_term/", gradients_of_terms(setup, later, memory))
    order, (batch_size, last) = recording["run/order"], recording["run/batch_size_warmup_epoch"].tolist()
    computed |= prefixed("run/", replay.run(setup, start, order, batch_size, last + 1))
    computed |= prefixed("edge/", zero_embeddings(setup, subset(recording, "init/"), subset(recording, "edge/")))
    for length in (1, 2):
        computed |= prefixed(f"short/{length}/", short_video(setup, start, length))
    computed |= prefixed("dropout/", dropout(setup, start, recording["dropout/kept"], recording["dropout/rate"]))
    for name, recorded in recording.items():
        if not name.startswith(INPUTS):
            yield compare(name, computed.get(name), recorded, NUMBER)


def inference(setup: Setup, params) -> dict[str, np.ndarray]:
    """eval/: outputs without dropout."""
    computed = jax.device_get(replay.outputs(setup, params, setup.videos.batch()))
    for video, length in enumerate(setup.videos.lengths):
        z = computed["walk_z"][video, :, :length]
        computed[f"walk_inverse_of_video_{video}"] = replay.walk_inverse(setup, z)
    return prefixed("eval/", computed)


def gradients_of_terms(setup: Setup, params, memory) -> dict[str, np.ndarray]:
    """grad_term/: gradients of single terms in the second phase; spl_phase1 has the first phase's pseudo labels."""
    computed, batch = {}, setup.videos.batch()
    for phase in (1, 2):
        second = np.full(len(batch["mask"]), phase == 2)
        for term, gradients in jax.device_get(replay.term_gradients(setup, params, memory, batch, second)).items():
            name = term if phase == 2 else f"{term}_phase1"
            computed |= prefixed(f"{name}/", torch.tensors_of(gradients))
    return computed


def zero_embeddings(setup: Setup, tensors: Arrays, edge: Arrays) -> dict[str, np.ndarray]:
    """edge/: a video with embedding rows that are exactly 0."""
    params = setup.params({**tensors, torch.BIAS: np.zeros_like(tensors[torch.BIAS])})
    video = Videos(edge["features"][None], np.array([len(edge["features"])]), edge["labels"][None])
    outputs, terms, gradients = replay.one_video(setup, params, video)
    return outputs | {"total": terms["total"]} | prefixed("grad/", gradients)


def short_video(setup: Setup, params, length: int) -> dict[str, np.ndarray]:
    """short/: the first snippets of the first video."""
    video = Videos(setup.videos.features[:1, :length], np.array([length]), setup.videos.labels[:1])
    outputs, terms, _ = replay.one_video(setup, params, video)
    return outputs | {"att_loss": terms["att"], "spl": terms["spl"]}


def dropout(setup: Setup, params, kept: np.ndarray, rate: np.ndarray) -> dict[str, np.ndarray]:
    """dropout/: the first phase with recorded masks."""
    batch, rate = setup.videos.batch(), np.float32(rate)
    arguments = (setup.empty_memory(), batch, np.zeros(len(batch["mask"]), bool), kept, rate)
    gradients, terms = jax.device_get(replay.totals(setup, params, *arguments))
    x = np.asarray(replay.embedded(setup, params, batch, kept, rate))
    return {"x": x, "total": terms["total"]} | prefixed("grad/", torch.tensors_of(gradients))
