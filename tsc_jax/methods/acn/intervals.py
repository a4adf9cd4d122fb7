"""The intervals that slide over a video, and the snippets that they cover.

For each of A anchor sizes P, an interval starts as [t, t + P) at every snippet t with t + P < T, and the regressor
moves both ends. The functions take NumPy arrays (float64, at test) and JAX arrays (float32, in training) alike.
Arrays of intervals are [B, A, T]: row t of an anchor is the interval that started at snippet t. Snippet t fills the
time from t to t + 1.
"""

from typing import Any, NamedTuple

Array = Any  # of NumPy or JAX


class Intervals(NamedTuple):
    """Intervals in snippets, [B, A, T] each; what does not exist has finite but meaningless bounds."""

    start: Array  # s
    end: Array  # e
    outer_start: Array  # s less the inflation
    outer_end: Array  # e plus the inflation
    exists: Array  # bool


def make_intervals(regressed: Array, lengths: Array, settings) -> Intervals:
    """The intervals that the regressors propose.

    Args:
      regressed: [B, T, A, 2], the outputs of the regressors at every snippet: start and end.
      lengths: int [B], snippets of each video.
      settings: `config.intervals`.
    """
    xp, count = regressed.__array_namespace__(), regressed.shape[1]
    anchors = xp.asarray(settings.anchors)[None, :, None]
    sizes, snippets = anchors.astype(regressed.dtype), xp.arange(count)[None, None]
    # sigmoid(x) - 1/2 = tanh(x / 2) / 2; the start is read at the first snippet, the end at the one P later.
    moves = xp.moveaxis(xp.tanh(regressed / 2) / 2, 1, -1)
    read_at = xp.broadcast_to(xp.minimum(snippets + anchors, count - 1), moves[:, :, 1].shape)
    last = last_time(lengths, settings)
    start = within(snippets + sizes * moves[:, :, 0], last)
    end = within(snippets + sizes + sizes * xp.take_along_axis(moves[:, :, 1], read_at, axis=-1), last)
    return with_flanks(start, end, lengths, settings)


def with_flanks(start: Array, end: Array, lengths: Array, settings) -> Intervals:
    """Intervals with bounds [B, A, T] inside their videos, inflated by a quarter of the anchor on both sides."""
    xp, last = start.__array_namespace__(), last_time(lengths, settings)
    anchors = xp.asarray(settings.anchors)[None, :, None]
    margin = xp.maximum(anchors.astype(start.dtype) / 4, settings.outer_min)
    exists = xp.arange(start.shape[-1])[None, None] < lengths[:, None, None] - anchors
    return Intervals(start, end, within(start - margin, last), within(end + margin, last), exists)


def last_time(lengths: Array, settings) -> Array:
    """The largest bound in each video, int [B, 1, 1]: its end, or the index of its last snippet."""
    return lengths[:, None, None] - (1 if settings.reading == "inclusive" else 0)


def within(time: Array, last: Array) -> Array:
    """`time` clipped to the video; what is clipped gets no gradient."""
    xp = time.__array_namespace__()
    last = xp.broadcast_to(last, time.shape)
    return xp.where(time < 0, 0, xp.where(time > last, last, time))


def covered(intervals: Intervals, settings) -> tuple[Array, Array]:
    """The first snippet that each interval covers, and the one after the last: int; it covers their middles."""
    xp = intervals.start.__array_namespace__()
    overhang = settings.reading == "inclusive"
    first, after = xp.ceil(intervals.start - 0.5), xp.ceil(intervals.end + overhang - 0.5)
    return first.astype(int), after.astype(int)


def alive(intervals: Intervals, scp: Array, settings) -> Array:
    """Which intervals may be kept, by class: bool [B, C, A, T]; they exist, cover a snippet and hit no bad one.

    Args:
      intervals: of the videos.
      scp: [B, T, C], class evidence; a snippet with less than `config.selection.evidence` is bad.
      settings: the recipe.
    """
    xp, count = scp.__array_namespace__(), scp.shape[1]
    first, after = covered(intervals, settings.intervals)
    bad = xp.moveaxis(scp < settings.selection.evidence, -1, 1)  # [B, C, T]

    def look_up(values: Array, place: Array) -> Array:
        """values [B, C, n] at place [B, A, T] -> [B, C, A, T]."""
        flat = xp.clip(place, 0, values.shape[-1] - 1).reshape(len(place), 1, -1)
        flat = xp.broadcast_to(flat, (*values.shape[:2], flat.shape[-1]))
        return xp.take_along_axis(values, flat, axis=-1).reshape(*values.shape[:2], *place.shape[1:])

    if settings.selection.veto == "centre":
        overhang = settings.intervals.reading == "inclusive"
        centre = xp.floor((intervals.start + intervals.end + overhang) / 2).astype(int)
        hit = look_up(bad, xp.minimum(centre, count - 1))
    else:
        before = xp.pad(xp.cumsum(bad.astype(int), axis=-1), ((0, 0), (0, 0), (1, 0)))
        hit = look_up(before, after) > look_up(before, first)
    return (intervals.exists & (after > first))[:, None] & ~hit
