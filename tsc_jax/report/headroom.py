"""Implements launch.headroom: what each step costs a run or a results file, and its segments as pseudo labels."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tsc_jax.data.dataset import Dataset
from tsc_jax.evaluation import diagnosis, results
from tsc_jax.evaluation.evaluate import evaluate, ground_truth, localize, shares_covered
from tsc_jax.evaluation.headroom import SHARES, Headroom, LabelQuality, headroom, label_quality, pseudo_labels
from tsc_jax.evaluation.protocols import parse_tious, to_protocol
from tsc_jax.evaluation.rescore import Request, comparable, instances_of
from tsc_jax.files import check_folder
from tsc_jax.inference import Inference, make_inference
from tsc_jax.localization.segments import Segments
from tsc_jax.training import checkpoints
from tsc_jax.training.trained import Trained, open_trained, seed_folders, with_dataset

FILE = "headroom.json"


def of_runs(workdir: Path, selection: str, changes: Mapping[str, Any]) -> str:
    """Measures the headroom of a run, or of the runs of several seeds, on the test videos.

    Where training videos have annotated segments, the quality of the run's proposals as pseudo labels is measured on
    them. Writes headroom.json into each run, for another selection than the last into its folder there. `changes` are
    config values other than those trained with. Returns the tables. Raises InputError if there is no such checkpoint or
    the data set is not the one of the training.
    """
    check_folder(f"--workdir {workdir}", workdir)
    texts, inference = [], None
    for folder in seed_folders(workdir) or [workdir]:
        trained, dataset = with_dataset(open_trained(folder, selection), changes)
        inference = inference or make_inference(trained.config, trained.sizes)
        content, text = of_run(trained, dataset, inference)
        target = folder if selection == checkpoints.LAST else folder / selection
        target.mkdir(exist_ok=True)
        results.write_json(target / FILE, content)
        texts.append(f"{target / FILE}: {trained.selection}, step {trained.step}\n\n{text}")
    return "\n\n".join(texts)


def of_run(trained: Trained, dataset: Dataset, inference: Inference) -> tuple[dict[str, Any], str]:
    """Returns the content of headroom.json and the tables of one run."""
    config, clock = trained.config, dataset.test.clock
    tious, protocol = parse_tious(config.eval.tiou), config.eval.protocol
    evaluation = evaluate(inference, trained.variables, trained.step, dataset, dataset.test, config)
    compared = to_protocol(ground_truth(dataset.test), evaluation.predictions, clock, protocol)
    room = headroom(*compared, tious, len(dataset.classes))
    shares = shares_covered(dataset.test)
    about = {"protocol": protocol, "tiou": tious, "step": trained.step, "selection": trained.selection}
    missed, missed_text = missed_by_group(*compared, tious, len(dataset.classes), shares)
    content, tables = about | as_json(room) | missed, [table(room, tious), missed_text]
    qualities = dict(qualities_of(trained, dataset, inference, tious))
    if qualities:
        percent = {
            name: {key: as_percent(each) for key, each in of._asdict().items()} for name, of in qualities.items()
        }
        content["pseudo_labels"] = percent
        tables.append(quality_table(qualities, tious))
    return content, "\n\n".join(tables)


def qualities_of(
    trained: Trained, dataset: Dataset, inference: Inference, tious: Sequence[float]
) -> Iterator[tuple[str, LabelQuality]]:
    """Yields the quality of `pseudo_labels` on the training videos that have segments, by their least share."""
    split = dataset.train.select([index for index, video in enumerate(dataset.train.videos) if len(video.segments)])
    if not split.videos:
        return
    config = trained.config
    proposals = localize(inference, trained.variables, split, config, "training videos").segments
    known, truth = np.stack([video.labels for video in split.videos]), ground_truth(split)
    for share in SHARES:
        compared = to_protocol(truth, pseudo_labels(proposals, known, share), split.clock, config.eval.protocol)
        yield f"{share:g} of the best", label_quality(*compared, tious, len(dataset.classes))


def of_file(request: Request, protocol: str) -> tuple[dict[str, Any], str]:
    """Returns the content of headroom.json and the tables of a results file, all predictions as pseudo labels."""
    truth, predictions, tious = comparable(request, protocol)
    number = len(request.truth.classes)
    room, quality = (measure(truth, predictions, tious, number) for measure in (headroom, label_quality))
    instances, durations = instances_of(request), request.truth.durations
    shares = diagnosis.coverage(instances, durations)
    known = None if np.isnan(shares).any() else shares
    missed, missed_text = missed_by_group(truth, predictions, tious, number, known)
    content = {"protocol": protocol, "tiou": list(tious)} | as_json(room) | missed
    content["pseudo_labels"] = {"all": {key: as_percent(each) for key, each in quality._asdict().items()}}
    return content, "\n\n".join([table(room, tious), missed_text, quality_table({"all": quality}, tious)])


def missed_by_group(
    truth: Segments, predictions: Segments, tious: Sequence[float], number: int, shares: np.ndarray | None
) -> tuple[dict[str, Any], str]:
    """Returns what headroom.json says of missed instances at one tIoU, see `diagnosis.false_negatives`, and a table."""
    threshold = diagnosis.middle(tious)
    counts, content = diagnosis.false_negatives(truth, predictions, threshold, number, shares), {}
    lines = [f"never found at tIoU {threshold:g}"]
    for what, of in counts.items():
        columns = zip(of.names, of.missed.tolist(), of.instances.tolist(), strict=True)
        content[what] = {name: {"missed": missed, "instances": instances} for name, missed, instances in columns}
        groups = (f"{name}  {each['missed']} of {each['instances']}" for name, each in content[what].items())
        lines.append(f"by {what:19}  {'   '.join(groups)}")
    return {"missed": {"tiou": threshold} | content}, "\n".join(lines)


def as_json(room: Headroom) -> dict[str, Any]:
    """Returns mAP, and what is lost by each step, in percent at each tIoU."""
    return {"mAP": as_percent(room.mean_ap), "lost": {step: as_percent(points) for step, points in room.lost.items()}}


def as_percent(values: np.ndarray) -> list[float]:
    """Returns shares in percent."""
    return (100 * values).tolist()


def table(room: Headroom, tious: Sequence[float]) -> str:
    """Formats mAP, and the points that each step loses."""
    rows = {"as it is": room.mean_ap} | {f"lost by {step}": points for step, points in room.lost.items()}
    return results.table(tious, {name: 100 * row for name, row in rows.items()})


def quality_table(qualities: Mapping[str, LabelQuality], tious: Sequence[float]) -> str:
    """Formats precision, recall and F1 of pseudo labels, by the proposals that are taken."""
    rows = {f"{name}: {key}": 100 * each for name, of in qualities.items() for key, each in of._asdict().items()}
    return results.table(tious, rows, measure="pseudo labels (%)")
