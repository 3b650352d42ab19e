"""METEOR's alignment of two sentences (Denkowski and Lavie, WMT 2011, section 2; WMT 2014).

Words and phrases match in stages; of all matches, those are kept that cover most words, then make the fewest chunks,
then lie nearest to the diagonal, so that each word is in at most one. A beam search over the words of the reference
finds them. Where the publications leave room, scores are those of METEOR 1.5 only if these facts about it are kept:

* a match that shares no word with another one is kept before the search;
* coverage counts the words on either side times the weight of the stage, cut to a whole number with each match, so a
  pair of single words of any stage but the first counts nothing;
* a chunk counts when it ends;
* a match's distance is not added to the path that takes it, but to those that branch off after it: that take a later
  match of the same word, or none.
"""

from collections import Counter
from typing import NamedTuple

STAGES = ("exact", "stem", "synonym", "paraphrase")
WEIGHTS = (1.0, 0.6, 0.8, 0.6)
BEAM = 40
_APART = -1  # of a path, after a word without a match


class Match(NamedTuple):
    """Words of the prediction that match words of the reference."""

    start: int
    length: int
    reference_start: int
    reference_length: int
    stage: int


class Path(NamedTuple):
    """The matches chosen so far; the better, the smaller are the first three."""

    uncovered: int  # minus the coverage
    chunks: int  # that have ended
    distance: int
    used: int  # bits of the prediction's words
    position: int  # the next word of the reference
    follows: int  # where in the prediction the next match would go on with the chunk
    matches: tuple[Match, ...]


def align(num_words: int, matches: list[Match]) -> Path:
    """The best alignment with a reference of `num_words` words; matches of a word are tried in their order."""
    by_start: list[list[Match]] = [[] for _ in range(num_words)]
    covered, reference_covered = Counter[int](), Counter[int]()
    for match in matches:
        by_start[match.reference_start].append(match)
        covered.update(_words(match))
        reference_covered.update(_reference_words(match))
    fixed, used = set(), 0
    for match in matches:
        alone = all(covered[word] == 1 for word in _words(match))
        if alone and all(reference_covered[word] == 1 for word in _reference_words(match)):
            fixed.add(match.reference_start)
            used |= _bits(match)
    paths = [Path(0, 0, 0, used, 0, _APART, ())]
    for word in range(num_words):
        following: list[Path] = []
        for path in paths:
            if path.position > word:
                following.append(path)
            elif word in fixed:
                (match,) = by_start[word]
                following.append(_extended(path, match, path.distance + _distance(match)))
            else:
                following += _branches(path, by_start[word])
        paths = sorted(following, key=_rank)[:BEAM]
    return min((_ended(path) for path in paths), key=_rank)


def _branches(path: Path, options: list[Match]) -> list[Path]:
    """A path with each match of its next word that it leaves room for, and without one."""
    found, distance = [], path.distance
    for match in options:
        if not path.used & _bits(match):
            found.append(_extended(path, match, distance))
            distance += _distance(match)
    return [*found, _ended(path)._replace(distance=distance, position=path.position + 1)]


def _rank(path: Path) -> tuple[int, int, int]:
    return path[:3]


def _words(match: Match) -> range:
    return range(match.start, match.start + match.length)


def _reference_words(match: Match) -> range:
    return range(match.reference_start, match.reference_start + match.reference_length)


def _bits(match: Match) -> int:
    return ((1 << match.length) - 1) << match.start


def _distance(match: Match) -> int:
    return abs(match.reference_start - match.start)


def _ended(path: Path) -> Path:
    """A path whose last chunk, if one is open, has ended."""
    return path._replace(chunks=path.chunks + (path.follows != _APART), follows=_APART)


def _extended(path: Path, match: Match, distance: int) -> Path:
    weight = WEIGHTS[match.stage]
    return Path(
        path.uncovered - int(weight * match.length) - int(weight * match.reference_length),
        path.chunks + (path.follows not in (_APART, match.start)),
        distance,
        path.used | _bits(match),
        match.reference_start + match.reference_length,
        match.start + match.length,
        (*path.matches, match),
    )
