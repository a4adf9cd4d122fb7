"""Scores results files without a model: each choice changes mAP as it should."""

import json

import numpy as np
import pytest

from tsc_jax.errors import InputError
from tsc_jax.evaluation.rescore import rescore
from tsc_jax.evaluation.results import read_ground_truth, write_predictions

# At 1 snippet per second "flash" rounds to zero length; "late" starts after the end of its video.
DATABASE = {
    "a": {
        "subset": "test",
        "duration": 20.0,
        "annotations": [{"label": "jump", "segment": ["1.0", "5.0"]}, {"label": "jump", "segment": [8, 12]}],
    },
    "b": {
        "subset": "test",
        "duration": 10.0,
        "annotations": [{"label": "flash", "segment": [2.1, 2.3]}, {"label": "late", "segment": [11, 13]}],
    },
    "c": {"subset": "train", "duration": 10.0, "annotations": []},
}


@pytest.fixture
def files(tmp_path):
    """Returns a results file that repeats the annotations of the test videos, and the annotations."""
    ground_truth, predictions = tmp_path / "g.json", tmp_path / "p.json"
    ground_truth.write_text(json.dumps({"database": DATABASE}))
    truth = read_ground_truth(ground_truth)
    write_predictions(predictions, truth.segments, truth.videos, truth.classes)
    return predictions, ground_truth


def report(files, **choices):
    return rescore(*files, **({"protocol": "seconds", "tious": [0.5], "snippets_per_second": 1.0} | choices))


def rows(text):
    """Returns the numbers of each row of the tables by its name; the last of equal names."""
    lines = [line.rsplit("  ", line.count("  ")) for line in text.split("\n") if not line.startswith(("mAP", "-"))]
    parts = [[part.strip() for part in line if part.strip()] for line in lines]
    return {part[0]: [float(cell) for cell in part[1:]] for part in parts if len(part) > 1}


def test_annotations_score_100(files):
    values = rows(report(files))
    assert values["seconds"] == [100, 100]
    assert values["floor: true labels, whole videos"] == [0, 0]


def test_published_loses_what_rounds_to_nothing(files):
    text = report(files, protocol="published")
    assert rows(text)["published"] == [66.7, 66.7]
    assert "protocol published: 1 of 4 instances have zero length" in text
    assert "1 instances start after the end of their video: in b" in text


def test_all_protocols_show_each_choice(files):
    text = report(files, all_protocols=True)
    published = rows(text[text.index("vs published") :])
    assert published["published"] == [66.7, 66.7]
    assert published["without 1 instances of zero length"] == [100, 100, 33.33]
    assert published["without 1 instances past the video's end"] == [50, 50, -16.67]
    assert published["of equal tIoUs the earlier instance"] == [66.7, 66.7, 0]


def test_video_list(files, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("a\n\nnowhere\n")
    text = report(files, protocol="published", videos_file=listed)
    assert rows(text)["published"] == [100, 100]
    assert "names 1 of the 2 annotated videos; not b; skips nowhere, not annotated" in text
    assert rows(report(files, videos_file=listed, all_protocols=True))["all 2 videos"] == [66.7, 66.7, -33.33]
    listed.write_text("nowhere\n")
    with pytest.raises(InputError, match=r"list\.txt: names none of the 2 videos"):
        report(files, videos_file=listed)


def test_ambiguous_predictions_are_left_out(files, tmp_path):
    ambiguous = tmp_path / "ambiguous.txt"
    ambiguous.write_text("a 0 6\n")
    text = report(files, ambiguous_file=ambiguous)
    assert rows(text)["seconds"] == [83.3, 83.3]
    assert "1 of 4 predictions lie mostly in one" in text


def test_videos_without_predictions_are_named(files):
    predictions, _ = files
    content = json.loads(predictions.read_text())
    del content["results"]["b"]
    predictions.write_text(json.dumps(content))
    text = report(files, all_protocols=True)
    assert "names 1 of the 2 annotated videos; not b" in text
    np.testing.assert_array_equal(rows(text)["only the 1 videos with predictions"][:2], [100, 100])
    predictions.write_text(json.dumps({"results": {"elsewhere": []}}))
    with pytest.raises(InputError, match=r"p\.json: names none of the 2 videos"):
        report(files)


def test_a_choice_that_leaves_no_instance_has_no_row(files):
    predictions, ground_truth = files
    everything_is_short = report(files, all_protocols=True, snippets_per_second=0.01)
    assert rows(everything_is_short)["published"] == [0, 0]
    assert "without 4 instances of zero length" not in everything_is_short
    empty = {"subset": "test", "duration": 5.0, "annotations": []}
    ground_truth.write_text(json.dumps({"database": DATABASE | {"d": empty}}))
    predictions.write_text(json.dumps({"results": {"d": [{"label": "jump", "segment": [0, 1], "score": 1}]}}))
    assert "videos with predictions" not in report(files, all_protocols=True)


def test_no_floor_without_durations(files):
    _, ground_truth = files
    database = {name: {key: entry[key] for key in ("subset", "annotations")} for name, entry in DATABASE.items()}
    ground_truth.write_text(json.dumps({"database": database}))
    text = report(files)
    assert "no floor is given" in text
    assert "floor:" not in text


def test_thumos_quirks_are_counted(shared, tmp_path):
    ground_truth = shared / "annotations" / "thumos14_gt_212_videos.json"
    truth = read_ground_truth(ground_truth)
    predictions = tmp_path / "p.json"
    write_predictions(predictions, truth.segments, truth.videos, truth.classes)
    ambiguous = shared / "annotations" / "Thumos14reduced-Annotations" / "Ambiguous_test.txt"
    choices = {"protocol": "published", "snippets_per_second": 25 / 16, "ambiguous_file": ambiguous}
    text = report((predictions, ground_truth), **choices)
    assert "212 videos, 3358 instances of 20 classes" in text
    assert "17 of 3358 instances have zero length" in text
    assert "96 ambiguous stretches in 36 videos" in text
    assert "some lists omit video_test_0000270, video_test_0001496" in text
    table = report((predictions, ground_truth), **choices, all_protocols=True)
    assert "\n  210 videos, without video_test_0000270 and video_test_0001496 " in table
    assert table.count("\n  211 videos, without") == 2 * 2
