"""The command line: light, one file a verb, an exit code and one line for every mistake."""

import errno
import json
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from hfmm import __version__, catalogue, cli, errors
from hfmm.catalogue import TASKS
from hfmm.cli import common, doctor, failures

ROOT = Path(__file__).resolve().parents[2]
KEYS = ["name", "title", "family", "year", "paper", "origin", "tasks", "presets", "status", "source"]


# The whole


def test_help_names_every_verb_with_one_line(call):
    code, out, err = call("--help")
    assert (code, err) == (0, "")
    for verb, summary in cli.VERBS.items():
        assert f"  {verb}" in out
        assert summary in out
    assert max(map(len, out.splitlines())) <= 100


def test_version(call):
    assert call("--version") == (0, f"hfmm {__version__}\n", "")


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_has_its_file_and_its_help(verb, call):
    assert find_spec(f"hfmm.cli.{verb}") is not None
    code, out, _ = call(verb, "--help")
    assert code == 0
    assert out.startswith(f"usage: hfmm {verb}")


def test_help_and_version_import_nothing_heavy():
    code = "import sys; from hfmm.cli import main; main(['--help']); main(['-V']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = set(done.stderr.split())
    assert loaded.isdisjoint({"argparse", "typing", "json", "yaml", "numpy", "torch", "transformers", "hfmm.catalogue"})


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "hfmm", "lits"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "hfmm: unknown verb 'lits': did you mean 'list'?\n"


def test_no_verb_is_a_mistake(call):
    assert call() == (2, "", "hfmm: no verb: hfmm --help lists them\n")


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m hfmm list --json | head -n 1", shell=True, capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[", "")


# Errors


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


class LocalEntryNotFoundError(FileNotFoundError):
    """Named as huggingface_hub's."""


FAILURES = {
    "usage": (errors.UsageError("unknown preset"), 2, "unknown preset"),
    "data": (errors.DataError("captions.jsonl line 3: no image"), 3, "captions.jsonl line 3"),
    "resource": (errors.ResourceError("need 3 GB, have 1 GB"), 4, "need 3 GB"),
    "diverged": (errors.DivergedError("loss is nan at step 7"), 5, "step 7"),
    "access": (errors.AccessError("cannot reach the Hub"), 6, "Hub"),
    "interrupted run": (errors.InterruptedRun("stopped at step 5"), 130, "step 5"),
    "interrupted": (KeyboardInterrupt(), 130, "interrupted"),
    "full disk": (OSError(errno.ENOSPC, "No space left on device", "run/model.safetensors"), 4, "the disk is full"),
    "full disk, by message": (RuntimeError("I/O error: No space left on device (os error 28)"), 4, "the disk is full"),
    "memory": (MemoryError(), 4, "--batch-size"),
    "memory of torch": (OutOfMemoryError("CUDA out of memory"), 4, "--batch-size"),
    "memory of torch on CPU": (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 4, "--batch-size"),
    "permission": (PermissionError(errno.EACCES, "Permission denied", "runs"), 6, "runs"),
    "connection": (ConnectionError("refused"), 6, "refused"),
    "offline": (LocalEntryNotFoundError("not in the cache"), 6, "not in the cache"),
    "bug": (ZeroDivisionError("division by zero"), 1, "HFMM_DEBUG=1"),
    "own base class": (errors.HfmmError("broken"), 1, "broken"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_becomes_a_code_and_one_line(name, call, monkeypatch):
    error, expected, part = FAILURES[name]

    def fail(words):
        raise error

    monkeypatch.setattr(doctor, "run", fail)
    code, out, err = call("doctor")
    assert (code, out) == (expected, "")
    assert part in err.splitlines()[-1]
    if expected != 1:
        assert len(err.splitlines()) == 1
        assert err.startswith("hfmm: ")
    else:
        assert "Traceback" in err


def test_debugging_shows_every_traceback(call, monkeypatch):
    monkeypatch.setenv("HFMM_DEBUG", "1")
    code, _, err = call("lits")
    assert code == 2
    assert "Traceback" in err
    assert err.splitlines()[-1] == "hfmm: unknown verb 'lits': did you mean 'list'?"


def test_an_error_keeps_the_code_of_what_it_was_raised_from():
    wrapped = RuntimeError("cannot save")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert failures.describe(wrapped)[0] == 4


def test_the_traceback_of_a_data_loader_worker_is_left_out():
    error = errors.DataError(
        "Caught DataError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
        '  File "worker.py", line 1, in loop\nhfmm.errors.DataError: rows.jsonl line 9: no image'
    )
    assert failures.describe(error) == (3, "rows.jsonl line 9: no image")


def test_a_message_of_several_lines_is_told_in_one():
    assert failures.describe(errors.UsageError("one\n  two"))[1] == "one two"


# Flags


def parser():
    parser = common.Parser("toy", "A toy.", json=True)
    parser.add_argument("name")
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("overrides", nargs="*")
    return parser


def test_kebab_and_snake_case_and_words_in_any_order():
    for flags in (["--max-steps", "5"], ["--max_steps", "5"], ["--max_steps=5"]):
        given = parser().parse(["vgg", *flags, "--quiet", "players.model.learning_rate=1e-3"])
        assert (given.name, given.max_steps, given.quiet, given.json) == ("vgg", 5, True, False)
        assert given.overrides == ["players.model.learning_rate=1e-3"]


def test_a_value_keeps_its_underscores():
    assert parser().parse(["--max-steps", "5", "show_and_tell"]).name == "show_and_tell"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vgg", "--max-step", "5"], "unknown flag of hfmm toy '--max-step': did you mean '--max-steps'?"),
        (["vgg", "--max-steps", "five"], "hfmm toy: argument --max-steps: invalid int value: 'five'"),
        (["vgg", "--max-steps"], "hfmm toy: argument --max-steps: expected one argument"),
        ([], "hfmm toy: the following arguments are required: name"),
    ],
)
def test_a_wrong_flag_is_told_in_one_line(words, message):
    with pytest.raises(errors.UsageError) as caught:
        parser().parse(words)
    assert str(caught.value).startswith(message)


def test_a_superfluous_word_is_refused(call):
    assert call("list", "captioning") == (2, "", "hfmm: hfmm list: superfluous word 'captioning'\n")


def test_columns_are_aligned():
    assert common.columns([("a", "bb"), ("ccc", "d")], indent=1) == " a    bb\n ccc  d"


# list


def test_the_list_fits_a_hundred_columns(call):
    code, out, err = call("list")
    lines = out.splitlines()
    assert code == 0
    assert len(lines) == len(catalogue.ROWS) + 1
    assert max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines[1:]] == [row.name for row in catalogue.ROWS]
    states = [line.split()[-1] for line in lines[1:]]
    assert states == [row.status if row.origin != "reference" else "code" for row in catalogue.ROWS]
    assert err.startswith(f"{len(catalogue.ROWS)} rows")
    assert call("list", "--quiet")[2] == ""


def test_the_list_as_json_has_the_keys_of_the_interface(call):
    code, out, _ = call("list", "--json")
    rows = json.loads(out)
    assert code == 0
    assert len(rows) == len(catalogue.ROWS)
    for row in rows:
        assert list(row) == KEYS
        assert set(row["tasks"]) <= set(TASKS)
    by_name = {row["name"]: row for row in rows}
    assert by_name["show_and_tell"]["presets"][:2] == ["tiny", "paper"]
    assert by_name["lrcn"]["presets"] == []
    assert by_name["lrcn"]["status"] == "planned"


def test_the_list_is_filtered(call):
    out = call("list", "--family", "captioning", "--status", "ready", "--json")[1]
    assert [row["name"] for row in json.loads(out)] == ["show_and_tell", "show_attend_tell"]
    assert call("list", "--family", "visoin") == (2, "", "hfmm: unknown family 'visoin': did you mean 'vision'?\n")


# doctor


def test_doctor_tells_versions_extras_and_devices(call):
    code, out, err = call("doctor", "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "no problems\n")
    assert facts["packages"]["torch"]
    assert set(facts["extras"]) == set(doctor.EXTRAS)
    assert "cpu" in facts["devices"]
    assert call("doctor", "--quiet")[2] == ""


def test_a_requirement_that_is_not_met_is_a_problem(call, monkeypatch):
    monkeypatch.setattr(
        doctor, "requires", lambda name: ["torch>=999", "nothing-at-all", "numpy>=1", 'gradio>=6 ; extra == "demo"']
    )
    code, out, err = call("doctor")
    assert (code, err) == (2, "2 problems\n")
    assert "hfmm needs torch>=999" in out
    assert "missing, but hfmm needs nothing-at-all" in out


def test_the_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        name: tuple(line.partition(">")[0].partition("=")[0] for line in lines)
        for name, lines in project["optional-dependencies"].items()
        if name not in ("all", "test")
    }
    assert declared == doctor.EXTRAS
    core = {line.partition(">")[0].partition("=")[0].replace("_", "-") for line in project["dependencies"]}
    assert set(doctor.CORE) <= core


def test_doctor_names_each_problem_of_a_data_set_with_its_line(call, tmp_path):
    (tmp_path / "captions.jsonl").write_text('{"image": "missing.png", "captions": ["a dog"]}\n{"image": 3}\n')
    code, out, err = call("doctor", "--data", str(tmp_path / "captions.jsonl"))
    assert code == 3
    assert out.count("captions.jsonl") >= 2
    assert err.endswith("problems\n")
    code, out, _ = call("doctor", "--data", str(tmp_path / "captions.jsonl"), "--json")
    assert {"where", "what"} == set(json.loads(out)[0])
    assert call("doctor", "--data", "digits") == (0, "", "no problems\n")
    assert call("doctor", "--data", str(tmp_path / "nothing"))[0] == 3
