"""The log of a run: a progress bar on a terminal, plain lines elsewhere, scalars as JSON lines."""

import concurrent.futures
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import jax
import numpy as np
import tqdm

from tsc_jax.errors import InputError
from tsc_jax.evaluation.evaluate import Evaluation
from tsc_jax.files import Journal, write_text


class Events(Protocol):
    """What follows a run while it trains, beside its log."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the losses, rates or metrics of a step."""

    def evaluated(self, step: int, evaluation: Evaluation) -> None:
        """Takes how the test videos were evaluated after a step."""

    def close(self) -> None:
        """Ends."""


class RunLog:
    """Losses and metrics of the runs that are trained together, written by process 0 alone.

    The losses of a step are fetched when those of a later one come in, so that the devices never wait for the log.

    Attributes:
      paths: scalars.jsonl in each workdir, one JSON object a line: {"step": ..., name: value, ...}.
    """

    def __init__(
        self,
        workdirs: Sequence[Path],
        first_step: int,
        train,
        way_on: Callable[[int], str],
        part: tuple[int, int] = (0, 1),
        events: Sequence[Events] = (),
        learning_rate: float | Callable[[int], float] = 0.0,
    ):
        """Drops the scalars of steps that a resumed run takes again.

        `train` is `config.train`. `way_on` says, for the number of a run, what to do when its loss is not finite.
        `part` is the place of these runs among groups that train one after the other, and the number of groups.
        `events` are one per run, or none; they are told what scalars.jsonl is told, and the `learning_rate` of a step
        and the rate of steps besides.
        """
        self.way_on, self.events, self.learning_rate = way_on, events, learning_rate
        self.paths = [workdir / "scalars.jsonl" for workdir in workdirs]
        self.every, self.steps = train.log_every, train.steps
        self.pending = None
        self.writes = jax.process_index() == 0
        self.noted: tuple[int, float] | None = None  # a step, and when it was done
        self.clock = concurrent.futures.ThreadPoolExecutor(1)  # waits for the steps whose losses are noted
        for path in [path for path in self.paths if path.exists()] if self.writes else ():
            kept = [line for line in whole_lines(path) if json.loads(line)["step"] <= first_step]
            write_text(path, "".join(f"{line}\n" for line in kept))
        self.journals = [Journal(path) for path in self.paths] if self.writes else []
        quiet = not (self.writes and sys.stderr.isatty())
        place, groups = part
        self.is_named = groups * len(self.paths) > 1
        self.bar = tqdm.tqdm(
            total=groups * self.steps,
            initial=place * self.steps + first_step,
            disable=quiet,
            unit="step",
            dynamic_ncols=True,
            leave=place + 1 == groups,
        )

    def losses(self, step: int, means: dict[str, jax.Array]) -> None:
        """Notes the loss terms of a step, per run; raises InputError as soon as a noted one is not finite."""
        self.bar.update()
        if self.noted is None:  # nothing else is computed yet: a step that is waited for begins a stretch
            self.noted = (step, ready(means))
        if step % self.every == 0 or step == self.steps:
            self.write_noted()
            self.pending = (step, means, self.clock.submit(ready, means))

    def flush(self) -> None:
        """Writes what is noted, and waits until it is where it belongs."""
        self.write_noted()
        for journal in self.journals:
            journal.flush()

    def write_noted(self) -> None:
        """Writes what is noted; a bucket may get it later."""
        if self.pending is None:
            return
        step, means, done = self.pending
        self.pending = None
        # Past the runs there may be copies that fill the devices up.
        runs = len(self.paths)
        means = {name: np.ravel(value)[:runs] for name, value in sorted(jax.device_get(means).items())}
        for number in range(runs):
            own = {name: float(values[number]) for name, values in means.items()}
            wrong = [f"{name} = {value}" for name, value in own.items() if not np.isfinite(value)]
            if wrong:
                raise InputError(
                    f"{self.named(number)}step {step}: the loss is not finite ({', '.join(wrong)});"
                    f" {self.way_on(number)}"
                )
            self.scalars(number, step, own)
        means = {name: values.mean() for name, values in means.items()}
        self.bar.set_postfix_str(f"loss {means['total']:.3f}", refresh=False)
        (before, then), self.noted = self.noted, (step, done.result())
        rate = (step - before) / (self.noted[1] - then) if step > before else None
        if self.bar.disable:
            said = f"{rate:.2g} steps/s  " if rate else ""
            of_run = self.named(0) if runs == 1 else ""
            self.line(f"step {step}/{self.steps}  {of_run}{said}loss {means['total']:.3f}")
        of_step = self.learning_rate(step - 1) if callable(self.learning_rate) else self.learning_rate
        rates = {"learning_rate": float(of_step)} | ({"steps_per_second": rate} if rate else {})
        for each in self.events:
            each.scalars(step, rates)

    def pause(self) -> None:
        """To be called when something else than steps was computed: its time is in no rate."""
        self.noted = None

    def metrics(self, step: int, number: int, split: str, metrics: dict) -> None:
        """Notes and prints what the evaluation of run `number` on a split gave (see `results.make_metrics`)."""
        values = {f"mAP@{tiou:g}": value for tiou, value in zip(metrics["tiou"], metrics["mAP"], strict=True)}
        averages = {f"mAP@{name}": value for name, value in metrics["average_mAP"].items()}
        values |= averages | {"classification_mAP": metrics["classification_mAP"]}
        self.scalars(number, step, {f"{split}/{name}": value for name, value in values.items()})
        for journal in self.journals:
            journal.flush()
        shown = "  ".join(f"{name} {value:.1f}" for name, value in averages.items())
        shown += f"  classification {values['classification_mAP']:.1f}"
        self.line(f"step {step}/{self.steps}  {self.named(number)}{split}: {shown}")

    def named(self, number: int) -> str:
        """A run's folder, where there are several."""
        return f"{self.paths[number].parent.name} " if self.is_named else ""

    def scalars(self, number: int, step: int, values: dict[str, float]) -> None:
        """Appends one line to the scalars of run `number`."""
        if self.writes:
            self.journals[number].append(json.dumps({"step": step, **values}))
        if self.events:
            self.events[number].scalars(step, values)

    def line(self, text: str) -> None:
        """Prints a line of text, above the bar where there is one."""
        if self.writes:
            self.bar.write(text, file=sys.stdout)
            sys.stdout.flush()

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, kind: type | None, *_) -> None:
        """Ends the bar; at a regular end, first writes what is left."""
        try:
            if kind is None:
                self.flush()
        finally:
            for journal in self.journals:
                journal.close()
            self.bar.close()
            for each in self.events:
                each.close()
            self.clock.shutdown(wait=False)


def ready(values: dict[str, jax.Array]) -> float:
    """Waits until the values of a step are computed; returns the time."""
    jax.block_until_ready(values)
    return time.monotonic()


def whole_lines(path: Path) -> list[str]:
    """The lines of scalars.jsonl, none where there is no file; a run that was killed may leave half a line."""
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def read_scalars(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reads scalars.jsonl: for each name the steps, int64 [N], and the values, float64 [N], in the order of the file.

    A file that is not there gives no names.

    Raises:
      InputError: a line of another form.
    """
    columns: dict[str, list[tuple[int, float]]] = {}
    for number, line in enumerate(whole_lines(path), 1):
        try:
            values = {name: float(value) for name, value in json.loads(line).items()}
            step = int(values.pop("step"))
        except (ValueError, TypeError, KeyError, AttributeError):
            expected = 'expected {"step": STEP, NAME: VALUE, ...}'
            raise InputError(f"{path}, line {number}: {expected}, found {line[:60]}") from None
        for name, value in values.items():
            columns.setdefault(name, []).append((step, value))
    return {
        name: (np.array([row[0] for row in rows]), np.array([row[1] for row in rows])) for name, rows in columns.items()
    }
