"""`hfmm evaluate`: scores a run, adds to its results, and prints deck, paper and this run side by side."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfmm.cli.common import Parser, columns, print_json
from hfmm.data.columns import parse_columns
from hfmm.errors import UsageError


def run(words: Sequence[str]) -> int:
    parser = Parser("evaluate", "Score a run on a data set and add the row to its results.json.", json=True)
    parser.add_argument("run", help="a run directory or a Hub repository")
    parser.add_argument(
        "--data", help="scenes, digits, a folder, a file or a Hub data set id; the training data by default"
    )
    parser.add_argument("--split", default="test")
    parser.add_argument("--columns", help="image=photo,captions=sentences")
    parser.add_argument("--limit", type=int, help="only the first so many examples")
    parser.add_argument("--metrics", help="names, separated by commas; the task's own by default")
    parser.add_argument("--num-beams", type=int, help="the model's own by default")
    parser.add_argument(
        "--views", help="of each picture, averaged by a classifier: flip, five_crop, ten_crop or rotations"
    )
    parser.add_argument("--features", help="a classifier that looks at a generator's samples: a run or a repository")
    parser.add_argument("--num-images", type=int, help="samples of a generator that are scored (1000)")
    parser.add_argument("--judge", help="of answers to open questions: a file of scores, or a language model")
    parser.add_argument("--answers", metavar="FILE", help="what is judged; by default the run answers now")
    parser.add_argument("--pictures", metavar="DIR", help="what the open questions are about")
    parser.add_argument("--device", default="cpu")
    given = parser.parse(words)
    rows = _judged(given) if given.judge else _measured(given)
    if given.json:
        print_json(rows[-1])
        return 0
    row = rows[-1]
    print(f"{row['architecture']} on {row['data']}, {row['split']}, {row['examples']} examples")
    lines = [["", "deck", "paper", "this run"]]
    for name, value in row["metrics"].items():
        lines.append(
            [name, *(f"{row[kind][name]:g}" if name in row[kind] else "" for kind in ("deck", "paper")), f"{value:.4f}"]
        )
    print(columns(lines, indent=2))
    return 0


def _measured(given: Namespace) -> list[dict[str, Any]]:
    """Score by the task's metrics."""
    from hfmm.evaluation import evaluate

    options = {name: getattr(given, name) for name in ("num_beams", "num_images", "features", "views")}
    return evaluate(
        given.run,
        data=given.data,
        split=given.split,
        limit=given.limit,
        metrics=given.metrics.split(",") if given.metrics else (),
        device=given.device,
        columns=parse_columns(given.columns) or None,
        generation={name: value for name, value in options.items() if value},
    )


def _judged(given: Namespace) -> list[dict[str, Any]]:
    """Let a judge score answers to open questions.

    Raises:
        UsageError: No questions are named.
    """
    from hfmm.evaluation.judging import evaluate_judged

    if given.data is None:
        raise UsageError("a judge scores answers to open questions: name the folder that holds them with --data")
    answers, pictures = (Path(name) if name else None for name in (given.answers, given.pictures))
    return evaluate_judged(given.run, given.data, given.judge, answers, pictures, given.device)
