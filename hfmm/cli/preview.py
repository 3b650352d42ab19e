"""`hfmm preview`: a sheet of examples of any data set."""

from collections.abc import Sequence
from pathlib import Path

from hfmm.cli.common import Parser, talk
from hfmm.errors import UsageError

ENDINGS = (".png", ".html")
DEFAULT_NUMBER, MOST = 12, 200


def run(words: Sequence[str]) -> None:
    parser = Parser("preview", "A sheet of examples of any data set or view.")
    parser.add_argument("data", metavar="D", help="scenes, scenes:VIEW, digits, a folder, a file or a Hub data set id")
    parser.add_argument("--split", default="train", help="train by default")
    parser.add_argument("--output", default="preview.png", help="a .png or .html file; preview.png by default")
    parser.add_argument("--number", type=int, help=f"of examples, {DEFAULT_NUMBER} by default")
    parser.add_argument("--columns", help="image=photo,captions=sentences")
    given = parser.parse(words)
    output = Path(given.output)
    if output.suffix.lower() not in ENDINGS:
        raise UsageError(f"--output {given.output}: give a file that ends in {' or '.join(ENDINGS)}")
    if not output.parent.is_dir():
        raise UsageError(f"--output {given.output}: there is no folder '{output.parent}'")
    if given.number is not None and not 1 <= given.number <= MOST:
        raise UsageError(f"--number {given.number}: a sheet holds 1 to {MOST} examples")
    from hfmm.data import load
    from hfmm.explanation.preview import cards
    from hfmm.explanation.sheet import save

    examples = load(given.data, given.split, given.columns)
    if given.number is not None and given.number > len(examples):
        raise UsageError(f"--number {given.number}: {examples.name} {examples.split} has {len(examples):,} examples")
    number = given.number or min(DEFAULT_NUMBER, len(examples))
    lead = f"{examples.split}, {number:,} of {len(examples):,} examples"
    save(list(cards(examples, number)), examples.name, lead, output)
    talk(f"{examples.name} {lead}", given.quiet)
    print(output)
