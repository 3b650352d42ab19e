"""Each metric as a folder that is a Space: `evaluate.load("user/cider")` runs it without hfmm.

evaluate takes the first metric class that a module holds, and copies the files that this module itself imports, but not
those that they import. So `<name>.py` is a short file that imports the class first and then every other file.
"""

import ast
import json
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from textwrap import shorten

from hfmm.errors import UsageError, unknown
from hfmm.hub.flatten import PACKAGE, basename, flatten, notice, source_of

METRICS = "hfmm.metrics"
WRITTEN = ("*.py", "README.md", "requirements.txt")  # and replaced when published again
GRADIO = "6.31.0"  # the version that the app was written for
LINE_OF_BACKTICKS = "```"
ENTRY = '''{notice}
"""{summary}"""

{packages}

from .{home} import {kind}
{others}
'''
APP = '''{notice}
"""Score in the browser."""

import json
import sys
from pathlib import Path
from typing import Any

import evaluate
import gradio

HERE = Path(__file__).resolve().parent
sys.path[:] = [path for path in sys.path if Path(path).resolve() != HERE]  # a file here may be named like a package
metric = evaluate.load(str(HERE / "{name}.py"))
SECOND = "References of each, one line a prediction, apart by ' | '" if metric.needs_references else "Training captions"


def score(predictions: str, second: str) -> dict[str, Any]:
    """Score captions, one a line.

    Args:
        predictions: One caption a line.
        second: The references of each, or the training captions.
    """
    captions, lines = predictions.splitlines(), second.splitlines()
    if metric.needs_references:
        return told(predictions=captions, references=[line.split(" | ") for line in lines])
    return told(predictions=captions, training=lines)


def score_values(arguments: str) -> dict[str, Any]:
    """Score predictions that are no texts.

    Args:
        arguments: Those of `compute`, as a JSON object.
    """
    try:
        return told(**json.loads(arguments))
    except (ValueError, TypeError) as error:
        raise gradio.Error(f"no JSON object with the arguments of compute: {{error}}") from error


def told(**arguments: Any) -> dict[str, Any]:
    """The scores, or a mistake in words."""
    try:
        return metric.compute(**arguments)
    except Exception as error:
        raise gradio.Error(str(error)) from error


if metric.of_captions:
    answer: Any = score
    boxes = [gradio.Textbox(lines=4, label="Predictions: one a line"), gradio.Textbox(lines=4, label=SECOND)]
else:
    answer, boxes = score_values, [gradio.Textbox(lines=8, label="Arguments of compute, as JSON")]
app = gradio.Interface(answer, boxes, gradio.JSON(label="Scores"), title="{name}", api_name="score")

if __name__ == "__main__":
    app.launch()
'''
README = """---
title: {name}
sdk: gradio
sdk_version: {gradio}
app_file: app.py
pinned: false
license: apache-2.0
tags: [evaluate, metric, hfmm]
short_description: {short}
---

# {name}

{description}

{fence}python
import evaluate

metric = evaluate.load("{repo_id}")
{example}
{fence}

It runs offline and needs no Java. From hfmm, Apache-2.0.
"""
EXAMPLES = {  # arguments of the example in the documentation, where they are not captions and their references
    "novelty": 'metric.compute(predictions=["a red star"], training=["a red star", "a blue ring"])',
    "likelihood": "metric.compute(predictions=[-92.3, -88.1], dimensions=784)",
    "frechet_distance": (
        'metric.compute(predictions=[[0.1, 0.7], [0.5, 0.3]], references=[[0.2, 0.6], [0.4, 0.1]], network="lenet5")'
    ),
    "inception_score": "metric.compute(predictions=[[0.1, 0.9], [0.8, 0.2]])",
    "recognized_samples": "metric.compute(predictions=[[0.1, 0.9], [0.8, 0.2]])",
    "memorization": "metric.compute(predictions=[[0.1, 0.7]], references=[[0.2, 0.6]], held_out=[[0.3, 0.5]])",
    "generation": (
        "metric.compute(predictions=[[0.1, 0.7], [0.5, 0.3]], references=[[0.2, 0.6], [0.4, 0.1]],\n"
        "               probabilities=[[0.1, 0.9], [0.8, 0.2]])"
    ),
    "classification": "metric.compute(predictions=[[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], references=[1, 2])",
    "hierarchical_precision": (
        'metric.compute(predictions=[["cat", "dog"]], references=["dog"], parents={"cat": ["pet"], "dog": ["pet"]})'
    ),
    "zero_shot": 'metric.compute(predictions=[["cat", "dog"], ["dog", "cat"]], references=["dog", "dog"])',
    "detection": (
        'metric.compute(predictions=[{"boxes": [[2, 3, 20, 21]], "labels": [4], "scores": [0.9]}],\n'
        '               references=[{"boxes": [[2, 2, 20, 20]], "labels": [4]}])'
    ),
    "segmentation": "metric.compute(predictions=[[[0, 0], [1, 2]]], references=[[[0, 1], [1, 255]]])",
    "verification": "metric.compute(predictions=[0.9, 0.7, 0.4, 0.1], references=[1, 1, 0, 0])",
    "reconstruction": "metric.compute(predictions=[[[90] * 16] * 16], references=[[[100] * 16] * 16])",
    "scienceqa_accuracy": 'metric.compute(predictions=["B", "I see. The answer is A."], references=[1, 2])',
    "relative_score": "metric.compute(predictions=[6, 9], references=[8, 9])",
    "retrieval": "metric.compute(predictions=[[0.9, 0.8, 0.1], [0.2, 0.3, 0.7]], references=[[0, 1], [2]])",
    "exact": (
        'metric.compute(predictions=["a small red star in the top left"],\n'
        '               references=[\'[{"shape": "star", "color": "red", "place": "top left", "size": "small"}]\'])'
    ),
}
CAPTIONS = 'metric.compute(predictions=["a red star"], references=[["a red star", "the star is red"]])'


def metrics() -> dict[str, tuple[str, str]]:
    """Every metric with its module and class, read from the sources (this room imports no other)."""
    tree = ast.parse((PACKAGE / "metrics" / "__init__.py").read_text(encoding="utf-8"))
    table = next(node.value for node in tree.body if isinstance(node, ast.Assign) and _names(node) == ["METRICS"])
    found: dict[str, tuple[str, str]] = ast.literal_eval(table)
    return found


def write_metric(name: str, folder: Path, repo_id: str) -> None:
    """Write a metric as the tree of a Space.

    Args:
        name: Of the metric.
        folder: An empty folder.
        repo_id: Which Space it will be, for the documentation.

    Raises:
        UsageError: No such metric.
    """
    known = metrics()
    if name not in known:
        raise unknown("metric", name, known)
    for file, text in files_of(name, *known[name], repo_id=repo_id).items():
        (folder / file).write_text(text, encoding="utf-8")


def files_of(name: str, home: str, kind: str, repo_id: str) -> dict[str, str]:
    """The files of a metric's Space: file name to text."""
    module = f"{METRICS}.{home}"
    code = flatten([module], lambda dotted: f"hfmm_{basename(dotted)}")
    packages = packages_of(code)
    description = described(module, kind)
    parts = {"name": name, "notice": notice(module), "home": f"hfmm_{home}", "kind": kind}
    others = [file.removesuffix(".py") for file in code if file != f"hfmm_{home}.py"]
    short = shorten(description.splitlines()[0].rstrip("."), 60, placeholder=" ...")  # the Hub takes no more
    example = next((text for start, text in EXAMPLES.items() if name.startswith(start)), CAPTIONS)
    return code | {
        f"{name}.py": ENTRY.format(
            **parts,
            summary=description.splitlines()[0],
            packages="\n".join(f"import {package}" for package in packages),
            others="\n".join(f"from .{other} import __name__ as _{other}" for other in others),
        ),
        "app.py": APP.format(**parts),
        "requirements.txt": "".join(f"{package}=={_version(package)}\n" for package in packages),
        "README.md": README.format(
            name=name, gradio=GRADIO, short=json.dumps(short), description=description, repo_id=repo_id,
            fence=LINE_OF_BACKTICKS, example=example,
        ),
    }  # fmt: skip


def packages_of(code: Mapping[str, str]) -> list[str]:
    """The packages that files import, wherever in them."""
    found = {"datasets", "evaluate"}
    for text in code.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").partition(".")[0])
    return sorted(found - sys.stdlib_module_names)


def described(module: str, kind: str) -> str:
    """What the sources say of a metric: its class, then its module."""
    tree = ast.parse(source_of(module).read_text(encoding="utf-8"))
    single = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind)
    return f"{ast.get_docstring(single)}\n\n{ast.get_docstring(tree)}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError as error:
        raise UsageError(f"{package} is not installed, so its version cannot be told: pip install {package}") from error


def _names(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]
