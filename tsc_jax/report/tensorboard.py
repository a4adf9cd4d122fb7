"""scalars.jsonl as event files for TensorBoard, if that is installed; TensorFlow is not needed."""

import os
from pathlib import Path

from tsc_jax.errors import InputError
from tsc_jax.training.log import read_scalars
from tsc_jax.training.replicas import seed_folders

FOLDER = "tensorboard"
FILE = "events.out.tfevents.scalars"  # TensorBoard looks for names with "tfevents"


def write_events(workdir: Path) -> str:
    """Writes the scalars of a run, or of the runs of several seeds, into a folder `tensorboard` of each.

    Written again they replace what was there. Times are left at 0: scalars.jsonl knows steps alone.

    Args:
      workdir: of launch.train.

    Returns:
      What was written and how to look at it.

    Raises:
      InputError: TensorBoard is not installed, or there are no scalars.
    """
    try:
        import tensorboard  # noqa: F401
    except ModuleNotFoundError:
        raise InputError(
            "TensorBoard is not installed, which writes and shows event files: pip install tensorboard"
        ) from None
    written = 0
    for folder in seed_folders(workdir) or [Path(workdir)]:
        scalars = read_scalars(folder / "scalars.jsonl")
        if not scalars:
            raise InputError(f"{folder / 'scalars.jsonl'}: holds no scalars, expected those of launch.train")
        (folder / FOLDER).mkdir(exist_ok=True)
        path = folder / FOLDER / FILE
        partial = path.with_name(".partial")
        write_records(partial, scalars)
        os.replace(partial, path)
        written += sum(len(steps) for steps, _ in scalars.values())
    return f"{written} values for TensorBoard; look at them with: tensorboard --logdir {workdir}"


def write_records(path: Path, scalars: dict) -> None:
    """Writes scalars as `read_scalars` gives them into one event file, by rising step."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    rows = sorted(
        (step, name, value) for name, columns in scalars.items() for step, value in zip(*columns, strict=True)
    )
    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(file_version="brain.Event:2").SerializeToString())
        for step, name, value in rows:
            summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
            writer.write(Event(step=int(step), summary=summary).SerializeToString())
