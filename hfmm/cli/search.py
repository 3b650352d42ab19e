"""`hfmm search`: pictures or captions of an index, by words or by a picture."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfmm.cli.common import Parser, print_json, talk
from hfmm.errors import UsageError

ENDINGS = (".png", ".html")
TOP, MOST = 10, 200


def run(words: Sequence[str]) -> int:
    parser = Parser("search", "Search an index by words or by a picture.", json=True)
    parser.add_argument("index", help="a folder that `hfmm index` made")
    parser.add_argument("words", nargs="?", help="what to search for")
    parser.add_argument("--image", metavar="FILE", help="search by a picture instead")
    parser.add_argument("--for", dest="part", choices=("images", "captions"), help="images by default, if indexed")
    parser.add_argument("--top", type=int, default=TOP, help=f"how many, {TOP} by default")
    parser.add_argument("--output", help="a sheet of what was found, a .png or .html file")
    parser.add_argument("--model", help="where the model of the index is now")
    parser.add_argument("--data", help="where the data of the index are now, for the sheet")
    parser.add_argument("--device", default="cpu")
    given = parser.parse(words)
    _check(given)
    from hfmm.data.images import as_picture
    from hfmm.retrieval.hits import ask, write_sheet
    from hfmm.retrieval.index import Index

    index = Index(given.index)
    part = given.part or next(iter(index.parts))
    query: Any = given.words if given.image is None else as_picture(given.image)
    hits = ask(index, index.embedder(given.model, given.device), query, part, given.top)
    if given.output:
        lead = f"{len(hits)} of {index.about.counts[part]:,} {part} of {Path(given.index).name}"
        write_sheet(Path(given.output), hits, index.examples(given.data), query, part, lead)
        talk(f"the sheet is {given.output}", given.quiet)
    if given.json:
        print_json({"query": given.words or given.image, "for": part, "hits": [hit.to_dict() for hit in hits]})
        return 0
    for hit in hits:
        print("\t".join([f"{hit.score:.3f}", hit.file or hit.id, *([hit.caption] if hit.caption else [])]))
    return 0


def _check(given: Namespace) -> None:
    """Refuse what cannot be asked, before anything is loaded."""
    if (given.words is None) == (given.image is None):
        raise UsageError("hfmm search: give words to search for, or --image FILE")
    if not 1 <= given.top <= MOST:
        raise UsageError(f"--top {given.top}: 1 to {MOST} are shown")
    if given.output and Path(given.output).suffix.lower() not in ENDINGS:
        raise UsageError(f"--output {given.output}: give a file that ends in {' or '.join(ENDINGS)}")
    if given.output and not Path(given.output).parent.is_dir():
        raise UsageError(f"--output {given.output}: there is no folder '{Path(given.output).parent}'")
