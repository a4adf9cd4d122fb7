"""Fixtures for tests of prepared data."""

import pytest

from tests.data.small import make_source, prepared
from tsc_jax.data.dataset import Dataset


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Dataset:
    return prepared(make_source(), tmp_path_factory.mktemp("data"))
