"""`hfmm index`: the embeddings of a data set on disk, for `hfmm search`."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hfmm.cli.common import Parser, print_json, talk
from hfmm.data.columns import parse_columns
from hfmm.errors import UsageError

if TYPE_CHECKING:
    from hfmm.retrieval.index import About

PARTS = {"images": ("images",), "captions": ("captions",), "both": ("images", "captions")}


def run(words: Sequence[str]) -> int:
    parser = Parser("index", "Embed a data set with a model, for `hfmm search`.", json=True)
    parser.add_argument("run", help="a run directory or a Hub repository of a model that embeds pictures")
    parser.add_argument("--data", metavar="D", required=True, help="scenes, digits, a folder, a file or a Hub id")
    parser.add_argument("--split", default="train", help="train by default")
    parser.add_argument("--columns", help="image=photo,captions=sentences")
    parser.add_argument("--of", choices=tuple(PARTS), default="images", help="what can be found; images by default")
    parser.add_argument("--kind", choices=("exact", "ivf", "hnsw"), default="exact", help="exact by default")
    parser.add_argument("--output-dir", help="indices/<run>-<data> by default")
    parser.add_argument("--limit", type=int, help="at most so many examples, the first ones")
    parser.add_argument("--on-bad-example", choices=("error", "skip"), default="error")
    parser.add_argument("--overwrite", action="store_true", help="replace an index that is there")
    parser.add_argument("--device", default="cpu")
    given = parser.parse(words)
    if given.limit is not None and given.limit < 1:
        raise UsageError(f"--limit {given.limit}: give 1 or more")
    default = Path("indices") / f"{Path(given.run).resolve().name}-{Path(given.data).name}".replace(":", "-")
    folder = Path(given.output_dir) if given.output_dir else default
    about = _built(given, folder)
    rows = " and ".join(f"{count:,} {part}" for part, count in about.counts.items())
    left_out = about.examples - about.counts.get("images", about.examples)
    talk(f"{rows}, width {about.width}{f'; {left_out:,} could not be read' if left_out else ''}", given.quiet)
    if given.json:
        print_json({"index": str(folder), "counts": dict(about.counts), "width": about.width, "kind": about.kind})
    else:
        print(folder)
    return 0


def _built(given: Namespace, folder: Path) -> "About":
    from tqdm import tqdm

    from hfmm.data import load
    from hfmm.loading import load as load_model
    from hfmm.retrieval.build import Wanted, build

    columns = parse_columns(given.columns)
    examples = load(given.data, given.split, columns or None, on_bad_example=given.on_bad_example)
    if given.limit is not None:
        examples = examples.select(range(min(given.limit, len(examples))))
    data = {"spec": given.data, "split": given.split, "columns": columns or None}
    wanted = Wanted(PARTS[given.of], given.kind, given.on_bad_example == "skip", given.overwrite)
    loaded = load_model(given.run, given.device)
    hidden = given.quiet or not sys.stderr.isatty()
    with tqdm(total=len(examples), unit="example", dynamic_ncols=True, disable=hidden) as bar:
        return build(loaded, examples, data, folder, wanted, bar.update).about
