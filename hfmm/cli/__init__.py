"""The command line: one file a verb, imported only when the verb is run.

`hfmm/cli/<verb>.py` has `run(words)`, given the words after the verb; it returns an exit code, or None for 0. stdout is
data, stderr is talk. Mistakes are raised as the classes of `hfmm.errors`; `hfmm.cli.failures` tells them in one line.
"""

import os
import sys
from collections.abc import Sequence

VERBS = {
    "list": "what there is: the catalogue as a table",
    "info": "one architecture: paper, idea, equations, presets, recipes, results",
    "train": "train by a recipe; the same command again continues",
    "evaluate": "score a run on a data set",
    "predict": "predictions for pictures",
    "explain": "the same, with the picture of why",
    "compare": "the same picture through several models, side by side",
    "index": "embed a data set, to be searched",
    "search": "pictures or captions of an index, by words or by a picture",
    "demo": "the Gradio app of the task on models of yours",
    "publish": "weights, code, processor, card and scores to the Hub, or to a folder",
    "reproduce": "train, score, card and page in one command, over several seeds",
    "preview": "a sheet of examples of any data set or view, as a picture or a page",
    "quickstart": "train, score, reload and show a captioner in two minutes",
    "doctor": "environment, versions, extras, devices; --data D checks a data set",
}
EXIT_CODES = "0 ok, 1 internal, 2 usage, 3 data, 4 memory or disk, 5 diverged, 6 access, 130 stopped"


def help_text() -> str:
    """What `hfmm --help` prints."""
    width = max(map(len, VERBS))
    return "\n".join(
        [
            "usage: hfmm VERB [OBJECT] [--flag value] [section.key=value ...]",
            "",
            "The first decade of multimodal deep learning on today's Hugging Face stack.",
            "",
            *(f"  {verb:<{width}}  {summary}" for verb, summary in VERBS.items()),
            "",
            "hfmm VERB --help tells a verb's flags; hfmm --version tells the version.",
            f"Exit codes: {EXIT_CODES}.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Its words; those of the process by default.

    Returns:
        The exit code, as in INTERFACE.md.
    """
    try:
        code = _dispatch(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()  # a reader that has gone is met here rather than at exit
    except BrokenPipeError:  # `hfmm list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as stop:  # argparse has printed the help
        return stop.code if isinstance(stop.code, int) else 0
    except BaseException as error:
        from hfmm.cli.failures import report

        return report(error)
    return code


def _dispatch(words: Sequence[str]) -> int:
    first, *rest = words or [""]
    if first in ("-h", "--help"):
        print(help_text())
        return 0
    if first in ("-V", "--version"):
        from hfmm import __version__

        print(f"hfmm {__version__}")
        return 0
    if first not in VERBS:
        from hfmm.errors import UsageError, unknown

        raise unknown("verb", first, VERBS) if first else UsageError("no verb: hfmm --help lists them")
    from importlib import import_module

    return import_module(f"hfmm.cli.{first}").run(rest) or 0
