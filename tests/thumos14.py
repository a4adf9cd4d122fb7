"""Raw detections on the real training videos of THUMOS-14, and their ground truth; from the folder ../shared."""

import json
from pathlib import Path

from tsc_jax.data.annotations import read_npy_folder


def proposals_file(shared: Path) -> Path:
    return shared / "real" / "thumos14_proposals" / "train.json"


def write_ground_truth(shared: Path, path: Path) -> None:
    """Writes the annotations of the 200 training videos in ActivityNet's form."""
    database = {
        video.name: {
            "subset": video.subset,
            "duration": video.duration,
            "annotations": [
                {"label": label, "segment": list(segment)}
                for segment, label in zip(video.segments, video.segment_labels, strict=True)
            ],
        }
        for video in read_npy_folder(shared / "annotations" / "Thumos14reduced-Annotations")
        if video.subset == "validation"
    }
    path.write_text(json.dumps({"database": database}))
