"""`hfmm predict`: predictions for one input, several, or a folder."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfmm.cli.common import Parser, print_json
from hfmm.errors import UsageError


def run(words: Sequence[str]) -> int:
    parser = Parser("predict", "Predictions for one picture, several, or a folder of them.", json=True)
    parser.add_argument("run", help="a run directory or a Hub repository")
    parser.add_argument("--image", nargs="+", default=[], help="pictures, or folders of pictures")
    parser.add_argument(
        "--text", nargs="+", action="extend", default=[], help="how the caption starts, or texts to compare with"
    )
    parser.add_argument("--num-return-sequences", type=int, default=1)
    parser.add_argument("--num-beams", type=int, help="the model's own by default")
    parser.add_argument(
        "--output", metavar="DIR", help="the folder for pictures that are drawn or edited, or the masks of a segmenter"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what a generator draws")
    parser.add_argument("--data", metavar="DIR", help="open questions to answer about the pictures of --image DIR")
    parser.add_argument("--device", default="cpu")
    given = parser.parse(words)
    if given.data is not None:
        return _answer(given)
    from hfmm.evaluation.prediction import Wanted, predict

    output = Path(given.output) if given.output else None
    wanted = Wanted(
        [Path(name) for name in given.image],
        given.text,
        given.num_return_sequences,
        given.num_beams,
        output,
        given.seed,
    )
    rows = predict(given.run, wanted, given.device)
    if given.json:
        print_json(rows)
        return 0
    for row in rows:
        print("\n".join(_lines(row)))
    return 0


def _answer(given: Namespace) -> int:
    """Answer open questions; `--output DIR` gets a file with the answers, and what to send a judge.

    Raises:
        UsageError: No folder of pictures is named, or several.
    """
    from hfmm.data.open_questions import read_open_questions
    from hfmm.evaluation.judging import ANSWERS, answer_questions, write_rows
    from hfmm.loading import load

    if len(given.image) != 1:
        raise UsageError("open questions are about the pictures of one folder: name it with --image")
    questions = read_open_questions(given.data)
    rows = answer_questions(load(given.run, given.device), questions, Path(given.image[0]))
    if given.output:
        Path(given.output).mkdir(parents=True, exist_ok=True)
        write_rows(Path(given.output) / ANSWERS, rows)
    if given.json:
        print_json(rows)
    else:
        print("\n".join("\t".join([row["image"], row["prompt"], row["text"]]) for row in rows))
    return 0


def _lines(row: dict[str, Any]) -> list[str]:
    """A prediction as lines of cells, apart by tabs."""
    cells = []
    if "objects" in row:
        for thing in row["objects"]:
            box = ", ".join(f"{side:.1f}" for side in thing["box"])
            cells.append([thing["label"], f"{thing['score']:.3f}", f"[{box}]"])
    elif "classes" in row:
        cells = [[found["label"], f"{found['share']:.3f}"] for found in row["classes"]]
    elif "edited" in row:
        cells.append([row["edited"]])
    elif "code" in row:
        cells.append([f"{value:.4g}" for value in row["code"]])
    elif "predictions" in row:
        for said, score in zip(row["predictions"], row["scores"], strict=True):
            cells.append([said] if score is None else [said, f"{score:.3f}"])
    return ["\t".join([row["image"], *line]) for line in cells or [[]]]
