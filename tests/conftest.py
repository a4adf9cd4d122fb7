"""What all tests share."""

import os
from pathlib import Path

# Tests compile much and compute little; their commands inherit this.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "jax")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"

import hypothesis
import jax
import pytest

# The same examples in every run, however busy the machine is.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tests")

# Eight devices on any machine, so that what holds for a pod can be seen on a laptop.
jax.config.update("jax_num_cpu_devices", 8)

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="module", autouse=True)
def forget_compiled():
    """Programs of one file serve no other, and a process that keeps them all runs out of memory mappings."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with recorded numbers and real recordings that developers have; users do not."""
    if not SHARED.is_dir():
        pytest.skip("needs the developers' folder ../shared, which is not here")
    return SHARED
