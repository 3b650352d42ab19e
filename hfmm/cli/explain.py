"""`hfmm explain`: a prediction with the picture of why."""

from collections.abc import Sequence

from hfmm.cli.common import Parser, print_json


def run(words: Sequence[str]) -> int:
    parser = Parser("explain", "A prediction with the picture of why.", json=True)
    parser.add_argument("run", help="a run directory or a Hub repository")
    parser.add_argument("--image", required=True)
    parser.add_argument("--output", required=True, help="a .png, .gif, .html or .json file")
    parser.add_argument("--num-beams", type=int, help="the model's own by default")
    parser.add_argument("--device", default="cpu")
    given = parser.parse(words)
    from hfmm.explanation import explain

    generation = {"num_beams": given.num_beams} if given.num_beams else {}
    explanation = explain(given.run, image=given.image, device=given.device, **generation)
    explanation.save(given.output)
    print_json(explanation.to_dict()) if given.json else print(explanation.title)
    return 0
