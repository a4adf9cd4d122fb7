"""report.html: one page by itself, well-formed, and with the numbers of the diagnosis."""

import html
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.report.made_up import CLASSES, RATE, at_rate, made_up_dataset, made_up_evaluation
from tsc_jax.evaluation import diagnosis, protocols
from tsc_jax.evaluation.detection import average_precisions
from tsc_jax.evaluation.evaluate import ground_truth
from tsc_jax.localization.segments import make_segments
from tsc_jax.report.training_report import READING, write_training_report

DATASET = made_up_dataset()


@pytest.fixture
def scalars(tmp_path):
    lines = [
        {"step": step, "total": 9.0 - step, "temporal/mil": 1 / step, "semantic/mil": 2 / step} for step in (1, 2, 3)
    ]
    lines += [
        {"step": step, "test/mAP@0.5": 10.0 * step, "test/mAP@0.1:0.5": 1.0, "test/mAP@all": 1.0} for step in (2, 3)
    ]
    path = tmp_path / "scalars.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def page(folder, scalars, dataset=DATASET, protocol="seconds", predictions=None, **bank):
    evaluation, metrics = made_up_evaluation(dataset, protocol, predictions)
    write_training_report(folder, evaluation, metrics, dataset, scalars, **bank)
    return (folder / "report.html").read_text()


def pictures(text):
    return [ElementTree.fromstring(each) for each in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def picture(text, title):
    (found,) = [each for each in pictures(text) if each.get("aria-label") == title]
    return found


def tooltips(element):
    return [each.text for each in element.iter("title")]


def test_one_page_by_itself(tmp_path, scalars):
    text = page(tmp_path, scalars, bank_rows=np.eye(5, 4), bank_attention=np.full((5, 5), 0.2))
    assert [section for section in READING if f'id="{section}"' not in text] == []
    assert set(re.findall(r'href="#(\w+)"', text)) == set(READING)
    assert re.findall(r"https?:|src=|url\(|@import|<link|<script", text) == []
    for name in (*CLASSES[:2], *(video.name for video in DATASET.test.videos), DATASET.name):
        assert name not in text.replace("&amp;amp;", "")
    assert all(html.escape(name) in text for name in CLASSES[:3])
    assert len(pictures(text)) == text.count("<svg") > 15
    # Without style the numbers stand in the page's text, for whoever cannot see the pictures.
    assert "NaN" not in text and "nan" not in re.sub(r"<[^>]*>", "", text)
    assert page(tmp_path, scalars, bank_rows=np.eye(5, 4), bank_attention=np.full((5, 5), 0.2)) == text


def test_the_document_explains_every_section():
    text = (Path(__file__).resolve().parents[2] / "docs" / "reading-the-report.md").read_text()
    assert {title for title, *_ in READING.values()} <= set(re.findall(r"^## (.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
def test_the_numbers_are_those_of_the_diagnosis(tmp_path, scalars, protocol):
    text = page(tmp_path, scalars, protocol=protocol)
    evaluation, metrics = made_up_evaluation(DATASET, protocol)
    truth = protocols.to_protocol(ground_truth(DATASET.test), RATE, protocol)
    predictions = protocols.to_protocol(evaluation.predictions, RATE, protocol, predicted=True)
    compared = (truth, predictions, 0.5, len(CLASSES))

    precisions = 100 * average_precisions(truth, predictions, [0.5], len(CLASSES))[0]
    bars = picture(text, "average precision (%) at tIoU 0.5")
    shown = {
        tooltip.rsplit(": ", 1)[0]: float(tooltip.rsplit(": ", 1)[1]) for tooltip in tooltips(bars) if ": " in tooltip
    }
    assert shown == {CLASSES[i]: pytest.approx(precisions[i], rel=1e-3) for i in range(3)}
    assert np.mean(list(shown.values())) == pytest.approx(metrics["mAP"][2], rel=1e-3)

    profile = diagnosis.error_profile(*compared)
    found = dict.fromkeys((f"{i + 1}G: {kind}" for i in range(10) for kind in diagnosis.KINDS), 0.0)
    found |= {
        key: float(share)
        for key, share in (
            tooltip.rsplit(" ", 1)
            for tooltip in tooltips(picture(text, "predictions of each kind (%), by slices of G"))
            if ": " in tooltip
        )
    }
    expected = 100 * profile / np.maximum(profile.sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(list(found.values()), expected.ravel(), rtol=1e-3)

    longest = diagnosis.by_length(*compared).upper[-1] / (1 if protocol == "seconds" else RATE)
    assert f"to {longest:.1f} s</text>" in text
    missed = diagnosis.by_length(*compared).missed.sum()
    assert missed > 0 and f"<b>{missed} of {len(truth)}</b>" in text


def test_the_worst_videos_come_first(tmp_path, scalars):
    text = page(tmp_path, scalars)
    named = [float(share) for share in re.findall(r'aria-label="[^"]*: AP (\d+)%', text)]
    evaluation, _ = made_up_evaluation(DATASET)
    compared = (ground_truth(DATASET.test), evaluation.predictions, 0.5, len(CLASSES))
    scores = np.sort(100 * diagnosis.video_precisions(*compared, len(DATASET.test.videos)))
    np.testing.assert_allclose(named, [*scores[:3], *scores[:-4:-1]], atol=0.5)


def test_a_rate_that_does_not_fit_is_said(tmp_path, scalars):
    assert "snippets a second" not in page(tmp_path, scalars)
    assert "make up 2.00 of its duration" in page(tmp_path, scalars, at_rate(DATASET, 2))


def test_without_scalars_or_predictions_there_is_a_page_all_the_same(tmp_path):
    none = make_segments([], [], [], [])
    text = page(tmp_path, tmp_path / "scalars.jsonl", predictions=none)
    assert "There is no scalars.jsonl" in text and 'id="steps"' not in text and 'id="bank"' not in text
    assert f"<b>{len(ground_truth(DATASET.test))} of {len(ground_truth(DATASET.test))}</b>" in text
    assert pictures(text)


def test_rows_that_classes_share_are_named(tmp_path, scalars):
    attention = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.0, 0.1, 0.9]])
    rows = np.array([[1.0, 0], [1, 1], [0, 2]])
    text = page(tmp_path, scalars, bank_rows=rows, bank_attention=attention)
    shared = text[text.index("Classes whose strongest row is the same") :]
    cells = [html.unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", shared)]
    assert cells == ["1", f"{CLASSES[0]}, {CLASSES[2]}", "2", f"{CLASSES[3]}, background"]
    similarities = {tooltip for tooltip in tooltips(picture(text, "similarity of the rows")) if ":" in tooltip}
    assert {"row 0, row 1: 0.707", "row 0, row 2: 0.000", "row 2, row 2: 1.000"} <= similarities
    shown = {tooltip for tooltip in tooltips(picture(text, "attention to the rows")) if ":" in tooltip}
    assert {f"{CLASSES[1]}, row 0: 0.600", "background, row 2: 0.900"} <= shown


def test_a_large_bank_becomes_a_table(tmp_path, scalars):
    rows = np.random.default_rng(0).normal(size=(60, 8))
    rows[7] = 2 * rows[31]
    text = page(tmp_path, scalars, bank_rows=rows)
    alike = re.findall(r"<td>(.*?)</td>", text[text.index("Rows most alike") :])
    assert alike[:3] == ["7", "31", "1.00"]
    assert "similarity of the rows" not in text


def test_of_one_video_there_is_no_best_and_worst(tmp_path, scalars):
    dataset = made_up_dataset(videos=1)
    text = page(tmp_path, scalars, dataset)
    assert len(re.findall(r'aria-label="[^"]*: AP \d+%', text)) == 1
    assert "<h3>Worst</h3>" in text and "<h3>Best</h3>" not in text
    assert "1 instance<" in text and not re.search(r"\b1 instances", text)
