"""`hfmm reproduce`: train, score, card and page in one command."""

from collections.abc import Sequence

from hfmm.cli.common import Parser, columns, print_json
from hfmm.cli.train import add_flags, arguments_of


def run(words: Sequence[str]) -> int:
    parser = Parser(
        "reproduce", "Train, score, and write card and page. The same command again does what is missing.", json=True
    )
    add_flags(parser)
    parser.add_argument("--recipe", help="the default one; for other data that of their name, or `real`, if any")
    parser.add_argument("--output-dir", help="runs/reproduced/<name> by default")
    parser.add_argument("--seeds", type=int, default=1, help="how many runs, with seeds 0, 1, ... (1)")
    parser.add_argument("--limit", type=int, help="score only the first so many test examples")
    given = vars(parser.parse(words))
    as_json = given.pop("json")
    arguments = arguments_of(given)
    from hfmm.reproduction import reproduce
    from hfmm.results import by_metric, read_results

    folder = reproduce(**arguments)
    rows = read_results(folder)
    print_json(rows) if as_json else print(columns(by_metric(rows)))
    return 0
