"""What does not fit is one sentence before training."""

import dataclasses
import json
import warnings

import numpy as np
import pytest

from tests.training.small import made_up_source, small_run, toy_run
from tsc_jax import hardware
from tsc_jax.data.builder import prepare
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.report.run import NO_MAP, report
from tsc_jax.training.checks import check_values
from tsc_jax.training.loop import train
from tsc_jax.training.trained import open_trained


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.batch_size": 10}, r"config\.train\.batch_size is 10, which 8 devices do not divide"),
        ({"train.pairs": 9}, r"config\.train\.pairs is 9"),
        ({"train.batches": "all"}, r"config\.train\.batches is 'all', expected one of pairs, epochs"),
        ({"bank.rows": 1000}, r"config\.bank\.rows is 1000, but there are only 96"),
        ({"bank.update_rule": "gradint"}, r"config\.bank\.update_rule is 'gradint'"),
        ({"eval.select_by": "0.3:0.7"}, r"config\.eval\.select_by is '0.3:0.7', but the averages"),
        ({"eval.tiou": "0.5:0.95:0.05"}, r"config\.eval\.select_by is '0.1:0.7', but .* 0.5:0.95"),
        ({"eval.ambiguous": "nowhere.txt"}, r"nowhere\.txt: no such file"),
        ({"data.name": "nothing"}, r"data set nothing is not prepared"),
        ({"method": "tscnot"}, r"config\.method is 'tscnot', expected one of .*tscnet"),
        ({"data.min_snippets": 28}, r"config\.data\.min_snippets is 28, but no test video"),
        ({"data.min_snippets": 31}, r"config\.data\.min_snippets is 31, but no training video"),
        ({"model.tce_heads": 3}, r"config\.model\.tce_heads is 3, expected a divisor of the feature width 16"),
        ({"model.pyramid_kernels": (1, 2, 5)}, r"config\.model\.pyramid_kernels is \(1, 2, 5\), expected odd"),
        ({"model.pyramid_fuse_kernel": 4}, r"config\.model\.pyramid_fuse_kernel is 4, expected an odd"),
        ({"proposals.nms_sigma": 0.0}, r"config\.proposals\.nms_sigma is 0.0, expected"),
        ({"proposals.topk_ratio": 0}, r"config\.proposals\.topk_ratio is 0, expected 1 or more"),
        ({"proposals.classification_topk_ratio": 0}, r"config\.proposals\.classification_topk_ratio is 0"),
        ({"loss.topk_ratio": 0}, r"config\.loss\.topk_ratio is 0, expected 1 or more"),
        ({"eval.every": 0}, r"config\.eval\.every is 0, expected 1 or more"),
        ({"train.log_every": 0}, r"config\.train\.log_every is 0, expected 1 or more"),
        ({"checkpoint.every_steps": 0}, r"config\.checkpoint\.every_steps is 0, expected 1 or more"),
        ({"optimizer.milestones": (4, 2)}, r"config\.optimizer\.milestones is \(4, 2\), expected rising"),
    ],
)
def test_what_does_not_fit_is_one_sentence_before_training(data_dir, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        train(small_run(data_dir, **changes), tmp_path)
    assert not (tmp_path / "scalars.jsonl").exists()


def test_a_class_that_is_left_with_one_video_is_named_where_pairs_are_drawn(data_dir, tmp_path):
    lengths = sorted(video.num_snippets for video in open_dataset(data_dir, "made_up").train.videos)
    least = next(
        least
        for least in lengths
        if 1 in np.sum([v.labels for v in open_dataset(data_dir, "made_up").train.at_least(least).videos], axis=0)
    )
    with pytest.raises(InputError, match=r"config\.train\.pairs is 3, but class \w+ has 1 training video"):
        train(toy_run(data_dir, **{"data.min_snippets": least}), tmp_path)
    train(toy_run(data_dir, **{"data.min_snippets": least, "train.pairs": 0}), tmp_path)


def test_a_folder_without_a_run_is_refused_and_stays_empty(tmp_path):
    with pytest.raises(InputError, match="holds no checkpoint"):
        report(tmp_path, {})
    assert not list(tmp_path.iterdir())


def test_a_name_that_makes_no_file_name_is_refused_before_training(data_dir):
    dataset, config = open_dataset(data_dir, "made_up"), toy_run(data_dir)
    long = dataclasses.replace(dataset.test.videos[0], name="x" * 252)
    renamed = dataclasses.replace(
        dataset, test=dataclasses.replace(dataset.test, videos=(long, *dataset.test.videos[1:]))
    )
    with pytest.raises(InputError, match="has 252 bytes in UTF-8, expected at most 251"):
        check_values(config, renamed)


def test_without_test_segments_a_run_trains_and_writes_predictions(data_dir, tmp_path):
    source = made_up_source()
    unknown = tuple(dataclasses.replace(video, segments=(), segment_labels=()) for video in source.splits["test"])
    source = dataclasses.replace(source, splits={**source.splits, "test": unknown})
    prepare(lambda: source, "made_up", tmp_path / "data")
    train(toy_run(tmp_path / "data", **{"train.steps": 2}), tmp_path / "run")
    assert report(tmp_path / "run", {}) == NO_MAP
    assert open_trained(tmp_path / "run").step == 2
    results = json.loads((tmp_path / "run" / "predictions.json").read_text())["results"]
    assert len(results) == len(unknown) and any(results.values())


@pytest.mark.parametrize(("flags", "warned"), [("fpu avx512f", True), ("fpu avx512_bf16", False), ("", False)])
def test_a_processor_without_bfloat16_arithmetic_is_mentioned(data_dir, monkeypatch, flags, warned):
    monkeypatch.setattr(hardware, "cpuinfo", lambda *names: [flags])
    config, dataset = small_run(data_dir, **{"model.dtype": "bfloat16"}), open_dataset(data_dir, "made_up")
    with warnings.catch_warnings(record=True) as said:
        check_values(small_run(data_dir), dataset)
        assert not said
        check_values(config, dataset)
    assert ["no bfloat16 arithmetic" in str(each.message) for each in said] == [True] * warned
