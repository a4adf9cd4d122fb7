"""The segments of many videos as text: a table for the terminal, and CSV."""

import csv
import io
import re
from collections.abc import Mapping, Sequence

from tsc_jax.localization.segments import Segments
from tsc_jax.report.page import sayable


def as_table(videos: Mapping[str, float], segments: Segments, classes: Sequence[str], top: int) -> str:
    """Formats one line per video, followed by its `top` best segments: start, end, score and class.

    `videos` are their durations in seconds by name; `segments.video` is an index into them.
    """
    lines = []
    for index, (name, duration) in enumerate(videos.items()):
        rows = list(segments.of_video(index).rows())
        best = f", best {top} of {len(rows)} segments" if top < len(rows) else ""
        lines.append(f"{name}   {clock(duration)}{best if rows else ', no segments'}")
        for label, start, end, score in rows[:top]:
            lines.append(f"  {clock(start):>7} - {clock(end):>7}  {score:6.3f}  {classes[label]}")
    return "\n".join(lines)


def clock(seconds: float) -> str:
    """Formats hours, minutes and seconds as players and the page do: 75.24 -> 1:15.2, 3675.24 -> 1:01:15.2."""
    tenths = round(seconds * 10)
    hours, minutes = tenths // 36000, tenths // 600 % 60
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{tenths % 600 / 10:04.1f}"


def as_csv(names: Sequence[str], segments: Segments, classes: Sequence[str]) -> str:
    """Formats the rows video,label,start,end,score, one per segment, in seconds, best first in each video.

    A name that a spreadsheet would run as a formula gets an apostrophe in front. The JSON file has all names unchanged.
    """
    text = io.StringIO()
    # Quotes all names: the csv module does not quote a carriage return, which also ends a line.
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(["video", "label", "start", "end", "score"])
    for index, name in enumerate(names):
        rows = segments.of_video(index).rows()
        writer.writerows([_cell(name), _cell(classes[label]), *numbers] for label, *numbers in rows)
    return text.getvalue()


def _cell(name: str) -> str:
    """Formats a name as a cell; ids such as "-aB_3" are no formulas."""
    is_formula = name.startswith(("=", "+", "-", "@", "\t", "\r")) and not re.fullmatch(r"-[\w-]*", name)
    return sayable(f"'{name}" if is_formula else name)
