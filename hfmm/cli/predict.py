"""`hfmm predict`: predictions for one input, several, or a folder."""

from collections.abc import Sequence
from pathlib import Path

from hfmm.cli.common import Parser, print_json


def run(words: Sequence[str]) -> int:
    parser = Parser("predict", "Predictions for one picture, several, or a folder of them.", json=True)
    parser.add_argument("run", help="a run directory or a Hub repository")
    parser.add_argument("--image", nargs="+", default=[], help="pictures, or folders of pictures")
    parser.add_argument("--text", help="how the caption starts")
    parser.add_argument("--num-return-sequences", type=int, default=1)
    parser.add_argument("--num-beams", type=int, help="the model's own by default")
    parser.add_argument("--output", metavar="DIR", help="the folder that a generator draws its pictures into")
    parser.add_argument("--seed", type=int, default=0, help="of what a generator draws")
    parser.add_argument("--device", default="cpu")
    given = parser.parse(words)
    from hfmm.evaluation.prediction import predict

    rows = predict(
        given.run,
        [Path(name) for name in given.image],
        given.text,
        given.num_return_sequences,
        given.num_beams,
        given.device,
        Path(given.output) if given.output else None,
        given.seed,
    )
    if given.json:
        print_json(rows)
        return 0
    for row in rows:
        for thing in row.get("objects", ()):
            box = ", ".join(f"{side:.1f}" for side in thing["box"])
            print(f"{row['image']}\t{thing['label']}\t{thing['score']:.3f}\t[{box}]")
        if "objects" in row:
            continue
        if "predictions" not in row:
            print(row["image"])
            continue
        for caption, score in zip(row["predictions"], row["scores"], strict=True):
            print(f"{row['image']}\t{caption}" + ("" if score is None else f"\t{score:.3f}"))
    return 0
