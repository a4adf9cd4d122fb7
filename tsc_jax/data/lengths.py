"""The lengths that videos are padded to, one compilation each."""

import numpy as np

MAX_LENGTHS = 8  # each costs a compilation
WASTE = 0.2  # padding that is accepted to save one, as a share of the snippets


def padded_lengths(lengths: np.ndarray) -> np.ndarray:
    """Lengths to pad to, rising: the fewest that keep padding below WASTE, at most MAX_LENGTHS, placed best.

    A single video is padded to one of four lengths per octave, so that videos given one by one share compilations.
    """
    if len(lengths) == 1:
        step = 2 ** max(0, int(lengths[0]).bit_length() - 3)
        return -(-lengths // step) * step
    enough = sum(lengths) * (1 + WASTE)
    for number in range(1, MAX_LENGTHS + 1):
        buckets = tightest_lengths(lengths, number)
        if buckets[np.searchsorted(buckets, lengths)].sum() <= enough:
            break
    return buckets


def tightest_lengths(lengths: np.ndarray, number: int) -> np.ndarray:
    """At most `number` lengths to pad to, rising, that together need the least padding.

    Exact, by dynamic programming over the distinct lengths: cost[j] is the least padded total of the
    videos of the first j lengths if a bucket ends with the last of them.
    """
    distinct, counts = np.unique(lengths, return_counts=True)
    videos = np.concatenate([[0], np.cumsum(counts)])
    # bucket[i, j]: padded total if lengths i .. j - 1 share a bucket; infinite where there are none.
    bucket = (videos[None, :] - videos[:, None]) * np.concatenate([[0], distinct]).astype(float)
    bucket[np.tril_indices_from(bucket)] = np.inf
    cost, choices = np.append(0.0, np.full(len(distinct), np.inf)), []
    for _ in range(min(number, len(distinct))):
        totals = cost[:, None] + bucket
        choices.append(totals.argmin(axis=0))
        cost = totals.min(axis=0)
    ends, end = [], len(distinct)
    for choice in reversed(choices):
        ends.append(distinct[end - 1])
        end = choice[end]
    return np.array(ends[::-1])
