"""`hfmm explain`: a prediction with the picture of why, or the map of a collection of pictures."""

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from hfmm.cli.common import Parser, print_json
from hfmm.errors import UsageError

MAPPED = 300  # examples of a map by default
FEWEST = 4


def run(words: Sequence[str]) -> int:
    parser = Parser("explain", "A prediction with the picture of why, or the map of a picture collection.", json=True)
    parser.add_argument("run", help="a run directory or a Hub repository")
    parser.add_argument("--image", help="a picture to predict on")
    parser.add_argument("--data", help="pictures to map by what the model makes of them, with their nearest neighbors")
    parser.add_argument("--split", help="of the data; test by default")
    parser.add_argument("--limit", type=int, help=f"how many pictures to map, {MAPPED} by default")
    parser.add_argument("--output", required=True, help="a .png, .gif, .html or .json file")
    parser.add_argument(
        "--text", action="append", help="what the picture might show, what is asked, or what to draw; several times"
    )
    parser.add_argument("--num-beams", type=int, help="the model's own by default")
    parser.add_argument("--device", default="cpu")
    given = parser.parse(words)
    if (given.image is None) == (given.data is None):
        raise UsageError("hfmm explain: give --image FILE to explain a prediction, or --data D to map pictures")
    other, flags = ("image", ["num_beams", "text"]) if given.data else ("data", ["split", "limit"])
    stray = next((flag for flag in flags if getattr(given, flag) is not None), None)
    if stray:
        raise UsageError(f"hfmm explain: --{stray.replace('_', '-')} goes with --{other}")
    from hfmm.explanation import explain

    asked = _collection(given) if given.data else _picture(given)
    explanation = explain(given.run, device=given.device, **asked)
    explanation.save(given.output)
    print_json(explanation.to_dict()) if given.json else print(explanation.title)
    return 0


def _picture(given: Namespace) -> dict[str, Any]:
    options = {"num_beams": given.num_beams, "texts": given.text}
    return {"image": given.image, **{name: value for name, value in options.items() if value}}


def _collection(given: Namespace) -> dict[str, Any]:
    """The first examples of the data.

    Raises:
        UsageError: Fewer than a map needs are asked for.
    """
    from hfmm.data import load

    if given.limit is not None and given.limit < FEWEST:
        raise UsageError(f"--limit {given.limit}: a map needs {FEWEST} pictures or more")
    examples = load(given.data, given.split or "test")
    return {"data": examples.select(range(min(given.limit or MAPPED, len(examples))))}
