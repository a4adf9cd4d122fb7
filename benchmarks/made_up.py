"""Made-up features in the form and size of THUMOS-14."""

import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.testing import made_up_truth, smooth_noise, thumos_lengths
from tsc_jax.data.builder import config_of
from tsc_jax.data.source import SourceVideo

KNOWN = config_of("thumos14")
SMOOTHNESS, SPREAD = 4, 0.4  # snippets that share noise; its standard deviation, relative to means of about 1


def made_up_videos() -> list[SourceVideo]:
    """Training and test videos of THUMOS-14's lengths, with as many segments as its test videos have."""
    lengths = thumos_lengths()
    truth = made_up_truth(lengths)
    videos = []
    for subset, count in zip(KNOWN.subsets, (200, len(lengths)), strict=True):
        for place in range(count):
            own = truth.video == place
            seconds = np.stack([truth.start[own], truth.end[own]], axis=1) / KNOWN.snippets_per_second
            names = tuple(KNOWN.classes[label] for label in truth.label[own])
            labels, duration = tuple(dict.fromkeys(names)), (lengths[place] + 0.5) / KNOWN.snippets_per_second
            segments = tuple(map(tuple, seconds.tolist()))
            name = f"video_{subset}_{place:07}"
            videos.append(SourceVideo(name, float(duration), labels, segments, names, subset=subset))
    return videos


def write(folder: Path, videos: list[SourceVideo], width: int) -> int:
    """Writes the features and annotations of the videos in the layout per_video; returns the number of snippets."""
    means = np.random.default_rng(0).exponential(size=(len(KNOWN.classes) + 1, width)).astype(np.float32)
    database, splits, snippets = {}, {"train": [], "test": []}, 0
    for number, video in enumerate(tqdm(videos, unit="video", disable=None)):
        split = "train" if video.subset == KNOWN.subsets[0] else "test"
        path = folder / "features" / split / f"{video.name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        features = make_features(video, means, np.random.default_rng(number + 1))
        np.save(path, features)
        snippets += len(features)
        splits[split].append(video.name)
        pairs = zip(video.segments, video.segment_labels, strict=True)
        annotations = [{"segment": segment, "label": label} for segment, label in pairs]
        database[video.name] = {"subset": video.subset, "duration": video.duration, "annotations": annotations}
    for split, names in splits.items():
        (folder / f"split_{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    meta = {"snippets_per_second": KNOWN.snippets_per_second, "classes": KNOWN.classes}
    for name, content in (("gt.json", {"database": database}), ("meta.json", meta)):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return snippets


def make_features(video: SourceVideo, means: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Non-negative features float32 [T, D] around the mean of the class of each snippet; `means` [C + 1, D]."""
    length = max(int(video.duration * KNOWN.snippets_per_second), 1)
    of_snippet = np.full(length, len(KNOWN.classes))
    for segment, label in zip(video.segments, video.segment_labels, strict=True):
        start, end = np.array(segment) * KNOWN.snippets_per_second
        of_snippet[int(start) : int(np.ceil(end))] = KNOWN.classes.index(label)
    noise = smooth_noise(rng, length, means.shape[1], SMOOTHNESS)
    return np.maximum(means[of_snippet] + np.float32(SPREAD) * noise, 0)
