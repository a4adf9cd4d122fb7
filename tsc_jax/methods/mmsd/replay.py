"""Replays recordings of MMSD: the same videos, weights, dropout masks and steps, under the recorded names."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tsc_jax.data.dataset import Split, Video
from tsc_jax.inference import Look
from tsc_jax.method import AXIS, Method, Sizes, TrainState
from tsc_jax.methods.mmsd import torch
from tsc_jax.methods.mmsd.losses import video_losses
from tsc_jax.methods.mmsd.method import make
from tsc_jax.methods.mmsd.network import STREAMS, make_network
from tsc_jax.methods.mmsd.voting import Votes, vote
from tsc_jax.nn.cosine import Scores, unit
from tsc_jax.optimizer import learning_rate
from tsc_jax.replay import Arrays, gradients_of, prefixed, recorded_batch, state_of, subset, take_steps

# The recorded name of each term.
RECORDED_TERMS = {
    "class_agnostic": "ce_agnostic",
    "class_specific": "ce_specific",
    "contrast": "contrast",
    "separation": "separation",
    "distillation": "distill",
    "pseudo_labels": "pseudo",
}
# The layers whose dropout masks are recorded, and the recorded names.
MASKS = {
    "rgb_first": "rgb_embedding.process1.2",
    "rgb_second": "rgb_embedding.process2.2",
    "flow_first": "flow_embedding.process1.2",
    "flow_second": "flow_embedding.process2.2",
    "fusion": "fusion_embedding.2",
}
# The layer that ends in the embedding of a stream.
EMBEDDINGS = {"rgb": "rgb_second", "flow": "flow_second", "peer": "fusion"}


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a recording tells before anything is computed."""

    config: ml_collections.ConfigDict  # dropout is off
    method: Method
    batch: dict[str, np.ndarray]  # one row of devices: [1, B, ...]
    dealt: dict[str, np.ndarray]  # the same videos on all devices that share them
    look: Look  # at the same videos
    refresh_at: tuple[int, ...]  # as the method's, also after the last step
    start: TrainState

    @property
    def mask(self) -> np.ndarray:
        """Where snippets are, bool [B, T]."""
        return self.batch["mask"][0]


def set_up(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Setup:
    """Reads sizes, settings, videos and weights of a recording of a model; one step shows every video once."""
    videos, _, width, embedding, classes = (int(size) for size in recording["meta/dims"])
    features, lengths = recording["in/features"], recording["in/lengths"]
    labels = recording["in/labels"].astype(bool)
    rate, decay, beta1, beta2, epsilon = recording["meta/lr_wd_beta1_beta2_eps"].tolist()
    last, factor = recording["meta/decay_after_step_factor"].tolist()
    epochs = tuple(np.cumsum(recording["meta/steps"]).tolist())
    changes = {"embedding_width": embedding, "dropout": 0.0}
    config = config_with(config, "model", changes)
    config = config_with(config, "pseudo", {"refresh_epochs": epochs})
    config = config_with(config, "train", {"batch_size": videos})
    optimizer = {"learning_rate": rate, "weight_decay": decay, "beta1": beta1, "beta2": beta2, "epsilon": epsilon}
    optimizer |= {"milestones": (int(last),), "milestone_factor": factor}
    config = config_with(config, "optimizer", optimizer)
    method = make(config, Sizes(classes, 2 * width, videos, int(lengths.sum())), AXIS)
    template = jax.eval_shape(method.init, jax.random.key(0))
    params, carried, _ = torch.from_tensors(subset(recording, "init/"), *template)
    shown = [
        Video(str(number), int(length), 0.0, labels[number], np.zeros((0, 2)), np.zeros(0, np.int64))
        for number, length in enumerate(lengths)
    ]
    split = Split(tuple(shown), np.arange(videos), lambda number: features[number, : lengths[number]])
    return Setup(
        config,
        method,
        recorded_batch(features, labels, lengths, 1),
        recorded_batch(features, labels, lengths, devices),
        Look(split, 0, config.eval.batch_snippets),
        epochs,
        state_of(method, params, carried),
    )


def config_with(config: ml_collections.ConfigDict, section: str, changes: dict) -> ml_collections.ConfigDict:
    """A copy of the recipe with some values of one section changed."""
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config[section].update(changes)
    return config


def apply(setup: Setup, params: Any, masks: Arrays | None = None, rate: float = 0.0) -> tuple[dict[str, Scores], dict]:
    """The scores of all streams, and the embedding [B, T, E] of each.

    With `masks`, of what each dropout keeps, [B, T, E] by the name of the layer, dropout has the rate `rate`.
    """
    network = make_network(setup.config.model, setup.batch["labels"].shape[-1])

    def keep(next_function, arguments, keywords, context):
        """Lets every dropout keep what the masks say."""
        if masks is None or context.module.name != "dropout" or context.method_name != "__call__":
            return next_function(*arguments, **keywords)
        return jnp.where(masks[context.module.path[0]], arguments[0] / (1 - rate), 0)

    def run(params):
        with nn.intercept_methods(keep):
            inputs = (setup.batch["features"][0], setup.batch["mask"][0])
            return network.apply({"params": params}, *inputs, capture_intermediates=True)

    scores, held = jax.jit(run)(params)
    embeddings = {stream: held["intermediates"][layer]["__call__"][0] for stream, layer in EMBEDDINGS.items()}
    return {stream: scores[stream] for stream in STREAMS[2]}, embeddings  # jit has sorted the streams by name


def outputs(setup: Setup, params: Any, **masks: Any) -> dict[str, np.ndarray]:
    """The outputs as STREAM/NAME; `masks` are the last two arguments of `apply`."""
    scores, embeddings = apply(setup, params, **masks)
    named = {}
    for stream, own in scores.items():
        of_stream = {
            "video_agnostic": jax.nn.softmax(own.agnostic),
            "video_specific": jax.nn.softmax(own.specific),
            "attention": masked(own.attention, setup.mask),
            "scores": masked(own.cas, setup.mask),
            "unit_embedding": masked(unit(embeddings[stream]), setup.mask),
        }
        named |= prefixed(f"{stream}/", of_stream)
    return named


def masked(x: jax.Array, mask: np.ndarray) -> jax.Array:
    """Zeros where there is no snippet: [B, T, ...]."""
    return jnp.where(mask.reshape(*mask.shape, *[1] * (x.ndim - 2)), x, 0)


def trained(setup: Setup, masks: Arrays, rate: float) -> dict[str, np.ndarray]:
    """Outputs in both modes at the start, and all phases: a phase is the steps up to a refresh."""
    kept = {layer: masks[name].astype(bool) for layer, name in MASKS.items()}
    computed = prefixed("eval/", outputs(setup, setup.start.params))
    computed |= prefixed("train/", outputs(setup, setup.start.params, masks=kept, rate=rate))
    state, losses = setup.start, []
    for number, refresh_step in enumerate(setup.refresh_at, 1):
        computed |= phase(setup, state, number)
        taken = take_steps(setup.method, state, setup.dealt, refresh_step - int(state.step))
        state = taken[-1][0]
        losses += [values["total"] for _, values in taken]
        computed |= prefixed(f"adam/after{refresh_step}/", torch.tensors_of(state.params))
        _, carried, _ = setup.method.refresh(state.params, state.carried, setup.look, refresh_step)
        state = state.replace(carried=carried)
        computed |= prefixed(f"pseudo/refresh{number}/", carried_labels(setup, state))
    schedule = learning_rate(setup.config.optimizer)
    rates = [schedule(step) if callable(schedule) else schedule for step in range(setup.refresh_at[-1])]
    return computed | {"adam/losses": np.array(losses), "adam/lr": np.array(rates)}


def phase(setup: Setup, state: TrainState, number: int) -> dict[str, np.ndarray]:
    """Losses, gradients and votes at the first step of a phase."""
    scores, _ = apply(setup, state.params)
    votes = votes_of(setup, state, scores)
    computed = prefixed("vote/", votes_as_recorded(setup, votes)) if number == 2 else {}
    gradients, values, _ = gradients_of(setup.method, state, setup.dealt)
    losses = losses_of(setup, scores, votes) | {"sum": values["total"]}
    computed |= prefixed(f"loss/phase{number}/", losses)
    return computed | prefixed(f"grad/phase{number}/", torch.tensors_of(gradients))


def votes_of(setup: Setup, state: TrainState, scores: dict[str, Scores]) -> Votes:
    """The votes on all snippets, from the first refresh on."""
    batch = {name: array[0] for name, array in setup.batch.items()}
    carried = jnp.asarray(state.carried["labels"])[:, batch["snippets"]]
    allowed = batch["mask"] & (int(state.step) >= setup.refresh_at[0])
    return vote(scores, carried, batch["labels"], allowed, setup.config.pseudo)


def votes_as_recorded(setup: Setup, votes: Votes) -> dict[str, np.ndarray]:
    """The votes as STREAM/NAME."""
    named = {}
    for number, stream in enumerate(STREAMS[2]):
        of_stream = {"confidence": votes.confidence, "label": votes.target, "mask": votes.selected}
        named |= {f"{stream}/{name}": masked(array[number], setup.mask) for name, array in of_stream.items()}
    return named


def losses_of(setup: Setup, scores: dict[str, Scores], votes: Votes) -> dict[str, np.ndarray]:
    """The unweighted losses [B] as STREAM/TERM, and their weighted "total"."""
    settings, named, total = setup.config.loss, {}, 0
    for name, values in video_losses(scores, setup.batch["labels"][0], setup.mask, votes, settings).items():
        stream, term = name.split("/")
        named[f"{stream}/{RECORDED_TERMS[term]}"] = values
        total += settings.weights[term] * values
    return named | {"total": total}


def carried_labels(setup: Setup, state: TrainState) -> dict[str, np.ndarray]:
    """What is carried after a refresh, and the attention that it saw, as STREAM/NAME."""
    scores, _ = apply(setup, state.params)
    named = {}
    for number, (stream, own) in enumerate(scores.items()):
        named[f"{stream}/attention"] = masked(own.attention, setup.mask)
        for name, recorded in (("labels", "label"), ("confidence", "confidence")):
            named[f"{stream}/{recorded}"] = np.zeros(setup.mask.shape, np.float32)
            named[f"{stream}/{recorded}"][setup.mask] = state.carried[name][number]
    return named
