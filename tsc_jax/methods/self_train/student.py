"""What a student is: what self-training needs of it beyond the stage itself."""

import dataclasses
from collections.abc import Callable

import flax.linen as nn


@dataclasses.dataclass(frozen=True)
class Student:
    """A network, what it learns from pseudo segments, and how segments are read from its answer.

    The answer is what the network returns, any pytree. S is the number of snippets of all training videos.
    """

    network: nn.Module  # standardized features [B, T, D], mask bool [B, T], order int32 [B] or None -> answer
    # Segments in snippets, the length of each video -> arrays [S, ...] by name, one video after the other: what the
    # loss wants to know of every snippet. "labels" int32 [S], the class or C for background, is always there.
    targets: Callable
    loss: Callable  # answer, the targets of the batch [B, T, ...] by name, mask -> {name: Term}
    outputs: Callable  # answer, mask -> Outputs
    # As in `Method`:
    localize: Callable
    class_scores: Callable
    probabilities: bool
