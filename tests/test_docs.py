"""The documents are correct: their commands run as written, and every file, flag and key that they name exists."""

import ast
import functools
import importlib
import importlib.util
import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
PAGES = ("README.md", "BUILD.md", *(f"docs/{name}" for name in DOCS))

# Documents whose commands run from top to bottom; a document that uses the run of another one comes after it.
WALKS = (
    ("your-own-data.md",),
    ("from-a-raw-video.md",),
    ("evaluation-protocols.md", "reading-the-report.md", "headroom.md"),
)
# Documents whose commands another test runs.
ELSEWHERE = {
    "ablations.md": "tests/ablation/test_ablation.py",
    "methods.md": "tests/ablation/test_compare_recipes.py",
    "python.md": "tests/test_api.py",
    "thumos14-proposals.md": "tests/evaluation/test_refining.py",
}
# The word after ``` is the kind of a block: shell commands, a Python program, or text that is only shown.
RUN, SCRIPT, SHOWN = ("", "bash"), ("python",), ("text", "json")
# Lines that are not run, because the environment of the tests exists already.
INSTALLS = re.compile(r"(pip install|source \S+/activate|python3? -m venv) ?.*")


def blocks(page: str) -> list[tuple[str, str]]:
    """Returns the kind and the content of each fenced block."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def code(page: str) -> str:
    """Returns all code of a page, in blocks and between backticks, with one command per line."""
    text = (ROOT / page).read_text()
    inline = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
    return "\n".join([*(content for kind, content in blocks(page) if kind not in SHOWN), *inline])


def test_every_document_is_covered_once():
    assert sorted([*itertools.chain(*WALKS), *ELSEWHERE]) == DOCS


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_test_that_runs_a_document_names_it(name):
    assert name in (ROOT / ELSEWHERE[name]).read_text()


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_known_kind(page):
    assert {kind for kind, _ in blocks(page)} <= {*RUN, *SCRIPT, *SHOWN}
    assert len(re.findall(r"^```", (ROOT / page).read_text(), re.MULTILINE)) == 2 * len(blocks(page))


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text())
    relative = [link for link in links if "://" not in link]
    assert [link for link in relative if not (ROOT / page).parent.joinpath(link).exists()] == []


@functools.cache
def flags_of(module: str) -> set[str]:
    """Returns the flags that a module of launch/ or benchmarks/ defines, without importing it."""
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    own = {call.args[0].value for call in calls if call.func.attr.startswith("DEFINE_")}
    shares = any(isinstance(node, ast.Name) and node.id == "data_flags" for node in ast.walk(tree))
    return own | flags_of("launch.data_flags") if shares else own


def commands(page: str) -> list[tuple[str, list[str]]]:
    """Returns module and arguments of each `python -m MODULE`; the scripts of launch/ pass theirs to launch.train."""
    text = code(page).replace("\\\n", " ")
    text = re.sub(r"launch/\w+\.(?:sh|sbatch)(?= .*--config)", "python -m launch.train", text)
    return [(module, rest.split()) for module, rest in re.findall(r"python -m ([\w.]+)(.*)", text)]


def test_the_helpers_find_flags_and_commands():
    assert {"workdir", "all_protocols", "all-protocols"} <= flags_of("launch.evaluate")
    assert "nothing" not in flags_of("launch.evaluate")
    assert len(commands("README.md")) > 10
    assert INSTALLS.fullmatch("pip install -r requirements.txt") and not INSTALLS.fullmatch("python -m launch.train")


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_flag_exists(page):
    for module, arguments in commands(page):
        if not module.startswith(("launch.", "benchmarks.")):
            assert importlib.util.find_spec(module), module
            continue
        given = [argument[2:].split("=")[0] for argument in arguments if argument.startswith("--")]
        known = flags_of(module)
        recipes = [argument.split("=")[1] for argument in arguments if argument.startswith("--config=configs/")]
        assert [flag for flag in given if flag.split(".")[0] not in known] == [], module
        for recipe in recipes:
            file, *kind = recipe.split(":")
            config = importlib.import_module(file.removesuffix(".py").replace("/", ".")).get_config(*kind)
            keys = {f"config.{key}" for key in config.to_dict() | flat(config)}
            assert [flag for flag in given if flag.startswith("config.") and flag not in keys] == []


def test_build_md_lists_every_package():
    files = (*ROOT.glob("requirements*.txt"), ROOT / "tests" / "requirements.txt")
    required = re.findall(r"^[A-Za-z][\w-]*", "\n".join(file.read_text() for file in files), re.MULTILINE)
    section = (ROOT / "BUILD.md").read_text().split("\n## Packages\n")[1].split("\n## ")[0]
    listed = re.findall(r"[\w-]+", " ".join(re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)))
    assert "seglearn" in required and sorted(set(required) - set(listed)) == []


def flat(config) -> dict:
    return dict.fromkeys(f"{group}.{key}" for group in config for key in config[group])


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_exists(page):
    named = re.findall(r"(?<![\w./])(?:launch|configs|docs|tests|benchmarks|tsc_jax)/[\w./*]+", code(page))
    assert [name for name in named if not list(ROOT.glob(name.rstrip("/.")))] == []


@pytest.fixture
def clone(tmp_path):
    """Copies the tracked files, as a user has them; deletes the copy after the test, because checkpoints are large."""
    git = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip(f"needs a git checkout, which lists the files of the project: {listed.stderr.strip()}")
    for name in filter(None, listed.stdout.split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk[0])
def test_every_command_runs_as_written(walk, clone):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    steps = [step for name in walk for step in blocks(f"docs/{name}") if step[0] not in SHOWN]
    assert {kind for kind, _ in steps} == {"", "python"}
    for kind, content in steps:
        command = ["python", "-"] if kind in SCRIPT else ["bash", "-exo", "pipefail", "-s"]
        lines = [line for line in content.splitlines(keepends=True) if not INSTALLS.fullmatch(line.strip())]
        streams = {"input": "".join(lines), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(command, cwd=clone, env=environment, check=False, timeout=600, **streams)
        assert done.returncode == 0, done.stdout
