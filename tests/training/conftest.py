"""What the tests of training share."""

from pathlib import Path

import pytest

from tests.training.small import toy_run
from tsc_jax.training.loop import train


@pytest.fixture(scope="session")
def toy_finished(data_dir, tmp_path_factory) -> Path:
    """A finished run of the toy method; its checkpoints are not to be changed."""
    workdir = tmp_path_factory.mktemp("toy_finished")
    train(toy_run(data_dir), workdir)
    return workdir
