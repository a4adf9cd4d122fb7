"""Where each tensor of the published PyTorch implementation lives here.

PyTorch names and layouts: a convolution is (out, in, taps), a linear map (out, in);
Flax has (taps, in, out) and (in, out).
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import flax
import numpy as np

BANK_NAMES = ("clustering_thumos_train", "clustering_activitynet_train")

# PyTorch module -> our module, its parameters and batch statistics.
CONVOLUTIONS = {
    "conv_1x1": "mfip/level1",
    "conv_3x1": "mfip/level2",
    "conv_5x1": "mfip/level3",
    "concat_conv.0": "mfip/fuse",
    **{
        f"{theirs}_{kind}": f"{ours}/{name}"
        for theirs, ours in (("time", "temporal_head"), ("cluster", "semantic_head"))
        for kind, name in (
            ("classifier.0", "class_hidden"),
            ("Attn.0", "attention_hidden1"),
            ("Attn.3", "attention_hidden2"),
        )
    },
}
POINTWISE_CONVOLUTIONS = {
    **{f"MHSA_Intra.conv_{name}": f"tce/{name}" for name in ("query", "key", "value", "out")},
    "time_classifier.3": "temporal_head/class_logits",
    "time_Attn.5": "temporal_head/attention_logit",
    "cluster_classifier.3": "semantic_head/class_logits",
    "cluster_Attn.5": "semantic_head/attention_logit",
}
LINEARS = {
    **{
        f"cluster_transformer.mhatt.attention.fc_{letter}": f"dsa/{name}"
        for letter, name in (("q", "query"), ("k", "key"), ("v", "value"), ("o", "out"))
    },
    "cluster_transformer.pwff.fc1": "dsa/feedforward1",
    "cluster_transformer.pwff.fc2": "dsa/feedforward2",
}
NORMS = {
    "MHSA_Intra.bn": "tce/norm",
    "cluster_transformer.mhatt.attention.bn": "dsa/norm_attention",
    "cluster_transformer.bn": "dsa/norm_residual",
    "cluster_transformer.pwff.bn": "dsa/norm_feedforward",
}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor in both worlds."""

    theirs: str  # its PyTorch name
    ours: tuple[str, ...]  # its place in the variables, from the collection ("params", "batch_stats") down
    to_ours: Callable[[np.ndarray], np.ndarray] = lambda x: x  # changes the layout; its inverse is `to_theirs`
    to_theirs: Callable[[np.ndarray], np.ndarray] = lambda x: x


def tensors() -> Iterator[Tensor]:
    """All tensors of the network; the bank and the BatchNorm step counters are not among them."""

    def swap(x: np.ndarray) -> np.ndarray:
        return x.transpose()

    layouts = (
        (CONVOLUTIONS, swap, swap),
        (POINTWISE_CONVOLUTIONS, lambda x: x[..., 0].T, lambda x: x.T[..., None]),
        (LINEARS, swap, swap),
    )
    for modules, to_ours, to_theirs in layouts:
        for theirs, ours in modules.items():
            path = ("params", *ours.split("/"))
            yield Tensor(f"{theirs}.weight", (*path, "kernel"), to_ours, to_theirs)
            yield Tensor(f"{theirs}.bias", (*path, "bias"))
    for theirs, ours in NORMS.items():
        path = ours.split("/")
        yield Tensor(f"{theirs}.weight", ("params", *path, "scale"))
        yield Tensor(f"{theirs}.bias", ("params", *path, "bias"))
        yield Tensor(f"{theirs}.running_mean", ("batch_stats", *path, "mean"))
        yield Tensor(f"{theirs}.running_var", ("batch_stats", *path, "var"))


def to_variables(state_dict: Mapping[str, np.ndarray]) -> dict:
    """The variables {"params", "batch_stats"} among the tensors of a PyTorch state_dict."""
    return flax.traverse_util.unflatten_dict(
        {
            tensor.ours: np.ascontiguousarray(tensor.to_ours(state_dict[tensor.theirs]))
            for tensor in tensors()
            if tensor.theirs in state_dict
        }
    )


def to_state_dict(variables: dict) -> dict[str, np.ndarray]:
    """The tensors of variables {"params", ...} under their PyTorch names and layouts."""
    flat = flax.traverse_util.flatten_dict(variables)
    return {
        tensor.theirs: np.ascontiguousarray(tensor.to_theirs(np.asarray(flat[tensor.ours])))
        for tensor in tensors()
        if tensor.ours in flat
    }
