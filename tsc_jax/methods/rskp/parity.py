"""Compares RSKP with recordings of its published implementation."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tsc_jax.evaluation.ambiguous import shares_snippet
from tsc_jax.evaluation.classification import mean_average_precision
from tsc_jax.evaluation.detection import average_precisions
from tsc_jax.evaluation.protocols import to_protocol
from tsc_jax.localization.class_tracks import candidates, class_scores, suppress
from tsc_jax.localization.segments import Segments, concatenate, make_segments
from tsc_jax.methods.rskp import replay, torch
from tsc_jax.methods.rskp.network import fuse
from tsc_jax.methods.rskp.recorded import Setup, Videos, set_up
from tsc_jax.nn.cosine import Scores
from tsc_jax.parity import PRECISION, Arrays, Row, Tolerance, compare, compare_rows
from tsc_jax.replay import prefixed, subset

# Names of arrays of which every recording of this method, and of no other, holds one.
MARKS = ("eval/mu_pred", "0/m_logits", "pred_class")

NUMBER = Tolerance(relative=1e-5)
# The logarithm of a softmax near 1 has the rounding error of 1, and short videos have pseudo labels that agree.
AGREEING = Tolerance(relative=1e-5, absolute=2e-6)
MAP = Tolerance(absolute=1e-6)
CLASSIFICATION = Tolerance(relative=1e-6)  # the published code rounds precision to float32
RATE = 25 / 16  # snippets per second of all recordings
# Of a recording: what the comparison starts from.
INPUTS = ("init/", "in/", "meta/", "run/order", "run/batch_size", "edge/features", "edge/labels", "dropout/rate")
INPUTS += ("dropout/kept",)


def check_model(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Iterator[Row]:
    """Outputs, losses, gradients, steps of the optimizer, the memory, and the published loop."""
    setup = set_up(recording, config, devices)
    start, later = (setup.params(subset(recording, prefix)) for prefix in ("init/", "adam/phase1/final/"))
    batch, number = setup.videos.batch(), int(recording["meta/steps_lambda_s"][0])
    memory = setup.method(0, 1, 1).refresh(start, {"memory": setup.empty_memory()}, setup.videos.look(), 0)[1]["memory"]
    computed = inference(setup, start) | prefixed("memory/init/", replay.as_recorded(memory))
    computed |= replay.steps(setup, start, setup.empty_memory(), 1, number)
    computed |= replay.steps(setup, later, memory, 2, number)
    computed |= prefixed("inter/", jax.device_get(replay.inter_branch(setup, later, memory, batch)))
    computed |= prefixed("grad_term/", gradients_of_terms(setup, later, memory))
    order, (batch_size, last) = recording["run/order"], recording["run/batch_size_warmup_epoch"].tolist()
    computed |= prefixed("run/", replay.run(setup, start, order, batch_size, last + 1))
    computed |= prefixed("edge/", zero_embeddings(setup, subset(recording, "init/"), subset(recording, "edge/")))
    for length in (1, 2):
        computed |= prefixed(f"short/{length}/", short_video(setup, start, length))
    computed |= prefixed("dropout/", dropout(setup, start, recording["dropout/kept"], recording["dropout/rate"]))
    for name, recorded in recording.items():
        if not name.startswith(INPUTS):
            agreeing = name.startswith("short/") and name.endswith("/spl")
            yield compare(name, computed.get(name), recorded, AGREEING if agreeing else NUMBER)


def inference(setup: Setup, params) -> dict[str, np.ndarray]:
    """eval/: outputs without dropout."""
    computed = jax.device_get(replay.outputs(setup, params, setup.videos.batch()))
    for video, length in enumerate(setup.videos.lengths):
        z = computed["walk_z"][video, :, :length]
        computed[f"walk_inverse_of_video_{video}"] = replay.walk_inverse(setup, z)
    return prefixed("eval/", computed)


def gradients_of_terms(setup: Setup, params, memory) -> dict[str, np.ndarray]:
    """grad_term/: gradients of single terms in the second phase; spl_phase1 has the first phase's pseudo labels."""
    computed, batch = {}, setup.videos.batch()
    for phase in (1, 2):
        second = np.full(len(batch["mask"]), phase == 2)
        for term, gradients in jax.device_get(replay.term_gradients(setup, params, memory, batch, second)).items():
            name = term if phase == 2 else f"{term}_phase1"
            computed |= prefixed(f"{name}/", torch.tensors_of(gradients))
    return computed


def zero_embeddings(setup: Setup, tensors: Arrays, edge: Arrays) -> dict[str, np.ndarray]:
    """edge/: a video with embedding rows that are exactly 0."""
    params = setup.params({**tensors, torch.BIAS: np.zeros_like(tensors[torch.BIAS])})
    video = Videos(edge["features"][None], np.array([len(edge["features"])]), edge["labels"][None])
    outputs, terms, gradients = replay.one_video(setup, params, video)
    return outputs | {"total": terms["total"]} | prefixed("grad/", gradients)


def short_video(setup: Setup, params, length: int) -> dict[str, np.ndarray]:
    """short/: the first snippets of the first video."""
    video = Videos(setup.videos.features[:1, :length], np.array([length]), setup.videos.labels[:1])
    outputs, terms, _ = replay.one_video(setup, params, video)
    return outputs | {"att_loss": terms["att"], "spl": terms["spl"]}


def dropout(setup: Setup, params, kept: np.ndarray, rate: np.ndarray) -> dict[str, np.ndarray]:
    """dropout/: the first phase with recorded masks."""
    batch, rate = setup.videos.batch(), np.float32(rate)
    arguments = (setup.empty_memory(), batch, np.zeros(len(batch["mask"]), bool), kept, rate)
    gradients, terms = jax.device_get(replay.totals(setup, params, *arguments))
    x = np.asarray(replay.embedded(setup, params, batch, kept, rate))
    return {"x": x, "total": terms["total"]} | prefixed("grad/", torch.tensors_of(gradients))


def check_proposals(recording: Arrays, config: ml_collections.ConfigDict) -> Iterator[Row]:
    """Fused scores, candidates and proposals of every video, and the metrics over all of them."""
    fused = jax.jit(lambda *arrays: fuse(*branches(*arrays), config.model.main_weight))
    outputs, evaluated, kept = [], set(recording["gt/video"].tolist()), []
    for video in range(len(recording["gt/video_labels"])):
        arrays = [recording[f"{video}/{name}"] for name in ("o_ca", "m_ca", "o_att", "o_logits", "m_logits")]
        cas, scores = (np.asarray(array[0]) for array in fused(*arrays))
        outputs.append({"cas": cas, "class_scores": scores})
        yield compare(f"{video}/vid_pred", scores, recording[f"{video}/vid_pred"], NUMBER)
        yield compare(f"{video}/frm_pred", cas, recording[f"{video}/frm_pred"], NUMBER)
        # The published code drops videos without ground truth before it makes proposals.
        before = candidates(video, cas.astype(np.float64), scores[:-1], config.proposals)
        before = before[: None if video in evaluated else 0]
        kept.append(suppress(before, config.proposals))
        for name, segments in (("candidates", before), ("proposals", kept[-1])):
            rows = (segments.start, segments.end, segments.label, segments.score)
            yield from compare_rows(f"{video}/{name}", np.stack(rows, axis=1), recording[f"{video}/{name}"], NUMBER)
    yield from check_ranked(concatenate(kept), recording)
    computed = 100 * mean_average_precision(class_scores(outputs), recording["gt/video_labels"] > 0)
    yield compare("map/classification", computed, recording["map/classification"], CLASSIFICATION)


def branches(main_ca, intra_ca, attention, main_logits, intra_logits) -> list[Scores]:
    """The main and the intra-video branch of one video, from their recorded outputs."""
    recorded = ((main_logits, main_ca), (intra_logits, intra_ca))
    return [Scores(cas[None], attention[None], None, jnp.log(ca)[None], None) for cas, ca in recorded]


def check_ranked(segments: Segments, recording: Arrays) -> Iterator[Row]:
    """The proposals of each class by falling score, and their mAP, with and without those in ambiguous stretches."""
    video, start, end = recording["gt/ambiguous"].T
    in_seconds, tious = segments.scaled(1 / RATE), recording["tiou"]
    clear = segments[~shares_snippet(in_seconds, make_segments(video, 0, start, end), RATE)]
    truth = make_segments(recording["gt/video"], recording["gt/class"], *recording["gt/segment"].T)
    for suffix, chosen in (("", segments), ("_ambiguous_removed", clear)):
        for label in range(recording["gt/video_labels"].shape[1]):
            ranked = chosen[chosen.label == label]
            rows = np.stack([ranked.video, ranked.start, ranked.end, ranked.score], axis=1)
            name, by_score = f"ranked{suffix}/{label}", rows[np.argsort(-ranked.score, kind="stable")]
            yield from compare_rows(name, by_score, recording[name], NUMBER)
        _, means = published_precisions(truth, chosen, tious, recording["gt/video_labels"].shape[1])
        yield compare(f"map/detection{suffix}", means, recording[f"map/detection{suffix}"], MAP)


def check_detection_map(recording: Arrays) -> Iterator[Row]:
    """Compares the AP per class and the mAP at every tIoU."""
    truth = make_segments(*(recording[f"gt_{column}"] for column in ("video", "class", "start", "end")))
    columns = ("video", "class", "start", "end", "score")
    predictions = make_segments(*(recording[f"pred_{column}"] for column in columns))
    tious, recorded = recording["tiou"], recording["ap"]
    precisions, means = published_precisions(truth, predictions, tious, recorded.shape[1])
    occur = ~np.isnan(precisions[0])
    for i, tiou in enumerate(tious):
        yield compare(f"AP@{tiou:g} by class", precisions[i, occur], recorded[i, occur], PRECISION)
        yield compare(f"mAP@{tiou:g}", means[i], recording["mAP"][i], MAP)


def published_precisions(
    truth: Segments, predictions: Segments, tious: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """AP [tIoUs, classes] and the mAP in percent [tIoUs] of predictions in snippets, for ground truth in seconds.

    As published, the mAP is 0 where a class with ground truth has no prediction at all.
    """
    # Of equal tIoUs the published code takes the first instance, ours the last.
    compared = to_protocol(truth[::-1], predictions.scaled(1 / RATE), RATE, "published")
    precisions = average_precisions(*compared, tious, classes)
    return precisions, 100 * np.nanmean(precisions, axis=1) * np.isin(truth.label, predictions.label).all()
