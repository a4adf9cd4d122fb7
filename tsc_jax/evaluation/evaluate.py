"""From a trained state to predictions, metrics and their floor."""

import dataclasses

import numpy as np
import tqdm

from tsc_jax import processes
from tsc_jax.data.dataset import Dataset, Split
from tsc_jax.evaluation import classification, detection, protocols, results
from tsc_jax.inference import Forward, infer
from tsc_jax.localization.proposals import proposals
from tsc_jax.localization.segments import Segments, concatenate, make_segments
from tsc_jax.localization.video_scores import video_scores
from tsc_jax.methods.tscnet.train_step import TrainState, for_inference


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a state reaches on a split.

    Attributes:
      predictions: in seconds, `video` an index into the split.
      metrics: what metrics.json holds; "selection" is to be filled in by who knows it.
      floor: mAP in percent at each tIoU of one whole-video segment per true class.
      cas: fused CAS [T, C + 1] of every video, None where it is too short to be used.
      attention: fused attention [T], likewise.
    """

    predictions: Segments
    metrics: dict
    floor: np.ndarray
    cas: list[np.ndarray | None]
    attention: list[np.ndarray | None]


def evaluate(forward: Forward, state: TrainState, dataset: Dataset, split: Split, config) -> Evaluation:
    """Localizes the actions of all videos of a split and measures how well.

    Videos of fewer than `config.data.min_snippets` snippets get no predictions; their ground truth counts.
    """
    predictions, cas, attention = localize(forward, state, split, dataset.snippets_per_second, config)
    used = [index for index, each in enumerate(cas) if each is not None]
    truth = ground_truth(split)
    tious = protocols.parse_tious(config.eval.tiou)
    protocol = (dataset.snippets_per_second, config.eval.protocol)

    def mean_ap(predictions: Segments) -> np.ndarray:
        compared = (
            protocols.to_protocol(truth, *protocol),
            protocols.to_protocol(predictions, *protocol, predicted=True),
        )
        return 100 * detection.mean_average_precision(*compared, tious, len(dataset.classes))

    labels = np.stack([split.videos[i].labels for i in used])
    ratio = config.eval.classification_topk_ratio
    scores = np.stack([video_scores(cas[i].astype(np.float64), -(-len(cas[i]) // ratio)) for i in used])
    metrics = results.make_metrics(
        protocol=config.eval.protocol,
        tious=tious,
        mean_ap=mean_ap(predictions),
        classification=100 * classification.mean_average_precision(scores, labels),
        step=int(state.step),
    )
    durations = np.array([video.duration for video in split.videos])
    return Evaluation(predictions, metrics, mean_ap(protocols.floor_predictions(truth, durations)), cas, attention)


def localize(
    forward: Forward, state: TrainState, split: Split, snippets_per_second: float, config, title: str | None = None
) -> tuple[Segments, list, list]:
    """The predictions in all videos of a split, and what they were read from.

    Args:
      forward: of `make_forward`.
      state: whose parameters, batch statistics and bank are used.
      split: the videos.
      snippets_per_second: rate of their features.
      config: of the run.
      title: of a progress bar on the terminal; None shows none.

    Returns:
      Segments in seconds, `video` an index into the split, in the order of `proposals`; and what `run_network` gives.
    """
    cas, attention = run_network(forward, state, split, config, title)
    used = np.array([index for index, each in enumerate(cas) if each is not None])
    found = proposals([cas[i] for i in used], [attention[i] for i in used], **config.proposals)
    found = dataclasses.replace(found, video=used[found.video])
    return found.scaled(1 / snippets_per_second), cas, attention


def run_network(
    forward: Forward, state: TrainState, split: Split, config, title: str | None = None
) -> tuple[list, list]:
    """Fused CAS [T, C + 1] and attention [T] of every video of a split, None for those that are too short.

    The videos are spread over all processes, and each gets the outputs of all. `title` is that of a progress bar.
    """
    lengths = np.array([video.num_snippets for video in split.videos])
    usable = np.flatnonzero(lengths >= config.data.min_snippets)
    state = for_inference(state)
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    mine = processes.share(usable)
    inferred = infer(forward, variables, state.bank.rows, split, mine, config.eval.batch_snippets)
    quiet = True if title is None else None  # None: shown on a terminal alone
    shown = tqdm.tqdm(inferred, title, len(mine), unit="video", disable=quiet)
    found = {index: np.column_stack(outputs) for index, *outputs in shown}
    columns = split.videos[0].labels.size + 2
    found = processes.gather(found, usable, lengths, columns)
    videos = [found.get(index) for index in range(len(lengths))]
    cas = [None if video is None else video[:, :-1] for video in videos]
    return cas, [None if video is None else video[:, -1] for video in videos]


def ground_truth(split: Split) -> Segments:
    """All action instances of a split, in seconds, `video` an index into it."""
    return concatenate(
        make_segments(index, video.segment_labels, *video.segments.T) for index, video in enumerate(split.videos)
    )
