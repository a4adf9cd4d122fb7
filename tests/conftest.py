"""What all tests share."""

from pathlib import Path

import jax
import pytest

# Eight devices on any machine, so that what holds for a pod can be seen on a laptop.
jax.config.update("jax_num_cpu_devices", 8)
# Tests compile the same few programs over and over.
jax.config.update("jax_compilation_cache_dir", str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with recorded numbers and real recordings that developers have; users do not."""
    if not SHARED.is_dir():
        pytest.skip("needs the developers' folder ../shared, which is not here")
    return SHARED
