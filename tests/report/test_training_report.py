"""report.html: one page by itself, well-formed, and with the numbers of the diagnosis."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup, escape

from tests.report.made_up import CLASSES, RATE, at_rate, made_up_dataset, made_up_evaluation
from tests.report.pages import picture, pictures, tooltips
from tsc_jax.evaluation import diagnosis, protocols
from tsc_jax.evaluation.detection import average_precisions
from tsc_jax.evaluation.evaluate import ground_truth
from tsc_jax.evaluation.headroom import headroom
from tsc_jax.localization.segments import make_segments
from tsc_jax.methods.tscnet.report import bank_section
from tsc_jax.report.sections import Section, write_training_report

ROOT = Path(__file__).resolve().parents[2]
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


def page(folder, scalars, dataset=DATASET, protocol="seconds", predictions=None, extra=()):
    evaluation, metrics = made_up_evaluation(dataset, protocol, predictions)
    write_training_report(folder, evaluation, metrics, dataset, scalars, extra)
    return (folder / "report.html").read_text()


def headings(text):
    return re.findall(r"<h2>(.*?)</h2>", text)


def test_one_page_by_itself(tmp_path, scalars):
    text = page(tmp_path, scalars)
    sections = re.findall(r'<section class="card" id="(\w+)"', text)
    assert sections == ["map", "steps", "losses", "classes", "errors", "headroom", "lengths", "missed", "videos"]
    assert re.findall(r'href="#(\w+)"', text) == sections
    assert re.findall(r"https?:|src=|url\(|@import|<link|<script", text) == []
    for name in (*CLASSES[:2], *(video.name for video in DATASET.test.videos), DATASET.name):
        assert name not in text.replace("&amp;amp;", "")
    assert all(str(escape(name)) in text for name in CLASSES[:3])
    assert len(pictures(text)) == text.count("<svg") > 15
    assert "NaN" not in text and "nan" not in re.sub(r"<[^>]*>", "", text)
    assert page(tmp_path, scalars) == text


def test_sections_of_a_method_come_last(tmp_path, scalars):
    own = Section("own", "<Own>", "How & why", "Nothing", Markup("<p>body</p>"))
    text = page(tmp_path, scalars, extra=[own])
    assert re.findall(r'id="(\w+)"', text)[-1] == "own" and '<a href="#own">&lt;Own&gt;</a>' in text
    assert "How &amp; why" in text and "<p>body</p>" in text


def test_every_loss_term_has_a_chart_and_terms_of_several_branches_share_one(tmp_path):
    path = tmp_path / "scalars.jsonl"
    names = ("loss/total", "loss/one/term", "loss/two/term", "alone", "test/mAP@0.5", "test/classification_mAP")
    path.write_text(json.dumps({"step": 1} | dict.fromkeys(names, 0.5)) + "\n")
    text = page(tmp_path, path)
    losses = text[text.index('id="losses"') : text.index('id="classes"')]
    curves = {each.get("aria-label"): tooltips(each) for each in pictures(losses)}
    assert curves == {
        "total, weighted": ["total: 0.5 at 1"],
        "term": ["one: 0.5 at 1", "two: 0.5 at 1"],
        "alone": ["alone: 0.5 at 1"],
    }


def test_the_document_explains_every_section(tmp_path, scalars):
    text = (ROOT / "docs" / "reading-the-report.md").read_text()
    titles = headings(page(tmp_path, scalars, extra=[bank_section(np.eye(2), None, ["a"])]))
    assert len(titles) == 10
    assert set(titles) <= set(re.findall(r"^## (.*)$", text, re.MULTILINE))


def test_the_pages_know_no_method():
    files = [path for path in (ROOT / "tsc_jax" / "report").rglob("*.*") if path.suffix != ".pyc"]
    texts = {path.name: path.read_text() for path in files if path.name != "run.py"}
    words = re.compile(r"\b(bank|DSA|TSC-Net|tscnet|mil|temporal branch|semantic branch)\b", re.IGNORECASE)
    assert {name for name, text in texts.items() if words.search(text)} == set()


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
def test_the_numbers_are_those_of_the_diagnosis(tmp_path, scalars, protocol):
    text = page(tmp_path, scalars, protocol=protocol)
    evaluation, metrics = made_up_evaluation(DATASET, protocol)
    truth, predictions = protocols.to_protocol(ground_truth(DATASET.test), evaluation.predictions, RATE, protocol)
    compared = (truth, predictions, 0.5, len(CLASSES))

    precisions = 100 * average_precisions(truth, predictions, [0.5], len(CLASSES))[0]
    bars = picture(text, "average precision (%) at tIoU 0.5")
    shown = {
        tooltip.rsplit(": ", 1)[0]: float(tooltip.rsplit(": ", 1)[1]) for tooltip in tooltips(bars) if ": " in tooltip
    }
    assert shown == {CLASSES[i]: pytest.approx(precisions[i], rel=1e-3) for i in range(3)}
    assert np.mean(list(shown.values())) == pytest.approx(metrics["mAP"][2], rel=1e-3)

    profile = diagnosis.error_profile(*compared)
    shown = dict.fromkeys((f"{i + 1}G: {kind}" for i in range(10) for kind in diagnosis.KINDS), 0.0)
    shown |= {
        key: float(share)
        for key, share in (
            tooltip.rsplit(" ", 1)
            for tooltip in tooltips(picture(text, "predictions of each kind (%), by slices of G"))
            if ": " in tooltip
        )
    }
    expected = 100 * profile / np.maximum(profile.sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(list(shown.values()), expected.ravel(), rtol=1e-3)

    lost = headroom(truth, predictions, metrics["tiou"], len(CLASSES)).lost
    texts = [each.strip() for each in picture(text, "mAP lost at tIoU 0.5 (points)").itertext() if each.strip()]
    for step, points in lost.items():
        assert f"{100 * points[2]:.1f}" in texts[texts.index(step) :][:4]
        assert re.search(rf'<td>{step}</td>.*<td class="number">{round(100 * float(points.mean()), 1)}</td></tr>', text)

    longest = diagnosis.by_length(*compared).upper[-1] / (1 if protocol == "seconds" else RATE)
    assert f"to {longest:.1f} s</text>" in text
    durations = np.array([video.duration for video in DATASET.test.videos])
    shares = diagnosis.coverage(ground_truth(DATASET.test), durations)
    for name, of in diagnosis.false_negatives(*compared, shares).items():
        texts = list(picture(text, f"never found (%), by {name}").itertext())
        assert [each for each in texts if " of " in each] == [
            f"{some} of {number}" for some, number in zip(of.missed, of.instances, strict=True) if number
        ]
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
    assert "snippets per second" not in page(tmp_path, scalars)
    assert "cover 2.00 times its duration" in page(tmp_path, scalars, at_rate(DATASET, 2))


def test_without_scalars_or_predictions_there_is_a_page_all_the_same(tmp_path):
    none = make_segments([], [], [], [])
    text = page(tmp_path, tmp_path / "scalars.jsonl", predictions=none)
    assert "There is no scalars.jsonl" in text and 'id="steps"' not in text
    assert f"<b>{len(ground_truth(DATASET.test))} of {len(ground_truth(DATASET.test))}</b>" in text
    assert pictures(text)


def test_of_one_video_there_is_no_best_and_worst(tmp_path, scalars):
    dataset = made_up_dataset(videos=1)
    text = page(tmp_path, scalars, dataset)
    assert len(re.findall(r'aria-label="[^"]*: AP \d+%', text)) == 1
    assert "<h3>Worst</h3>" in text and "<h3>Best</h3>" not in text
    assert "1 instance<" in text and not re.search(r"\b1 instances", text)


def test_the_page_says_which_run_it_is_of(tmp_path, scalars):
    origin = {"run": "<b>mine</b>, seed 3", "recipe": '{\n "method": "<i>"\n}'}
    evaluation, metrics = made_up_evaluation(DATASET)
    write_training_report(tmp_path, evaluation, metrics, DATASET, scalars, (), origin)
    text = (tmp_path / "report.html").read_text()
    assert "run: &lt;b&gt;mine&lt;/b&gt;, seed 3" in text
    assert "<summary>recipe</summary><pre>{" in text and "&lt;i&gt;" in text
