"""Makes up a data set and its evaluation, with names that a page must escape."""

import dataclasses

import numpy as np

from tsc_jax.data.dataset import Dataset, Split, Video
from tsc_jax.evaluation import detection, protocols, results
from tsc_jax.evaluation.evaluate import Evaluation, ground_truth
from tsc_jax.localization.segments import Segments, make_segments

CLASSES = ("<b>run</b>", 'jump "high" & far', "a class with a name that is longer than any chart shows", "never")
RATE = 2.0
TIOUS = [0.1, 0.3, 0.5, 0.7]


def made_up_dataset(videos: int = 9, seed: int = 0) -> Dataset:
    """Makes videos of 20 to 40 seconds with 1 to 4 instances of all classes but the last."""
    rng = np.random.default_rng(seed)

    def video(index: int) -> Video:
        duration, number = float(rng.integers(40, 80)) / 2, rng.integers(1, 5)
        start = rng.uniform(0, duration - 8, number)
        segments = np.column_stack([start, start + rng.uniform(1, 8, number)])
        labels = rng.integers(0, len(CLASSES) - 1, number)
        present = np.isin(np.arange(len(CLASSES)), labels)
        return Video(f"<i>video {index}&amp;", int(duration * RATE), duration, present, segments, labels, RATE)

    split = Split(tuple(video(index) for index in range(videos)), np.arange(videos), [])
    return Dataset("<made & up>", CLASSES, RATE, 4, "", split, split)


def made_up_predictions(truth: Segments, seed: int = 0) -> Segments:
    """Predicts instances six times each, moved and some as another class; scores fall with the distance moved."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(1, len(truth)), 6)  # the first is missed
    moved = rng.exponential(1.0, len(rows))
    start = np.maximum(truth.start[rows] + moved * rng.choice([-1, 1], len(rows)), 0)
    label = np.where(rng.random(len(rows)) < 0.2, rng.integers(0, len(CLASSES), len(rows)), truth.label[rows])
    end = start + (truth.end - truth.start)[rows] * rng.uniform(0.7, 1.4, len(rows))
    return make_segments(truth.video[rows], label, start, end, np.exp(-moved) * rng.uniform(0.5, 1, len(rows)))


def made_up_evaluation(
    dataset: Dataset, protocol: str = "seconds", predictions: Segments | None = None, outputs: bool = False
):
    """Returns (Evaluation, metrics) of made-up predictions; with `outputs`, CAS and attention of every video are 0."""
    truth = ground_truth(dataset.test)
    predictions = made_up_predictions(truth) if predictions is None else predictions
    compared = protocols.to_protocol(truth, predictions, RATE, protocol)
    mean_ap = 100 * detection.mean_average_precision(*compared, TIOUS, len(CLASSES))
    metrics = results.make_metrics(protocol, TIOUS, mean_ap, 75.0, 30) | {"selection": "best on test"}
    lengths = [video.num_snippets for video in dataset.test.videos]
    zeros = [{"cas": np.zeros((t, len(CLASSES) + 1)), "attention": np.zeros(t)} if outputs else None for t in lengths]
    return Evaluation(predictions, metrics, np.array([50.0, 10, 0, 0]), zeros), metrics


def at_rate(dataset: Dataset, factor: float) -> Dataset:
    """Returns the data set with `factor` times as many snippets in every test video."""
    videos = tuple(
        dataclasses.replace(video, num_snippets=int(factor * video.num_snippets)) for video in dataset.test.videos
    )
    return dataclasses.replace(dataset, test=dataclasses.replace(dataset.test, videos=videos))
