"""`hfmm quickstart`: train, score, reload and show a captioner in two minutes."""

from collections.abc import Sequence
from pathlib import Path

from hfmm.cli.common import Parser


def run(words: Sequence[str]) -> int:
    parser = Parser("quickstart", "Train a captioner on the built-in pictures, score it, reload it, and write a page.")
    parser.add_argument("--output-dir", default="runs/quickstart")
    given = parser.parse(words)
    from hfmm.quickstart import quickstart

    print(quickstart(Path(given.output_dir), given.quiet))
    return 0
