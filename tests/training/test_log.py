"""The log of a run tells the rate of steps alone."""

import re

import jax.numpy as jnp
import pytest

from tsc_jax.training import log


@pytest.mark.parametrize("every", [1, 3, 20])
def test_the_rate_is_that_of_steps_without_compilation_and_evaluations(tmp_path, monkeypatch, capsys, every):
    now = [0.0]
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    train = type("Train", (), {"log_every": every, "steps": 90})
    with log.RunLog([tmp_path], 0, train, str) as lines:
        for step in range(1, 91):
            now[0] += 100 if step == 1 else 0.1  # the first step is compiled
            lines.losses(step, {"total": jnp.ones(1)})
            if lines.pending:
                lines.pending[2].result()
            if step % 7 == 0:
                lines.flush()
                now[0] += 1000  # an evaluation
                lines.pause()
    said = re.findall(r"(\S+) steps/s", capsys.readouterr().out)
    assert len(said) > 90 / every / 2
    assert {float(rate) for rate in said} == {10.0}
