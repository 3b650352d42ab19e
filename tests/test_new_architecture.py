"""`scripts/new_architecture.py`: everything that an architecture needs, failing until it is filled."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "new_architecture.py"


@pytest.fixture
def repository(tmp_path):
    """The part of a repository that the script reads."""
    (tmp_path / "hfmm").mkdir()
    shutil.copy(ROOT / "hfmm" / "catalogue.py", tmp_path / "hfmm")
    return tmp_path


def begin(repository, *words):
    return subprocess.run(
        [sys.executable, SCRIPT, *words, "--root", repository], capture_output=True, text=True, cwd=repository
    )


def rows(repository):
    """The catalogue of a repository."""
    scope = {"__name__": "catalogue"}
    exec(compile((repository / "hfmm" / "catalogue.py").read_text(), "catalogue.py", "exec"), scope)
    return {row.name: row for row in scope["ROWS"]}


def test_a_planned_architecture_gets_its_files_and_becomes_ready(repository):
    before = rows(repository)
    done = begin(repository, "lrcn", "--family", "captioning")
    assert (done.returncode, done.stderr) == (0, "")
    folder = repository / "hfmm" / "models" / "captioning" / "lrcn"
    written = [folder / f"{kind}_lrcn.py" for kind in ("configuration", "modeling", "processing")]
    written += [
        folder / "__init__.py",
        folder / "presets.py",
        repository / "hfmm" / "recipes" / "lrcn" / "default.yaml",
    ]
    written += [repository / "model_cards" / "lrcn.md", repository / "tests" / "models" / "captioning" / "test_lrcn.py"]
    assert [path for path in written if not path.is_file()] == []
    assert set(done.stdout.split()) == {
        path.relative_to(repository).as_posix() for path in [*written, repository / "hfmm" / "catalogue.py"]
    }
    after = rows(repository)
    assert list(after) == list(before)
    assert after["lrcn"] == before["lrcn"]._replace(
        status="ready",
        auto=(("AutoModelForImageTextToText", "LrcnForConditionalGeneration"),),
        processors=(("AutoProcessor", "LrcnProcessor"), *before["show_and_tell"].processors[1:]),
    )
    assert {name: row for name, row in after.items() if name != "lrcn"} == {
        name: row for name, row in before.items() if name != "lrcn"
    }


def test_a_new_name_gets_a_line_beside_its_family(repository):
    words = ["--title", "VSE++", "--year", "2018", "--paper", "arXiv:1707.05612"]
    assert begin(repository, "vsepp", "--family", "alignment").returncode == 2
    assert begin(repository, "vsepp", "--family", "alignment", *words).returncode == 0
    row = rows(repository)["vsepp"]
    assert (row.title, row.family, row.year, row.paper) == ("VSE++", "alignment", 2018, "arXiv:1707.05612")
    assert (row.origin, row.status, row.auto) == ("hfmm", "ready", (("AutoModel", "VseppModel"),))
    order = [name for name, other in rows(repository).items() if other.family == "alignment"]
    assert order[-1] == "vsepp"


def test_another_head(repository):
    words = ["stackgan", "--family", "generation", "--auto", "AutoModelForImageClassification"]
    assert begin(repository, *words).returncode == 0
    pair = ("AutoModelForImageClassification", "StackganForImageClassification")
    assert rows(repository)["stackgan"].auto == (pair,)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vgg", "--family", "vision"], "not a planned architecture"),
        (["clip", "--family", "alignment"], "not a planned architecture"),
        (["fgsm", "--family", "vision"], "not a planned architecture"),
        (["gpt_4", "--family", "text"], "not a planned architecture"),
        (["stackgan", "--family", "text"], "planned in the family 'generation'"),
        (["LeNet", "--family", "vision"], "not in snake case"),
        (["nothing_yet", "--family", "vision"], "give --title"),
    ],
)
def test_a_taken_or_wrong_name_is_refused_and_nothing_is_written(words, message, repository):
    done = begin(repository, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in repository.rglob("*") if path.is_file()] == ["catalogue.py"]


def test_files_that_exist_are_not_overwritten(repository):
    card = repository / "model_cards" / "lrcn.md"
    card.parent.mkdir()
    card.write_text("mine")
    assert "model_cards/lrcn.md exists already" in begin(repository, "lrcn", "--family", "captioning").stderr
    assert card.read_text() == "mine"
    assert begin(repository, "seq2seq", "--family", "text").returncode == 0
    assert "exists already" in begin(repository, "seq2seq", "--family", "text").stderr


def test_what_is_written_is_sound_and_says_what_is_missing(repository):
    begin(repository, "lrcn", "--family", "captioning")
    written = [path for path in repository.rglob("*lrcn*") if path.is_file()]
    written += [*repository.rglob("presets.py"), *repository.rglob("default.yaml")]
    unfilled = [path.name for path in written if re.search(r"\bFILL\b", path.read_text())]
    assert sorted(unfilled) == sorted(path.name for path in written)
    assert [path for path in written if "$" in path.read_text()] == []
    for path in repository.rglob("*.py"):
        ast.parse(path.read_text())
    style = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--config",
        ROOT / "pyproject.toml",
        *(repository / "hfmm").rglob("*lrcn*.py"),
    ]
    assert subprocess.run(style, capture_output=True, text=True).returncode == 0


def test_its_test_fails_until_it_is_filled(repository):
    begin(repository, "stackgan", "--family", "generation")
    shutil.copytree(
        ROOT / "hfmm", repository / "hfmm", dirs_exist_ok=True, ignore=shutil.ignore_patterns("catalogue.py")
    )
    for name in ("testing.py", "testing_generation.py", "testing_hub.py"):
        shutil.copy(ROOT / "tests" / name, repository / "tests")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--no-header"]
    done = subprocess.run(
        [*command, "-k", "every_equation or same_input", repository / "tests"],
        capture_output=True,
        text=True,
        cwd=repository,
        env={"PATH": "", "PYTHONPATH": str(repository), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 1
    assert "FILL: tests/models/generation/test_stackgan.py" in done.stdout
    assert done.stdout.count("\nFAILED ") == 2
