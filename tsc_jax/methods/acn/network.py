"""ACN's regressors: for every stream one small dilated network per anchor size."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from tsc_jax.nn.layers import Numerics, TemporalConv, pytorch_uniform, uniform_within


class Regressor(nn.Module):
    """How far the ends of an interval of one size move, before the logistic function."""

    hidden: int  # H
    dilation: int  # snippets between two taps
    numerics: Numerics

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """[B, T, D] -> [B, T, 2]: of the start and of the end."""

        def conv(name: str, x: jax.Array, channels: int, taps: int, dilation: int) -> jax.Array:
            bias_init = uniform_within((taps * x.shape[-1]) ** -0.5)
            return TemporalConv(
                channels, taps, self.numerics, pytorch_uniform, bias_init=bias_init, dilation=dilation, name=name
            )(x, mask)

        x = nn.relu(conv("conv1", x, self.hidden, 3, self.dilation))
        x = nn.relu(conv("conv2", x, self.hidden, 3, self.dilation))
        return conv("conv3", x, 2, 1, 1).astype(jnp.float32)


class Regressors(nn.Module):
    """The regressors of one stream."""

    anchors: tuple[int, ...]  # sizes in snippets
    dilations: tuple[int, ...]  # of each anchor's regressor
    hidden: int  # H
    numerics: Numerics

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """[B, T, D] -> [B, T, A, 2]."""
        of_anchors = [
            Regressor(self.hidden, dilation, self.numerics, name=f"anchor_{anchor}")(x, mask)
            for anchor, dilation in zip(self.anchors, self.dilations, strict=True)
        ]
        return jnp.stack(of_anchors, axis=2)


def make_network(config, mapped: bool) -> Regressors:
    """The regressors of a stream; `mapped` as in `methods.make`."""
    model, anchors = config.model, tuple(config.intervals.anchors)
    dilations = tuple(dilation_of(anchor, model.dilation) for anchor in anchors)
    return Regressors(anchors, dilations, model.hidden, Numerics(jnp.dtype(model.dtype), mapped))


def dilation_of(anchor: int, rule: str) -> int:
    """floor(P / 4) + 1, or under the rule "quarter" floor(P / 4) but at least 1."""
    return max(1, anchor // 4) if rule == "quarter" else anchor // 4 + 1
