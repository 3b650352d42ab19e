"""`hfmm compare`: the same picture through several models, side by side."""

from collections.abc import Sequence
from pathlib import Path

from hfmm.cli.common import Parser, print_json
from hfmm.errors import UsageError

ENDINGS = (".html", ".png")


def run(words: Sequence[str]) -> int:
    parser = Parser("compare", "The same picture through several models, side by side.", json=True)
    parser.add_argument("runs", nargs="+", metavar="run", help="run directories or Hub repositories")
    parser.add_argument("--image", required=True)
    parser.add_argument("--output", required=True, help="a .html or .png file")
    parser.add_argument("--num-beams", type=int, help="each model's own by default")
    parser.add_argument("--device", default="cpu")
    given = parser.parse(words)
    if Path(given.output).suffix not in ENDINGS:
        raise UsageError(f"--output {given.output}: give a file that ends in {' or '.join(ENDINGS)}")
    from hfmm.explanation.compare import compare

    generation = {"num_beams": given.num_beams} if given.num_beams else {}
    explanation = compare(given.runs, image=given.image, device=given.device, **generation)
    explanation.save(given.output)
    if given.json:
        print_json(explanation.to_dict())
        return 0
    for model in explanation.data["models"]:
        score = "" if model["score"] is None else f"\t{model['score']:.3f}"
        print(f"{model['run']}\t{model['caption']}{score}")
    return 0
