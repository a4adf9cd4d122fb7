"""What a run says while it works: a bar on a terminal, plain lines elsewhere, scalars as JSON lines."""

import json
import sys
import time
from pathlib import Path

import jax
import numpy as np
import tqdm

from tsc_jax.errors import InputError


class RunLog:
    """Losses and metrics of one run, written by process 0 alone.

    The losses of a step are fetched when those of a later one come in, so that the devices never wait for the log.

    Attributes:
      path: WORKDIR/scalars.jsonl, one JSON object a line: {"step": ..., name: value, ...}.
    """

    def __init__(self, workdir: Path, first_step: int, steps: int, every: int):
        """Drops the scalars of steps that a resumed run takes again."""
        self.path = Path(workdir) / "scalars.jsonl"
        self.every, self.steps = every, steps
        self.pending = None
        self.writes = jax.process_index() == 0
        self.noted = (first_step, time.monotonic())
        if self.writes:
            lines = self.path.read_text().splitlines() if self.path.exists() else []
            kept = [line for line in lines if json.loads(line)["step"] <= first_step]
            partial = self.path.with_suffix(".partial")
            partial.write_text("".join(f"{line}\n" for line in kept))
            partial.rename(self.path)
        quiet = not (self.writes and sys.stderr.isatty())
        self.bar = tqdm.tqdm(total=steps, initial=first_step, disable=quiet, unit="step", dynamic_ncols=True)

    def losses(self, step: int, means: dict[str, jax.Array]) -> None:
        """Notes the mean loss terms of a step; raises InputError as soon as a noted one is not finite."""
        self.bar.update()
        if step % self.every == 0 or step == self.steps:
            self.flush()
            self.pending = (step, means)

    def flush(self) -> None:
        """Writes what is noted."""
        if self.pending is None:
            return
        step, means = self.pending
        self.pending = None
        means = {name: float(value) for name, value in sorted(jax.device_get(means).items())}
        wrong = [f"{name} = {value}" for name, value in means.items() if not np.isfinite(value)]
        if wrong:
            self.bar.close()
            raise InputError(
                f"step {step}: the loss is not finite ({', '.join(wrong)}); the last checkpoint is kept,"
                " try a lower config.optimizer.learning_rate"
            )
        self.scalars(step, means)
        self.bar.set_postfix_str(f"loss {means['total']:.3f}", refresh=False)
        if self.bar.disable:
            (before, then), self.noted = self.noted, (step, time.monotonic())
            rate = (step - before) / (self.noted[1] - then)
            terms = "  ".join(f"{name} {value:.2f}" for name, value in means.items() if "mil" in name)
            self.line(f"step {step}/{self.steps}  {rate:.2g} steps/s  loss {means['total']:.3f}  {terms}")

    def metrics(self, step: int, split: str, metrics: dict) -> None:
        """Notes and prints what a split's evaluation gave (see `results.make_metrics`)."""
        values = {f"mAP@{tiou:g}": value for tiou, value in zip(metrics["tiou"], metrics["mAP"], strict=True)}
        averages = {f"mAP@{name}": value for name, value in metrics["average_mAP"].items() if value is not None}
        values |= averages | {"classification_mAP": metrics["classification_mAP"]}
        self.scalars(step, {f"{split}/{name}": value for name, value in values.items()})
        shown = "  ".join(f"{name} {value:.1f}" for name, value in averages.items())
        self.line(f"step {step}/{self.steps}  {split}: {shown}  classification {values['classification_mAP']:.1f}")

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Appends one line to the scalars."""
        if self.writes:
            with self.path.open("a") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")

    def line(self, text: str) -> None:
        """Prints a line of text, above the bar where there is one."""
        if self.writes:
            self.bar.write(text, file=sys.stdout)
            sys.stdout.flush()

    def close(self) -> None:
        """Writes what is left and ends the bar."""
        self.flush()
        self.bar.close()
