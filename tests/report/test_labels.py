"""The label files hold the segments they were given, in forms that their programs read."""

import itertools
import os
import re
from xml.etree import ElementTree

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from tests.report.test_page import HOSTILE
from tsc_jax.errors import InputError
from tsc_jax.localization.segments import make_segments
from tsc_jax.report.labels import FORMS, labels_of, one_line, write_labels

CLASSES = ["run", "a & b <i>--> {c}", "two\nlines\n\n1\n\tand tab", HOSTILE]
milliseconds = st.integers(-1000, 400_000_000)  # beyond 100 hours
rows_of_one = st.lists(st.tuples(st.integers(0, 3), milliseconds, st.integers(0, 9000), st.floats(-9, 9)), max_size=12)


def seconds(text):
    hours, minutes, rest = text.replace(",", ".").split(":")
    assert re.fullmatch(r"\d\d\.\d\d\d", rest) and int(minutes) < 60 and len(hours) >= 2
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def read_cues(text, unescape=False):
    """Start, end and text of every cue, as a player reads them: blocks between empty lines."""
    cues = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line]
        if not lines or lines == ["WEBVTT"]:
            continue
        *number, times, shown = lines
        assert not number or number == [str(len(cues) + 1)]
        if unescape:
            assert "<" not in shown and "-->" not in shown
            shown = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        cues.append((*map(seconds, times.split(" --> ")), shown))
    return cues


def read_audacity(text):
    rows = [line.split("\t") for line in text.split("\n")[:-1]]
    return [(float(start), float(end), shown) for start, end, shown in rows]


def read_elan(text):
    root = ElementTree.fromstring(text)
    slots = {each.get("TIME_SLOT_ID"): int(each.get("TIME_VALUE")) / 1000 for each in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    tiers = root.findall("TIER")
    assert len({tier.get("TIER_ID") for tier in tiers}) == len(tiers)
    found = []
    for tier in tiers:
        rows = [
            (slots[each.get("TIME_SLOT_REF1")], slots[each.get("TIME_SLOT_REF2")], each.findtext("ANNOTATION_VALUE"))
            for each in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(rows))
        found += rows
    return sorted(found)


READERS = {
    "srt": read_cues,
    "vtt": lambda text: read_cues(text, unescape=True),
    "audacity": read_audacity,
    "elan": read_elan,
}


@pytest.mark.parametrize("form", FORMS)
@hypothesis.given(rows_of_one)
@hypothesis.settings(max_examples=50, deadline=None)
def test_every_form_holds_the_segments(form, rows):
    label, start, length, score = np.reshape(rows, (-1, 4)).T
    segments = make_segments(0, label.astype(int), start / 1000, (start + length) / 1000, score)
    text = FORMS[form][1](labels_of(segments, CLASSES))
    text.encode()
    read = sorted((round(start * 1000), round(end * 1000), shown) for start, end, shown in READERS[form](text))
    # A label begins with the video or later, and lasts a millisecond or longer.
    assert read == sorted(
        (max(start, 0), max(start + length, start + 1, 1), f"{one_line(CLASSES[label])} ({score:.3f})")
        for label, start, length, score in rows
    )


def test_a_class_named_like_a_second_tier_loses_nothing():
    segments = make_segments(0, [0, 0, 0, 1], [0, 1, 2, 3], [9, 9, 9, 9], [0.1, 0.2, 0.3, 0.4])
    read = read_elan(FORMS["elan"][1](labels_of(segments, ["run", "run #2"])))
    assert [shown for *_, shown in read] == ["run (0.100)", "run (0.200)", "run (0.300)", "run #2 (0.400)"]


def test_each_video_has_a_file_and_other_files_stay(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    (tmp_path / "a.srt").write_text("earlier")
    names = ["a", "b/c", "b_c", "caf\udce9", "empty", "n" * 300]
    segments = make_segments([0, 1, 2, 3, 5], 0, [0] * 5, [1] * 5)
    files = write_labels(tmp_path, "srt", names, segments, ["run"])
    assert len(set(files)) == len(names)
    assert sorted(os.listdir(tmp_path)) == sorted(["mine.txt", *(file.name for file in files)])
    assert [file.read_text()[:1] for file in files] == ["1", "1", "1", "1", "", "1"]
    assert (files[0].name, files[4].name) == ("a.srt", "empty.srt")
    write_labels(tmp_path / "new" / "folder", "vtt", ["empty"], segments[:0], ["run"])
    assert (tmp_path / "new" / "folder" / "empty.vtt").read_text() == "WEBVTT\n"


def test_a_file_in_the_place_of_the_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match="file: cannot be written"):
        write_labels(tmp_path / "file", "srt", ["a"], make_segments([], [], [], []), ["run"])
    assert (tmp_path / "file").read_text() == "kept"
