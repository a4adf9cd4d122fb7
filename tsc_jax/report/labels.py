"""Segments as labels that players and annotation tools open; each file describes one video.

The forms: SRT and WebVTT subtitles, labels of Audacity, annotations of ELAN (EAF 3.0). Where labels have no place of
their own for the score, it follows the class in parentheses.
"""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tsc_jax.files import file_names, write_text, writing
from tsc_jax.localization.segments import Segments
from tsc_jax.report.page import sayable

SCHEMA = {
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
}

DATE = "1970-01-01T00:00:00Z"  # ELAN wants one; the same segments give the same bytes on any day


class Label(NamedTuple):
    """A segment with its times in whole milliseconds, 0 <= start < end."""

    start: int
    end: int
    action: str  # one line
    score: float

    @property
    def text(self) -> str:
        """Returns the class and the score."""
        return f"{self.action} ({self.score:.3f})"


def write_labels(
    folder: Path, form: str, names: Sequence[str], segments: Segments, classes: Sequence[str]
) -> list[Path]:
    """Writes the segments of each video, in seconds, into a file of its own in `folder`, and returns these files.

    `form` is one of FORMS; `segments.video` is an index into `names`. Videos without segments get a file too. Other
    files in the folder stay. Raises InputError where a file cannot be written; every file is whole, or as before.
    """
    suffix, as_text = FORMS[form]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in file_names(names, suffix)]
    for video, file in enumerate(files):
        write_text(file, as_text(labels_of(segments.of_video(video), classes)))
    return files


def labels_of(segments: Segments, classes: Sequence[str]) -> list[Label]:
    """Returns the segments of one video, in seconds, as labels in the order of time."""
    lines, labels = [one_line(name) for name in classes], []
    for label, *times, score in segments.rows():
        start, end = (max(round(time * 1000), 0) for time in times)
        labels.append(Label(start, max(end, start + 1), lines[label], score))
    return sorted(labels)


def one_line(name: str) -> str:
    """Returns a name with single blanks for line ends and tabs, and "?" for what neither XML nor UTF-8 can hold."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]", "?", " ".join(sayable(name).split()))


def as_srt(labels: Sequence[Label]) -> str:
    """Formats labels as SubRip subtitles."""
    cues = enumerate(labels, 1)
    return "\n".join(f"{number}\n{_time(each.start)} --> {_time(each.end)}\n{each.text}\n" for number, each in cues)


def as_vtt(labels: Sequence[Label]) -> str:
    """Formats labels as WebVTT subtitles (W3C), in which a text may not hold <, > and & as they are."""
    cues = (f"\n{_time(each.start, '.')} --> {_time(each.end, '.')}\n{escape(each.text)}\n" for each in labels)
    return "WEBVTT\n" + "".join(cues)


def as_audacity(labels: Sequence[Label]) -> str:
    """Formats labels as a label track of Audacity: start, end and text with tabs between them, in seconds."""
    return "".join(f"{each.start / 1000:.3f}\t{each.end / 1000:.3f}\t{each.text}\n" for each in labels)


def as_eaf(labels: Sequence[Label]) -> str:
    """Formats labels as a document of ELAN (EAF 3.0): a tier per class, and more where labels of a class overlap."""
    root = ElementTree.Element("ANNOTATION_DOCUMENT", SCHEMA, AUTHOR="", DATE=DATE, FORMAT="3.0", VERSION="3.0")
    ElementTree.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    order = ElementTree.SubElement(root, "TIME_ORDER")
    places = sorted((time, f"ts{place}") for place, time in enumerate(time for each in labels for time in each[:2]))
    for time, place in places:
        ElementTree.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=place, TIME_VALUE=str(time))
    tiers = {}
    for number, (name, label) in enumerate(zip(tier_names(labels), labels, strict=True)):
        if name not in tiers:
            tiers[name] = ElementTree.SubElement(root, "TIER", TIER_ID=name, LINGUISTIC_TYPE_REF="actions")
        ends = {"TIME_SLOT_REF1": f"ts{2 * number}", "TIME_SLOT_REF2": f"ts{2 * number + 1}"}
        annotation = ElementTree.SubElement(tiers[name], "ANNOTATION")
        annotation = ElementTree.SubElement(annotation, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{number}"} | ends)
        ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = label.text
    kind = {"LINGUISTIC_TYPE_ID": "actions", "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", kind)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n'


def tier_names(labels: Sequence[Label]) -> list[str]:
    """Returns the tier of each label, in the order of time: that of its class, "CLASS #2" where it is taken ...

    ELAN allows no annotations of one tier at the same time.
    """
    ends, names = {}, []
    for label in labels:
        candidates = itertools.chain([label.action], (f"{label.action} #{number}" for number in itertools.count(2)))
        names.append(next(name for name in candidates if ends.get(name, 0) <= label.start))
        ends[names[-1]] = label.end
    return names


def _time(milliseconds: int, point: str = ",") -> str:
    """Formats a time as hours:minutes:seconds with three digits after the point."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


FORMS = {"srt": (".srt", as_srt), "vtt": (".vtt", as_vtt), "audacity": (".txt", as_audacity), "elan": (".eaf", as_eaf)}
