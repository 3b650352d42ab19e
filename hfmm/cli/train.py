"""`hfmm train`: trains by a recipe; the same command again continues."""

from collections.abc import Sequence
from typing import Any

from hfmm.cli.common import Parser, print_json
from hfmm.errors import UsageError
from hfmm.training.learning import PRECISIONS


def parser() -> Parser:
    """The flags of `hfmm train`."""
    parser = Parser("train", "Train by a recipe. The same command again continues where it stopped.", json=True)
    add_flags(parser)
    parser.add_argument("--recipe", default="default", help="a shipped recipe's name, or a YAML file")
    parser.add_argument("--output-dir", help="runs/<name> by default")
    parser.add_argument("--resume", choices=["auto"], default="auto", help="continue a run that stopped (always on)")
    parser.add_argument("--dry-run", action="store_true", help="parameters, memory, time and shapes; trains nothing")
    parser.add_argument("--seed", type=int)
    return parser


def add_flags(parser: Parser) -> None:
    """Add what `hfmm train` and `hfmm reproduce` both take."""
    parser.add_argument("name", help="an architecture: `hfmm list --status ready`")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="any key of the recipe")
    parser.add_argument("--config", help="a YAML file with keys of the recipe; the command line wins")
    parser.add_argument("--overwrite", action="store_true", help="start again where the directory holds a run")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--data", help="scenes, digits, a folder, a file or a Hub data set id")
    parser.add_argument("--columns", help="image=photo,captions=sentences")
    parser.add_argument("--on-bad-example", choices=["error", "skip"])
    parser.add_argument("--preset")
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--precision", choices=PRECISIONS, help="auto: bf16 where the hardware multiplies in it")
    parser.add_argument("--save-every", type=int, help="steps between checkpoints")
    parser.add_argument("--keep", type=int, help="checkpoints to keep, and the best")
    parser.add_argument("--init-from", metavar="RUN", help="start from a run's weights")
    parser.add_argument("--vision", metavar="RUN", help="begin with its picture tower")
    parser.add_argument("--text", metavar="RUN", help="begin with its language model, behind that tower")
    parser.add_argument("--frozen", metavar="part=RUN,...", help="runs that are only read")
    parser.add_argument("--early-stopping", metavar="METRIC")
    parser.add_argument("--gradient-accumulation", type=int)
    parser.add_argument(
        "--lora-on",
        metavar="PART,...",
        help="adapters in these parts of --init-from (language, projector, vision, or a model's own) in place of all "
        "weights; or patterns of whole layer names",
    )


def run(words: Sequence[str]) -> int:
    given = vars(parser().parse(words))
    as_json, dry = given.pop("json"), given.pop("dry_run")
    del given["resume"]  # it always does
    arguments = arguments_of(given)
    if dry:
        from hfmm.training.plan import plan

        about_the_directory = ("output_dir", "overwrite", "quiet")  # a plan writes nothing
        facts = plan(**{name: value for name, value in arguments.items() if name not in about_the_directory})
        print_json(facts) if as_json else print("\n".join(f"{name}: {value}" for name, value in facts.items()))
        return 0
    from hfmm.training.run import train

    finished = train(**arguments)
    if as_json:
        print_json({"output_dir": str(finished.output_dir), "metrics": dict(finished.metrics)})
    else:
        print(finished.output_dir)
    return 0


def arguments_of(given: dict[str, Any]) -> dict[str, Any]:
    """The command's flags as the arguments of [`hfmm.train`]."""
    from hfmm.training.recipe import parse_override

    overrides = {".".join(path): value for path, value in map(parse_override, given.pop("overrides"))}
    pairs = {"frozen": _pairs(given.pop("frozen")), "columns": _pairs(given.pop("columns"))}
    targets = given.pop("lora_on")
    return {
        **given,
        **{name: value for name, value in pairs.items() if value},
        "lora_on": targets.split(",") if targets else None,
        "overrides": overrides,
    }


def _pairs(text: str | None) -> dict[str, str]:
    """`a=b,c=d` as a mapping.

    Raises:
        UsageError: A part is not of that form.
    """
    pairs = {}
    for part in text.split(",") if text else ():
        name, sign, value = part.partition("=")
        if not (name and sign and value):
            raise UsageError(f"'{part}' is not of the form name=value")
        pairs[name] = value
    return pairs
