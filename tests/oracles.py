"""What the fast code must equal: the method's page written down as plain loops."""

import math

import numpy as np


def proposals(
    cas,
    attention,
    attention_thresholds,
    topk_ratio,
    class_threshold,
    outer_ratio,
    video_score_weight,
    nms_sigma,
):
    """Rows (start, end, class, score) of one video, in order."""
    activations = cas * attention[:, None]
    snippets = len(activations)
    top = max(1, snippets // topk_ratio)
    pooled = [sum(sorted(column)[-top:]) / top for column in activations.T.tolist()]
    scores = [math.exp(value) / sum(map(math.exp, pooled)) for value in pooled][:-1]
    classes = [c for c, score in enumerate(scores) if score >= class_threshold] or [int(np.argmax(scores))]
    rows = []
    for c in classes:
        of_class = []
        for threshold in np.linspace(*attention_thresholds):
            above = [t for t in range(snippets) if attention[t] > threshold]
            if above == [0]:
                continue
            for start, end in runs(above):
                quarter = outer_ratio * (end - start)
                band = [*range(max(0, int(start - quarter)), start)]
                band += range(end, min(snippets - 1, int(end - 1 + quarter)) + 1)
                inside = mean([float(activations[t, c]) for t in range(start, end)])
                outside = mean([float(activations[t, c]) for t in band])
                of_class.append((start, end, inside - outside + video_score_weight * scores[c]))
        rows += [(start, end, c, score) for start, end, score in soft_nms(of_class, nms_sigma)]
    return rows


def runs(above):
    """(start, end) of consecutive numbers in a rising list, `end` exclusive."""
    starts = [t for t in above if t - 1 not in above]
    ends = [t + 1 for t in above if t + 1 not in above]
    return list(zip(starts, ends, strict=True))


def mean(values):
    return sum(values) / len(values) if values else 0.0


def soft_nms(rows, sigma, plus=1):
    """Rows (start, end, score) of one group in the order taken, with the scores they had then."""
    rows, taken = list(rows), []
    while rows:
        best = rows.pop(max(range(len(rows)), key=lambda i: (rows[i][2], -i)))
        taken.append(best)
        rows = [(s, e, score * np.exp(-np.square(tiou((s, e), best, plus)) / sigma)) for s, e, score in rows]
    return taken


def hard_nms(rows, limit, overlap, plus=0):
    """Rows (start, end, score) of one group that no better one overlaps by more than `limit`, in the order taken."""
    rows, taken = list(rows), []
    while rows:
        best = rows.pop(max(range(len(rows)), key=lambda i: (rows[i][2], -i)))
        taken.append(best)
        rows = [row for row in rows if overlap(row, best, plus) <= limit]
    return taken


def tiou(one, other, plus=0):
    overlap = max(0, min(one[1], other[1]) - max(one[0], other[0]) + plus)
    union = (one[1] - one[0] + plus) + (other[1] - other[0] + plus) - overlap
    return overlap / union if union else 0.0


def covered_share(one, other, plus=0):
    overlap = max(0, min(one[1], other[1]) - max(one[0], other[0]) + plus)
    return overlap / (one[1] - one[0] + plus) if overlap else 0.0


def average_precision(truth, predictions, threshold):
    """AP of one class; `truth` has rows (video, start, end), `predictions` also a score."""
    taken, hits = set(), []
    for video, start, end, _ in sorted(predictions, key=lambda row: -row[3]):
        overlaps = [(tiou((start, end), row[1:]), i) for i, row in enumerate(truth) if row[0] == video]
        match = [i for overlap, i in sorted(overlaps, reverse=True) if overlap >= threshold and i not in taken]
        taken |= set(match[:1])
        hits.append(bool(match))
    precision = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
    return sum(max(precision[i:]) for i, hit in enumerate(hits) if hit) / len(truth)
