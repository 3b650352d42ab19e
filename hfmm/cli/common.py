"""What the verbs share: flags and tables."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any, NoReturn

from hfmm.errors import UsageError, unknown


class Parser(ArgumentParser):
    """An argument parser whose mistakes are [`UsageError`]s that name the nearest flag.

    Flags are declared in kebab case and accepted in snake case as well; words and flags may be mixed.

    Args:
        verb: The verb.
        summary: One line.
        json: Also take `--json`.
    """

    def __init__(self, verb: str, summary: str, json: bool = False) -> None:
        super().__init__(prog=f"hfmm {verb}", description=summary, allow_abbrev=False)
        if json:
            self.add_argument("--json", action="store_true", help="print JSON, for programs")
        self.add_argument("--quiet", action="store_true", help="say nothing on stderr")

    def parse(self, words: Sequence[str]) -> Namespace:
        """Read the words after a verb.

        Raises:
            UsageError: An unknown flag, a missing or superfluous word, a value of the wrong type.
        """
        namespace, left = self.parse_known_intermixed_args([_kebab(word) for word in words])
        if left:
            self._refuse(left[0])
        return namespace

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and exiting."""
        raise UsageError(f"{self.prog}: {message}")

    def _refuse(self, word: str) -> NoReturn:
        if word.startswith("-"):
            flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
            raise unknown(f"flag of {self.prog}", word.partition("=")[0], flags)
        raise UsageError(f"{self.prog}: superfluous word '{word}'")


def _kebab(word: str) -> str:
    """`--max_steps=5` as `--max-steps=5`."""
    if not word.startswith("--"):
        return word
    flag, equals, value = word.partition("=")
    return flag.replace("_", "-") + equals + value


def columns(rows: Sequence[Sequence[str]], indent: int = 0) -> str:
    """Rows of text as aligned columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join((" " * indent + line).rstrip() for line in lines)


def print_json(value: Any) -> None:
    """Print a value for a program to read."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def talk(line: str, quiet: bool = False) -> None:
    """Say something to the person, on stderr."""
    if not quiet:
        print(line, file=sys.stderr)
