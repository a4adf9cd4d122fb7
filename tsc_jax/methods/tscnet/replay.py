"""Computes the quantities of a recording of the published PyTorch implementation, under the same names.

A recording maps names to arrays: init/TENSOR is the start, in/features [B, T, D] and in/labels
[B, C] the batch; eval/, train/, train_stats/, loss/, grad/ and adam/ are what came out. Sizes are
read from the arrays. Everything runs under pmap, without dropout and without padding.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tsc_jax.data.batches import Deal, deal
from tsc_jax.errors import InputError
from tsc_jax.method import AXIS, Sizes, TrainState
from tsc_jax.methods.tscnet import losses, torch, torch_names
from tsc_jax.methods.tscnet.method import make
from tsc_jax.methods.tscnet.network import Outputs, apply, fuse, make_network
from tsc_jax.replay import prefixed, subset
from tsc_jax.training.parallel import make_train_step, replicate

DROPOUTS = ("dsa_bank_dropout", "dsa_dropout", "classifier_dropout", "attention_dropout")
BRANCHES = {"time": "temporal", "cluster": "semantic"}  # as recordings call them

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Setup:
    """A recording made ready to run."""

    config: ml_collections.ConfigDict  # the recipe at the recording's sizes, without dropout, with its optimizer
    sizes: torch.TensorSizes  # C, D, K
    dealt: Deal  # which rows of the batch go to which device
    batch: Arrays  # the batch so dealt, as the train step takes it
    start: Arrays  # the tensors to start from
    steps: int  # of the optimizer


def set_up(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Setup:
    """Deals the recorded batch to `devices` and fits the recipe `config` to the recorded sizes.

    Raises:
      InputError: the batch does not divide, or the tensors are not those of a TSC-Net.
    """
    for name in ("in/features", "in/labels", "adam/lr_wd_steps"):
        if name not in recording:
            raise InputError(f"{name} is missing")
    start, sizes = subset(recording, "init/"), torch.read_sizes(subset(recording, "init/"))
    videos, length, _ = recording["in/features"].shape
    rate, decay, steps = recording["adam/lr_wd_steps"].tolist()

    config = ml_collections.ConfigDict(config.to_dict())
    config.model.update(dict.fromkeys(DROPOUTS, 0.0))
    # The half keeps rounding down from giving one less.
    config.model.attention_channels = (sizes.attention_channels + 0.5) / sizes.width
    config.optimizer.update(learning_rate=rate, weight_decay=decay)
    config.bank.rows = sizes.bank_rows
    config.bank.update_rule = "gradient" if f"grad/{sizes.bank_name}" in recording else "frozen"

    dealt = deal(videos, min(config.train.pairs, videos // 2), devices)
    batch = {
        "features": recording["in/features"],
        "labels": recording["in/labels"].astype(bool),
        "mask": np.ones((videos, length), bool),
        "order": np.arange(videos, dtype=np.int32),
    }
    batch = {name: value[dealt.order] for name, value in batch.items()} | {"paired": dealt.paired}
    return Setup(config, sizes, dealt, batch, start, int(steps))


def method_of(setup: Setup):
    """TSC-Net at the sizes of the recording."""
    return make(setup.config, Sizes(setup.sizes.classes, setup.sizes.width), AXIS)


def state_of(setup: Setup, tensors: Arrays) -> TrainState:
    """A train state with the recorded tensors and a fresh optimizer."""
    method = method_of(setup)
    params, carried = jax.eval_shape(method.init, jax.random.key(0))
    params, carried, step = torch.from_tensors(tensors, params, carried)
    return TrainState(jnp.int32(step), jnp.uint32(0), params, carried, method.optimizer.init(params))


def replay_call(setup: Setup) -> dict[str, np.ndarray]:
    """One call in either mode: eval/ and train/ outputs, train_stats/ and loss/."""
    settings, state = setup.config, state_of(setup, setup.start)
    network = make_network(settings.model, setup.sizes.classes, setup.sizes.width, AXIS)

    def losses_of_one(outputs: Outputs, labels: jax.Array, mask: jax.Array) -> dict[str, jax.Array]:
        alone = jax.tree.map(lambda leaf: leaf[None], (outputs, labels, mask))
        return {name: term.sum for name, term in losses.loss_terms(*alone, jnp.zeros(0, bool), settings.loss).items()}

    def call(variables, batch: dict) -> tuple:
        inputs = (network, variables, batch["features"], variables["bank"].rows, batch["mask"])
        inference = apply(*inputs)
        training, new = apply(*inputs, train=True, mutable=["batch_stats"])
        known = (training, batch["labels"], batch["mask"])
        terms = jax.lax.psum(losses.loss_terms(*known, batch["paired"], settings.loss), AXIS)
        means = {name: term.sum / jnp.maximum(term.count, 1) for name, term in terms.items()}
        published = (published_outputs(outputs, settings.model.fusion_weight) for outputs in (inference, training))
        return (*published, jax.vmap(losses_of_one)(*known)), (new["batch_stats"], means)

    variables = method_of(setup).variables(state.params, state.carried)
    parallel = jax.pmap(call, axis_name=AXIS, in_axes=(None, 0), out_axes=(0, None))
    of_videos, (batch_stats, means) = jax.device_get(parallel(variables, setup.batch))
    back = np.argsort(setup.dealt.order, axis=None)
    of_videos = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[back], of_videos)
    inference, training, of_one = of_videos
    moved = variables | {"batch_stats": batch_stats}
    statistics = torch.tensors_of(moved, int(state.step) + 1, setup.sizes.bank_name)
    statistics = {name: statistics[name] for name in statistics if "running" in name or "tracked" in name}
    return (
        prefixed("eval/", inference)
        | prefixed("train/", training)
        | prefixed("train_stats/", statistics)
        | prefixed("loss/", published_losses(means, of_one, settings.loss))
    )


def make_replay_training(setup: Setup, call: Arrays) -> Callable[[Arrays], dict[str, np.ndarray]]:
    """A function that takes the steps of the optimizer: from tensors like `setup.start` to grad/ and adam/.

    Args:
      setup: of the recording.
      call: of `replay_call`; the recorded steps begin with the statistics that it leaves.
    """
    optimizer, bank_name, method = setup.config.optimizer, setup.sizes.bank_name, method_of(setup)
    train_step = make_train_step(method)

    def replay_training(start: Arrays) -> dict[str, np.ndarray]:
        state = state_of(setup, {**start, **subset(call, "train_stats/")})
        state = replicate(state, len(setup.dealt.order))
        totals, gradients = [], {}
        for _ in range(setup.steps):
            state, values = train_step(state, setup.batch)
            totals.append(float(values["total"]))
            if not gradients:
                moments = first_moments(state, bank_name)
                seen = {name: moment / (1 - optimizer.beta1) for name, moment in moments.items()}
                gradients = {name: seen[name] - optimizer.weight_decay * start[name] for name in seen}
        state = jax.device_get(state)
        final = torch.tensors_of(method.variables(state.params, state.carried), int(state.step), bank_name)
        return prefixed("grad/", gradients) | prefixed("adam/final/", final) | {"adam/losses": np.array(totals)}

    return replay_training


def first_moments(state: TrainState, bank_name: str) -> dict[str, np.ndarray]:
    """Adam's first moments under the names of the tensors that they belong to."""
    moments = jax.device_get(state.opt_state[1].mu)
    named = torch_names.to_state_dict({"params": moments["network"]})
    if "bank" in moments:
        named[bank_name] = torch.published_bank(moments["bank"], bank_name)
    return named


def published_outputs(outputs: Outputs, fusion_weight: float) -> dict[str, jax.Array]:
    """The outputs under the names of a recording, all [B, T, .]."""
    cas, attention = fuse(outputs, fusion_weight)
    named = {"multiscal_feat": outputs.pyramid, "cas": cas, "attn": attention[..., None]}
    for theirs, ours in BRANCHES.items():
        branch = getattr(outputs, ours)
        named[f"{theirs}_feat"] = branch.features
        named[f"cas_{theirs}"], named[f"attn_{theirs}"] = branch.cas, branch.attention[..., None]
    return named


def published_losses(means: Arrays, of_one: Arrays, settings) -> dict[str, np.ndarray]:
    """The losses under the names of a recording: the two of `mil` per video, the others means."""
    named = {"recon": means["semantic/reconstruction"]}
    for theirs, ours in BRANCHES.items():
        of_branch = {name: mean for name, mean in means.items() if name.startswith(ours)}
        named |= {f"{theirs}/{kind}": of_one[f"{ours}/{kind}"] for kind in ("mil", "mil_suppressed")}
        named |= {f"{theirs}/{kind}": means[f"{ours}/{kind}"] for kind in ("guide", "contrastive")}
        named[f"{theirs}/total"] = sum(settings.weights[name.split("/")[1]] * mean for name, mean in of_branch.items())
    return named
