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

# A missing axis is a mistake more often than it is meant.
jax.config.update("jax_numpy_rank_promotion", "raise")

# Eight devices on any machine, so that what holds for a pod can be seen on a laptop.
jax.config.update("jax_num_cpu_devices", 8)

MAPPINGS = Path("/proc/self/maps")
SHARED = Path(__file__).resolve().parents[2] / "shared"


# The files that take longest, longest first.
LONGEST = ("methods/test_contract.py", "test_docs.py", "training/test_processes.py", "test_benchmarks.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the files that take long, so that none of two workers is left with one of them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (ranks.get(item.path, len(LONGEST)), item.path not in slow))


@pytest.fixture(scope="module", autouse=True)
def forget_compiled():
    """Programs of one file serve no other, and a process that keeps them all runs out of memory mappings."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def forget_compiled_early():
    """The same within a file that compiles very much; Linux gives a process 65,530 mappings."""
    yield
    if MAPPINGS.exists() and MAPPINGS.read_bytes().count(b"\n") > 40_000:
        jax.clear_caches()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with recorded numbers and real recordings that developers have; users do not."""
    if not SHARED.is_dir():
        pytest.skip("needs the developers' folder ../shared, which is not here")
    return SHARED


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    """Where the small data set of tests/training/small.py is prepared."""
    from tests.training.small import made_up_source
    from tsc_jax.data import builder

    folder = tmp_path_factory.mktemp("data")
    builder.prepare(made_up_source, "made_up", folder)
    return folder


@pytest.fixture(scope="session")
def finished(data_dir, tmp_path_factory) -> Path:
    """A finished run of TSC-Net; not to be written to."""
    from tests.training.small import small_run
    from tsc_jax.training.loop import train

    workdir = tmp_path_factory.mktemp("finished")
    train(small_run(data_dir), workdir)
    return workdir


@pytest.fixture(scope="session")
def evaluated(finished) -> Path:
    """The same run with its report."""
    from tsc_jax.report.run import report

    report(finished, {})
    return finished


@pytest.fixture(scope="session")
def test_videos(data_dir) -> dict:
    """The features [T, D] of the test videos of the small data set, by name."""
    from tsc_jax.data.dataset import open_dataset

    split = open_dataset(data_dir, "made_up").test
    return {video.name: split.features(index) for index, video in enumerate(split.videos)}
