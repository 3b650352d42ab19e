"""The errors a user can cause or meet, each with its exit code. One line of text: what, where, what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class HfmmError(Exception):
    """An error that is told in one line. Subclasses set the exit code of the command line."""

    exit_code = 1


class UsageError(HfmmError):
    """An unknown verb, flag, name, preset, key, model or run directory."""

    exit_code = 2


class DataError(HfmmError):
    """A missing, unreadable or invalid data set, input file or example."""

    exit_code = 3


class SplitError(DataError):
    """A split that the data set does not have."""


class ResourceError(HfmmError):
    """Out of memory or disk."""

    exit_code = 4


class DivergedError(HfmmError):
    """The loss or a gradient is not finite."""

    exit_code = 5


class AccessError(HfmmError):
    """The network or a permission refused."""

    exit_code = 6


class InterruptedRun(HfmmError):
    """Stopped by a signal after writing a checkpoint; the same command continues."""

    exit_code = 130


def unknown(kind: str, word: str, known: Iterable[str]) -> UsageError:
    """The error for a word that is not among the known ones, naming the nearest."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names) or 'none'}"
    return UsageError(f"unknown {kind} '{word}': {hint}")
