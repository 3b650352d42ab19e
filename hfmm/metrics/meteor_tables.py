"""The tables of METEOR 1.5: synonyms and paraphrases of English, read from an installed METEOR without running Java.

They are looked for in the folder that the environment variable HFMM_METEOR names, then in an installed pycocoevalcap
(`pip install pycocoevalcap`), whose files are read, never imported. Neither is part of hfmm: the synonyms and word
forms
are an excerpt of WordNet 3.0 (Princeton's license, which lies beside them), the paraphrases are METEOR's own data
(LGPL).

The 5.3 million paraphrases are read once, and kept as arrays in the user's cache directory (XDG_CACHE_HOME).
"""

import gzip
import os
import zipfile
from collections import defaultdict
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

import numpy as np

from hfmm.errors import DataError

from .ngrams import Integers

VARIABLE = "HFMM_METEOR"
JAR, PARAPHRASES = "meteor-1.5.jar", "data/paraphrase-en.gz"
DETACHMENTS = (  # WordNet's rules (morphy): an ending and what takes its place; the first that gives a known word
    ("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y"),
    ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""),
    ("er", ""), ("est", ""), ("er", "e"), ("est", "e"),
)  # fmt: skip


class Synonyms:
    """The synonym sets of WordNet 3.0 that each word is in, by itself or by its base form.

    Args:
        jar: METEOR's jar file, which is a zip archive.
    """

    def __init__(self, jar: Path) -> None:
        try:
            with zipfile.ZipFile(jar) as archive:
                sets, forms = (_lines(archive, f"synonym/english.{name}") for name in ("synsets", "exceptions"))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"{jar} is no jar of METEOR 1.5 that can be read ({error}): install it anew") from error
        self._sets = dict(zip(sets[::2], sets[1::2], strict=False))
        self._bases: defaultdict[str, list[str]] = defaultdict(list)
        for base, inflected in zip(forms[::2], forms[1::2], strict=False):
            for form in inflected.split():
                self._bases[form].append(base)

    def of(self, word: str) -> frozenset[int]:
        """The numbers of the word's sets; empty for a word that WordNet lacks."""
        known = (self._sets.get(form) for form in (word, *self._base_forms(word)))
        return frozenset(int(number) for numbers in known if numbers for number in numbers.split())

    def _base_forms(self, word: str) -> list[str]:
        if word in self._bases:
            return self._bases[word]
        if word.endswith("ss") or len(word) < 3:
            return []
        bases = (word.removesuffix(ending) + base for ending, base in DETACHMENTS if word.endswith(ending))
        return [base for base in bases if base in self._sets][:1]


def _lines(archive: zipfile.ZipFile, name: str) -> list[str]:
    return archive.read(name).decode("utf-8").splitlines()


class Paraphrases:
    """Phrases and the phrases that may stand for them, as a tree of words in arrays.

    Args:
        table: METEOR's file: a probability, a phrase and its paraphrase, a line each.

    Attributes:
        words: The number of each word.
        edges: (E,), ascending: node times the number of words plus a word; edge i leads to node i + 1, and 0 is the
        root.
        phrase: (P,), ascending: the node at which a phrase ends.
        paraphrase: (P,): that of its paraphrase; those of one phrase in the order of the file.
    """

    def __init__(self, table: Path) -> None:
        kept = _cached(table)
        try:
            arrays = dict(np.load(kept, allow_pickle=False))
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):  # not there yet, or damaged
            arrays = _read(table)
            _keep(kept, arrays)
        words = bytes(arrays["words"]).decode("utf-8").split("\n")
        self.words = dict(zip(words, range(len(words)), strict=True))
        self.edges: Integers = arrays["edges"]
        self.phrase: Integers = arrays["phrase"]
        self.paraphrase: Integers = arrays["paraphrase"]
        self._ranks: dict[int, dict[int, int]] = {}
        self._whole = np.zeros(len(self.edges) + 1, bool)
        self._whole[self.phrase] = self._whole[self.paraphrase] = True

    def phrases(self, sentences: list[list[str]]) -> list[list[tuple[int, int, int]]]:
        """The phrases in each sentence: where each begins, its number of words and its node."""
        length = np.fromiter(map(len, sentences), np.int64, len(sentences))
        numbers = [self.words.get(word, -1) for sentence in sentences for word in [*sentence, ""]]
        word = np.array([*numbers, -1], np.int64)
        first = np.cumsum(length + 1) - length - 1
        begin = np.flatnonzero(word >= 0)
        node, found, depth = np.zeros(len(begin), np.int64), [], 0
        while len(begin):
            following = word[begin + depth]
            key = node * len(self.words) + following
            edge = np.minimum(np.searchsorted(self.edges, key), len(self.edges) - 1)
            known = (self.edges[edge] == key) & (following >= 0)
            begin, node, depth = begin[known], edge[known] + 1, depth + 1
            found.append((begin, np.full(len(begin), depth), node))
        lists: list[list[tuple[int, int, int]]] = [[] for _ in sentences]
        begin, depths, node = (np.concatenate(parts) for parts in zip(*found, strict=True)) if found else (begin,) * 3
        owner = np.searchsorted(first, begin, side="right") - 1
        starts = begin - first[owner]
        for which, *phrase in zip(owner.tolist(), starts.tolist(), depths.tolist(), node.tolist(), strict=True):
            if self._whole[phrase[2]]:
                lists[which].append((phrase[0], phrase[1], phrase[2]))
        return lists

    def ranks(self, node: int) -> dict[int, int]:
        """The nodes of the paraphrases that a node's phrase has in the table, with their places in it."""
        if node not in self._ranks:
            start, end = np.searchsorted(self.phrase, [node, node + 1])
            self._ranks[node] = {other: rank for rank, other in enumerate(self.paraphrase[start:end].tolist())}
        return self._ranks[node]


def _read(table: Path) -> dict[str, Any]:
    """The arrays of a table of paraphrases."""
    phrases: defaultdict[bytes, int] = defaultdict(count().__next__)
    try:
        with gzip.open(table) as file:
            sides = np.fromiter((phrases[line[:-1]] for number, line in enumerate(file) if number % 3), np.int64)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{table} is no table of paraphrases that can be read ({error}): install it anew") from error
    numbers: defaultdict[bytes, int] = defaultdict(count().__next__)
    length = np.fromiter((phrase.count(b" ") + 1 for phrase in phrases), np.int64, len(phrases))
    words = np.fromiter((numbers[word] for phrase in phrases for word in phrase.split(b" ")), np.int64, length.sum())
    begin, node = np.cumsum(length) - length, np.zeros(len(length), np.int64)
    edges: list[Integers] = []
    for depth in range(length.max(initial=0)):
        longer = np.flatnonzero(length > depth)
        level, place = np.unique(node[longer] * len(numbers) + words[begin[longer] + depth], return_inverse=True)
        node[longer] = place + 1 + sum(map(len, edges))
        edges.append(level)
    one, other = node[sides[::2]], node[sides[1::2]]
    order = np.argsort(one, kind="stable")  # paraphrases of a phrase keep their order
    return {
        "words": np.frombuffer(b"\n".join(numbers), np.uint8),
        "edges": np.concatenate(edges),
        "phrase": one[order],
        "paraphrase": other[order],
    }


def _cached(table: Path) -> Path:
    """Where the arrays of a table are kept; a changed table has another name."""
    facts = table.stat()
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "hfmm" / f"{table.name}-{facts.st_size}-{facts.st_mtime_ns}-2.npz"


def _keep(path: Path, arrays: dict[str, Any]) -> None:
    """Write the arrays so that other processes see all of them or none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, delete=False) as file:
            np.savez(file, **arrays)
        Path(file.name).replace(path)
    except OSError:  # a home that cannot be written to: the table is read anew by the next process
        return


class Tables(NamedTuple):
    """What an installed METEOR has."""

    synonyms: Synonyms
    paraphrases: Paraphrases


@cache
def load_tables(folder: Path) -> Tables:
    """The tables in a folder of METEOR, read once a process."""
    return Tables(Synonyms(folder / JAR), Paraphrases(folder / PARAPHRASES))


def find_meteor() -> Path | None:
    """The folder of an installed METEOR 1.5; None where there is none.

    Raises:
        DataError: HFMM_METEOR names a folder without METEOR's files.
    """
    named = os.environ.get(VARIABLE)
    if named:
        for file in (JAR, PARAPHRASES):
            if not (Path(named) / file).is_file():
                raise DataError(f"{VARIABLE} names {named}, where {file} is not: name the folder of METEOR 1.5")
        return Path(named)
    spec = find_spec("pycocoevalcap")
    folders = [Path(place) / "meteor" for place in (spec.submodule_search_locations or ())] if spec else []
    return next((place for place in folders if (place / JAR).is_file() and (place / PARAPHRASES).is_file()), None)
