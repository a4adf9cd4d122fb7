"""The installed library: a wheel has nothing beside tsc_jax, and its commands work in any folder."""

import ast
import importlib
import os
import re
import shutil
import site
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import tsc_jax
from tests.data.layouts import make_examples, write_per_video
from tsc_jax import cli, commands

ROOT = Path(__file__).resolve().parents[1]

USER = """
import numpy as np
import tsc_jax

localizer = tsc_jax.load("run")
features = np.zeros((64, localizer.width), np.float32)
for segment in localizer(features):
    label: str = segment.label
    print(label, segment.start + segment.end, segment.score, len(localizer.localize(features).segments))
print(localizer([features, features])[0][0].label, localizer.classes)
"""


def test_the_names_that_editors_see_are_those_that_python_imports():
    tree = ast.parse((ROOT / "tsc_jax" / "__init__.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {name.name: node.module for node in imports if node.module.startswith("tsc_jax.") for name in node.names}
    assert sorted([*seen, "__version__"]) == sorted(tsc_jax.__all__) == dir(tsc_jax)
    assert all(getattr(tsc_jax, name) is getattr(importlib.import_module(seen[name]), name) for name in seen)


def test_code_names_the_folders_as_a_wheel_has_them():
    files = [file for name in ("tsc_jax", "configs", "launch") for file in (ROOT / name).rglob("*.py")]
    wrong = re.compile(r"^\s*(from|import) (configs|launch)\b", re.MULTILINE)
    assert len(files) > 100 and [str(file) for file in files if wrong.search(file.read_text())] == []


def test_the_extras_are_the_requirements_files():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["tool"]["setuptools"]["dynamic"]["optional-dependencies"]
    assert {f"requirements-{name}.txt" for name in extras} == {file.name for file in ROOT.glob("requirements-*.txt")}
    assert all(extra["file"] == [f"requirements-{name}.txt"] for name, extra in extras.items())


def test_messages_call_the_commands_as_they_are_called_here(monkeypatch):
    text = "run python -m launch.prepare, then launch.train; launch/gke.yaml; pip install -r requirements-video.txt"
    assert commands.called_here(text) == text
    monkeypatch.setattr(commands, "INSTALLED", True)
    expected = 'run tsc-jax prepare, then tsc-jax train; launch/gke.yaml; pip install "tsc_jax[video]"'
    assert commands.called_here(text) == expected == str(tsc_jax.InputError(text))


def test_a_recipe_is_found_by_name_but_a_file_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = str(ROOT / "configs" / "tscnet_best.py")
    (tmp_path / "tscnet_best").mkdir()
    for name in ("tscnet_best", "tscnet_best.py", "configs/tscnet_best.py"):
        assert cli._with_recipes(["x", f"--config={name}:demo"]) == ["x", f"--config={recipe}:demo"]
        assert cli._with_recipes(["x", "-config", name, "a"]) == ["x", "-config", recipe, "a"]
    (tmp_path / "tscnet_best.py").touch()
    for same in (["--config=tscnet_best.py:demo"], ["--config.a=tscnet_best"], ["--config", "tscnet_best.py"]):
        assert cli._with_recipes(["x", *same]) == ["x", *same]
    with pytest.raises(tsc_jax.InputError, match=r"--config=tscnet_bets: no such file, .* did you mean tscnet_best"):
        cli._with_recipes(["x", "--config=tscnet_bets"])


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A virtual environment that sees the packages of this one, and the library from a wheel; nothing is downloaded."""
    try:
        if int(version("setuptools").split(".")[0]) < 77:
            pytest.skip("needs setuptools 77 or newer to build a wheel")
    except PackageNotFoundError:
        pytest.skip("needs setuptools to build a wheel")
    folder = tmp_path_factory.mktemp("package")
    for pattern in ("*.txt", "pyproject.toml", "setup.py", "README.md", "LICENSE"):
        for path in ROOT.glob(pattern):
            shutil.copy(path, folder)
    for name in ("tsc_jax", "configs", "launch"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--no-input"]
    offline = ["--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "-w", folder, folder], check=True, timeout=300)
    venv.create(folder / "venv", symlinks=True)
    (own,) = (folder / "venv").glob("lib/python*/site-packages")
    (own / "these.pth").write_text("\n".join(site.getsitepackages()))
    (wheel,) = folder.glob("*.whl")
    python = folder / "venv/bin/python"
    subprocess.run([*pip, "--python", python, "install", *offline, "--no-compile", wheel], check=True, timeout=300)
    yield folder / "venv"
    shutil.rmtree(folder)


def use(command: list, folder: Path, code: int = 0) -> str:
    """Runs a command as a user does who has no clone; returns what it prints, and expects this exit code."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def whole(folder: Path) -> list[Path]:
    """The files of a folder that belong into a wheel."""
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return [path for path in files if path.suffix not in (".sh", ".sbatch", ".yaml")]


@pytest.mark.slow
def test_a_wheel_holds_the_package_and_nothing_beside_it(installed):
    (own,) = installed.glob("lib/python*/site-packages")
    assert {path.name.split("-")[0] for path in own.iterdir()} == {"tsc_jax", "these.pth"}
    files = {str(path.relative_to(ROOT)) for name in ("tsc_jax", "configs", "launch") for path in whole(ROOT / name)}
    expected = {name if name.startswith("tsc_jax/") else f"tsc_jax/{name}" for name in files}
    assert {str(path.relative_to(own)) for path in whole(own / "tsc_jax")} == expected


@pytest.mark.slow
def test_the_commands_of_a_wheel_work_in_a_folder_that_has_its_own_configs_and_launch(installed, data_dir, tmp_path):
    for name in ("configs", "launch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    tsc = str(installed / "bin/tsc-jax")
    listed = re.findall(r"^  (\w+) ", use([tsc, "--help"], tmp_path), re.MULTILINE)
    assert listed == sorted(commands.commands()) and "train" in listed
    assert "Workdir of tsc-jax train, or output of tsc-jax export" in use([tsc, "predict", "--help"], tmp_path, 1)
    source = write_per_video(tmp_path / "source", make_examples())
    # The rate of these few made-up snippets does not fit all of their videos.
    assert "correct the errors before tsc-jax prepare" in use([tsc, "doctor", f"--source={source}"], tmp_path, 1)
    prepared = use([tsc, "prepare", "--name=watch_workouts"], tmp_path)
    assert "next: tsc-jax train --config=configs/demo.py --workdir=runs/watch_workouts" in prepared
    small = ["data.name=made_up", f"data.data_dir={data_dir}", "train.steps=1", "train.snippets=16", "eval.figures=0"]
    changes = [f"--config.{change}" for change in (*small, "bank.snippets_per_video=8")]
    use([tsc, "train", "--config=configs/demo.py", "--workdir=run", *changes], tmp_path)
    assert "mAP" in use([tsc, "evaluate", "--workdir=run", "--localization=plus"], tmp_path)
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.slow
def test_a_program_that_uses_the_wheel_passes_mypy(installed, tmp_path):
    pytest.importorskip("mypy", reason="needs mypy")
    mypy = [sys.executable, "-m", "mypy", "--strict", f"--python-executable={installed}/bin/python"]
    for name, program in {"good": USER, "bad": "import tsc_jax\n\ntsc_jax.laod()\n"}.items():
        (tmp_path / f"{name}.py").write_text(program)
    command = [*mypy, "good.py", "bad.py"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600).stdout
    assert re.fullmatch(r'bad\.py:3: error: Module has no attribute "laod".*\nFound 1 error.*\n', found), found
