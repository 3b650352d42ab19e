"""Metrics as Spaces: the same scores, without hfmm."""

import json
import os
import subprocess
import sys

import pytest
import yaml

import hfmm
from hfmm import metrics
from hfmm.errors import UsageError
from hfmm.hub import metric_space
from tests.hub.small_run import contents
from tests.hub_server import child

PREDICTIONS = ["a small red star in the top left", "a large blue ring in the bottom right , and a dog"]
OBJECTS = [
    [{"shape": "star", "color": "red", "place": "top left", "size": "small"}],
    [{"shape": "ring", "color": "blue", "place": "bottom right", "size": "large"}],
]
REFERENCES = [
    ["a small red star in the top left", "there is a red star"],
    ["a big blue ring .", "a large blue ring in the top right"],
]
GIVEN = {"novelty": {"training": ["a small red star in the top left"]}}
GIVEN |= {
    name: {"references": [json.dumps(objects) for objects in OBJECTS]} for name in ("exact_objects", "exact_scene")
}
FOUND = {"boxes": [[2, 3, 20, 21], [30, 30, 40, 41]], "labels": [4, 1], "scores": [0.9, 0.5]}
GRAY = [[row * column for column in range(14)] for row in range(14)]
ALONE = {  # what is given to metrics that are not of captions
    "classification": {"predictions": [[0.5, 0.2, 0.3], [0.1, 0.1, 0.8]], "references": [1, 2]},
    "likelihood": {"predictions": [-310.5, -295.2], "dimensions": 784, "tokens": [3, 5]},
    "frechet_distance": {"predictions": [[0.1, 0.7], [0.5, 0.3]], "references": [[0.2, 0.6], [0.4, 0.1]]},
    "inception_score": {"predictions": [[0.1, 0.9], [0.8, 0.2]]},
    "recognized_samples": {"predictions": [[0.1, 0.9], [0.8, 0.2]], "per_class": True},
    "memorization": {"predictions": [[0.1, 0.7]], "references": [[0.2, 0.6]], "held_out": [[0.3, 0.5]]},
    "generation": {
        "predictions": [[0.1, 0.7], [0.5, 0.3]],
        "references": [[0.2, 0.6], [0.4, 0.1]],
        "probabilities": [[0.1, 0.9], [0.8, 0.2]],
        "network": "lenet5",
    },
    "reconstruction": {"predictions": [GRAY], "references": [GRAY[::-1]], "border": 1},
    "retrieval": {"predictions": [[0.9, 0.8, 0.1], [0.2, 0.3, 0.7]], "references": [[0, 1], [2]]},
    "verification": {"predictions": [0.9, 0.3, 0.4, 0.1], "references": [1, 1, 0, 0]},
    "hierarchical_precision": {"predictions": [["a", "b"]], "references": ["b"], "parents": {"a": ["c"], "b": ["c"]}},
    "vqa": {"predictions": ["yes", "two"], "references": [["yes", "no", "yes"], ["2"]]},
    "scienceqa_accuracy": {
        "predictions": ["B", "no"],
        "references": [1, 0],
        "others": ["A", "A"],
        "verdicts": ["B", "A. Yes"],
    },
    "relative_score": {"predictions": [6, 9], "references": [8, 9], "categories": ["conv", "detail"]},
    "zero_shot": {"predictions": [["a", "b"], ["b", "a"]], "references": ["b", "b"]},
    "detection": {"predictions": [FOUND], "references": [{"boxes": [[2, 2, 20, 20]], "labels": [4]}]},
    "segmentation": {"predictions": [[[0, 0], [1, 2]]], "references": [[[0, 1], [1, 255]]], "per_class": True},
}
STUB = """
import sys

sys.modules["hfmm"] = None
Error, Textbox, JSON = RuntimeError, dict, dict

class Interface:
    def __init__(self, score, inputs, output, **named):
        self.score = score

    def launch(self):
        print(self.score(*sys.stdin.read().split("\\n")))
"""


def write_metric(name, spaces, user="user"):
    (spaces / name).mkdir(parents=True)
    metric_space.write_metric(name, spaces / name, f"{user}/{name}")
    return spaces / name


def options(name):
    return ALONE.get(name) or (
        {"predictions": PREDICTIONS, "per_caption": True, "tokenizer": "ptb"}
        | GIVEN.get(name, {"references": REFERENCES})
    )


def test_every_metric_gives_the_same_scores_without_hfmm(tmp_path):
    def score(folder, given):
        import evaluate

        return {name: evaluate.load(f"{folder}/{name}").compute(**options) for name, options in given.items()}

    given = {name: options(name) for name in metrics.METRICS}
    for name in given:
        write_metric(name, tmp_path / "spaces")
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    found = child.run(
        score, environment, tmp_path / "child", without=("hfmm",), folder=tmp_path / "spaces", given=given
    )
    assert found == {name: metrics.load(name).compute(**given[name]) for name in metrics.METRICS}


def test_it_loads_by_the_name_of_a_space(hub, tmp_path):
    def send():
        import hfmm

        return hfmm.publish("cider", "me/cider")

    def score(options):
        import evaluate

        return evaluate.load("me/cider").compute(**options)

    address = hub.run(send, tmp_path / "sender")
    assert address.startswith(f"{hub.url}/spaces/me/cider/commit/")
    found = hub.run(score, tmp_path / "reader", without=("hfmm",), options=options("cider"))
    assert found == metrics.load("cider").compute(**options("cider"))


SACREBLEU = {"predictions": ["a red star and a blue ring"], "references": [["a red star and a green ring", "a star"]]}


@pytest.mark.parametrize(
    ("name", "lines", "given"),
    [  # the first one's file is named like the package that it needs
        ("sacrebleu", [SACREBLEU["predictions"][0], " | ".join(SACREBLEU["references"][0])], SACREBLEU),
        ("detection", [json.dumps(ALONE["detection"])], ALONE["detection"]),
    ],
)
def test_the_app_scores(name, lines, given, tmp_path):
    folder = write_metric(name, tmp_path / "spaces")
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "gradio.py").write_text(STUB)
    variables = {**os.environ, "PYTHONPATH": str(tmp_path / "stub"), "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=folder, env=variables, capture_output=True, text=True, input="\n".join(lines)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{metrics.load(name).compute(**given)}\n"


@pytest.mark.parametrize("name", metrics.METRICS)
def test_each_has_what_a_space_needs(name, tmp_path):
    folder = write_metric(name, tmp_path, "me")
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    said = yaml.safe_load(front)
    assert (said["title"], said["sdk"], said["app_file"], said["license"]) == (name, "gradio", "app.py", "apache-2.0")
    assert len(said["short_description"]) <= 60
    assert f'evaluate.load("me/{name}")' in text
    example = text.partition("```python\n")[2].partition("```")[0].replace("import evaluate\n", "")
    exec(example.replace(f'evaluate.load("me/{name}")', "load()"), {"load": lambda: metrics.load(name)})  # it runs
    pins = (folder / "requirements.txt").read_text().split()
    assert {"datasets", "evaluate", "numpy"} <= {pin.partition("==")[0] for pin in pins}
    assert all(pin.partition("==")[2] for pin in pins)
    for path in folder.glob("*.py"):
        assert path.read_text().startswith("# hfmm.")
        compile(path.read_text(), path.name, "exec")


def test_the_table_is_that_of_the_metrics():
    assert metric_space.metrics() == metrics.METRICS


def test_local_dir_writes_what_would_be_pushed(tmp_path):
    write_metric("cider", tmp_path / "spaces", "me")
    hfmm.publish("cider", "me/cider", local_dir=tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "spaces" / "cider")


def test_mistakes_are_told(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'cider'"):
        write_metric("cidr", tmp_path)
    with pytest.raises(UsageError, match=r"cider.py in a Space named like it: give --repo-id USER/cider"):
        hfmm.publish("cider", "me/score", local_dir=tmp_path / "out")
    with pytest.raises(UsageError, match="without --merge and --space"):
        hfmm.publish("cider", "me/cider", local_dir=tmp_path / "out", space=True)
    with pytest.raises(UsageError, match="cidr: no such run directory"):
        hfmm.publish("cidr", "me/cidr", local_dir=tmp_path / "out")
