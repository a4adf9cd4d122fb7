"""Writes scalars.jsonl as event files for TensorBoard, if it is installed; TensorFlow is not needed."""

from pathlib import Path

from tsc_jax.errors import InputError
from tsc_jax.files import replacing
from tsc_jax.training.log import read_scalars
from tsc_jax.training.trained import seed_folders

FILE = "events.out.tfevents.scalars"  # TensorBoard looks for names with "tfevents"


def write_events(workdir: Path) -> str:
    """Writes the scalars of a run into its folder `tensorboard`, or those of each seed into the seed's folder.

    An event file that is already there is replaced. The times in it are 0, because scalars.jsonl holds only steps.
    Returns a sentence that says how many values were written and how to look at them. Raises InputError if TensorBoard
    is not installed or there are no scalars.
    """
    try:
        import tensorboard  # noqa: F401
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ModuleNotFoundError:
        raise InputError(
            "TensorBoard, which writes and shows event files, is not installed:"
            " pip install -r requirements-tensorboard.txt"
        ) from None
    count = 0
    for folder in seed_folders(workdir) or [Path(workdir)]:
        scalars = read_scalars(folder / "scalars.jsonl")
        if not scalars:
            raise InputError(f"{folder / 'scalars.jsonl'}: holds no scalars, expected those of launch.train")
        rows = [(step, name, value) for name, columns in scalars.items() for step, value in zip(*columns, strict=True)]
        (folder / "tensorboard").mkdir(exist_ok=True)
        with replacing(folder / "tensorboard" / FILE) as temporary, temporary.open("wb") as file:
            writer = RecordWriter(file)
            writer.write(Event(file_version="brain.Event:2").SerializeToString())
            for step, name, value in sorted(rows):
                summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
                writer.write(Event(step=int(step), summary=summary).SerializeToString())
        count += len(rows)
    return f"{count} values for TensorBoard; look at them with: tensorboard --logdir {workdir}"
