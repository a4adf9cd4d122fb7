"""Density rescoring: a proposal gains where many good proposals of its class lie on nearly the same stretch."""

import dataclasses

import numpy as np

from tsc_jax.localization.groups import clusters, groups, pairs
from tsc_jax.localization.nms import tiou
from tsc_jax.localization.segments import Segments


def by_density(segments: Segments, power: float) -> Segments:
    """Multiplies every score by density^power; for proposals before NMS.

    The density of a proposal is the sum of tIoU times score over all proposals of its video and class, itself included.
    Proposals of a score below 0 count nothing in these sums, and a score of 0 or less stays as it is. Times are in any
    unit. Returns the proposals in the same order; `power` 0 changes nothing.
    """
    if not power:
        return segments
    cluster = clusters(groups(segments), segments.start, segments.end)
    order = np.argsort(cluster, kind="stable")
    start, end = segments.start[order], segments.end[order]
    weight = np.maximum(segments.score[order], 0)
    first, last = (np.searchsorted(cluster[order], cluster[order], side) for side in ("left", "right"))
    density = np.empty(len(segments))
    for row, other, rows in pairs(first, last):
        shares = tiou(start[row], end[row], start[other], end[other]) * weight[other]
        density[rows] = np.bincount(row - rows.start, shares)
    # A proposal without length overlaps nothing, not even itself.
    density = np.maximum(density, weight)
    score = segments.score.copy()
    score[order] *= np.where(weight > 0, density, 1) ** power
    return dataclasses.replace(segments, score=score)
