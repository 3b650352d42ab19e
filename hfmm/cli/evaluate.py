"""`hfmm evaluate`: scores a run, adds to its results, and prints deck, paper and this run side by side."""

from collections.abc import Sequence

from hfmm.cli.common import Parser, columns, print_json
from hfmm.data.columns import parse_columns


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
    parser.add_argument("--features", help="a classifier that looks at a generator's samples: a run or a repository")
    parser.add_argument("--num-images", type=int, help="samples of a generator that are scored (1000)")
    parser.add_argument("--device", default="cpu")
    given = parser.parse(words)
    from hfmm.evaluation import evaluate

    options = {name: getattr(given, name) for name in ("num_beams", "num_images", "features")}
    rows = evaluate(
        given.run,
        data=given.data,
        split=given.split,
        limit=given.limit,
        metrics=given.metrics.split(",") if given.metrics else (),
        device=given.device,
        columns=parse_columns(given.columns) or None,
        generation={name: value for name, value in options.items() if value},
    )
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
