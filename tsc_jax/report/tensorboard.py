"""Event files for TensorBoard, written while a run trains or from its scalars.jsonl; TensorFlow is not needed.

They lie in the folder `tensorboard` of a run, one for each start of the training. TensorBoard reads them in the order
of their names, which begin with the time.
"""

import json
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_collections

from tsc_jax.buckets import GrowingFile, in_bucket, local_file
from tsc_jax.commands import called_here
from tsc_jax.data.dataset import Dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation.evaluate import Evaluation
from tsc_jax.files import open_path, replacing, writing
from tsc_jax.report.figures import draw_videos
from tsc_jax.training.log import read_scalars
from tsc_jax.training.trained import seed_folders

FOLDER = "tensorboard"
FILES = "*tfevents*"  # TensorBoard looks for such names


def check_installed() -> None:
    """Raises InputError if TensorBoard is not installed."""
    try:
        import tensorboard  # noqa: F401
    except ModuleNotFoundError:
        raise InputError(
            called_here(
                "TensorBoard, which writes and shows event files, is not installed:"
                " pip install -r requirements-tensorboard.txt"
            )
        ) from None


def write_events(workdir: Path) -> str:
    """Writes the scalars of a run into its folder `tensorboard`, or those of each seed into the seed's folder.

    Events of these scalars that are already there are replaced; pictures and text stay. The times of the new ones are
    0, because scalars.jsonl holds only steps. Returns a sentence that says how many values were written and how to look
    at them. Raises InputError if TensorBoard is not installed or there are no scalars.
    """
    check_installed()
    count = 0
    for folder in seed_folders(workdir) or [open_path(workdir)]:
        scalars = read_scalars(folder / "scalars.jsonl")
        if not scalars:
            raise InputError(f"{folder / 'scalars.jsonl'}: holds no scalars, expected those of launch.train")
        rows = sorted((step, name, value) for name, of in scalars.items() for step, value in zip(*of, strict=True))
        keep_events(
            folder, lambda event, names=frozenset(scalars): not names & {each.tag for each in event.summary.value}
        )
        with replacing(new_file(folder)) as temporary, EventFile(temporary) as file:
            for step, name, value in rows:
                file.write(int(step), 0.0, name, simple_value=value)
        count += len(rows)
    return f"{count} values for TensorBoard; look at them with: tensorboard --logdir {workdir}"


def follow(workdir: Path, config: ml_collections.ConfigDict, dataset: Dataset, first_step: int) -> "RunEvents":
    """Begins to write the events of a run that trains from `first_step` on; those of later steps are dropped."""
    keep_events(workdir, lambda event: event.step <= first_step)
    return RunEvents(workdir, config, dataset, first_step)


class RunEvents:
    """The events of a run while it trains: its recipe, scalars, and pictures of test videos at each evaluation."""

    def __init__(self, workdir: Path, config: ml_collections.ConfigDict, dataset: Dataset, first_step: int):
        """Begins a file; a TensorBoard that has shown later steps forgets them."""
        self.config, self.dataset, self.path = config, dataset, new_file(workdir)
        with writing(self.path):
            self.file = EventFile(self.path)
        recipe = json.dumps(json.loads(config.to_json()), indent=1)
        self.write(first_step + 1, restart=True)
        self.write(first_step, "recipe", text="".join(f"    {line}\n" for line in recipe.splitlines()))

    def write(self, step: int, tag: str = "", **value: Any) -> None:
        """Writes one event, which can be seen at once; raises InputError where that fails."""
        with writing(self.path):
            self.file.write(step, time.time(), tag, **value)
            self.file.flush()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one event for each value."""
        for name, value in values.items():
            self.write(step, name, simple_value=value)

    def evaluated(self, step: int, evaluation: Evaluation) -> None:
        """Writes `config.eval.figures` pictures, the same as those in figures/."""
        for name, figure in draw_videos(evaluation, self.dataset, self.config.eval.figures, f"step {step}"):
            self.write(step, f"figures/{name}", png=figure._repr_png_())

    def close(self) -> None:
        """Closes the file."""
        self.file.close()


class EventFile:
    """A file of events that is written from its beginning."""

    def __init__(self, path: Path):
        """Opens a new file."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.records = RecordWriter(GrowingFile(path) if in_bucket(path) else path.open("wb"))
        self.records.write(Event(file_version="brain.Event:2").SerializeToString())

    def write(self, step: int, when: float, tag: str = "", **value: Any) -> None:
        """Writes an event at the time `when`, in seconds.

        `value` is one of simple_value=NUMBER, text=MARKDOWN, png=BYTES and restart=True; the last one makes TensorBoard
        forget what it knows of this step and later ones.
        """
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING
        from tensorboard.plugins.text.metadata import create_summary_metadata

        event = Event(step=step, wall_time=when)
        if "restart" in value:
            event.session_log.status = SessionLog.START
        elif "text" in value:
            text = TensorProto(dtype=DT_STRING, string_val=[value["text"].encode()])
            event.summary.value.add(tag=tag, tensor=text, metadata=create_summary_metadata(tag, ""))
        elif "png" in value:
            png = value["png"]
            width, height = struct.unpack(">II", png[16:24])
            image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
            event.summary.value.add(tag=tag, image=image)
        else:
            event.summary.value.add(tag=tag, **value)
        self.records.write(event.SerializeToString())

    def flush(self) -> None:
        """Hands everything to the operating system."""
        self.records.flush()

    def close(self) -> None:
        """Closes the file."""
        self.records.close()

    def __enter__(self) -> "EventFile":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def new_file(workdir: Path) -> Path:
    """The path of a new event file of a run; its folder is made."""
    folder = workdir / FOLDER
    with writing(folder):
        folder.mkdir(exist_ok=True)
    return folder / f"events.out.tfevents.{time.time_ns()}"


def keep_events(workdir: Path, wanted: Callable[[Any], bool]) -> None:
    """Drops the events of a run that are not wanted from its files; a file of which nothing is left is deleted."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    for path in sorted((workdir / FOLDER).glob(FILES)):
        with local_file(path) as local:
            records = list(RawEventFileLoader(str(local)).Load())  # of a run that was killed, without a last half
        events = [Event.FromString(record) for record in records]
        kept = [record for record, event in zip(records, events, strict=True) if wanted(event)]
        if not any(event.HasField("summary") and wanted(event) for event in events):
            path.unlink()
        elif len(kept) < len(records):
            with replacing(path) as temporary, temporary.open("wb") as file:
                writer = RecordWriter(file)
                for record in kept:
                    writer.write(record)
