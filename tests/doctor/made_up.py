"""A small data set with nothing wrong in it, to plant defects in."""

from pathlib import Path

import numpy as np

from tests.data.layouts import Example, write_per_video

RATE = 2.0


def sound_examples() -> list[Example]:
    """Six training and four test videos, both classes in both subsets, as long as they should be."""
    rng = np.random.default_rng(0)
    examples = []
    for number in range(10):
        name, split = (f"a{number}", "train") if number < 6 else (f"b{number}", "test")
        labels = [["Jump"], ["Run"], ["Run", "Jump", "Run"]][number % 3]
        segments = [[2.5 * place + 0.5, 2.5 * place + 2.0] for place in range(len(labels))]
        snippets = int(rng.integers(16, 40))
        features = rng.random((snippets, 8), np.float32)
        examples.append(Example(name, split, features, segments, labels, snippets / RATE))
    return examples


def write_sound(folder: Path, examples: list[Example] | None = None) -> Path:
    """Writes them in the per-video layout."""
    meta = {"snippets_per_second": RATE, "classes": ["Jump", "Run"]}
    return write_per_video(folder, examples or sound_examples(), meta)
