"""coco-caption's tokenizer, without Java: the words of a caption as its scores count them.

coco-caption runs Stanford's PTBTokenizer (CoreNLP 3.4.1, options -preserveLines -lowerCase) on a file of captions, one
a line, and drops punctuation marks. The rules here were found by asking that program what it does, and are compared
with it in the tests. Three things to know, all of them as there:

* brackets become words ("-lrb-"): the list of dropped marks names them in capitals, after the words were made small;
* a caption can feel the next one: in "plan B." the period belongs to the B, but not if the next one begins "The ...";
* words may hold a no-break space ("1 1/2" is one word), at which the scores split them.

Where the program is broken by line separators other than a line feed, or by a tag that spans captions, this is not.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from .ptb_rules import ABBREVIATION, RULES

PUNCTUATION = frozenset(
    ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
)
# A chunk between two spaces whose words depend on nothing outside it: no digit, no tag and no period in it, or a period
# after a word that is no abbreviation. What is left to look for is ". ." (an ellipsis in pieces).
_SIMPLE = re.compile(rf"[!-\-/:;=-~]+|\.|(?!{ABBREVIATION})[A-Za-z]{{2,}}(?:-[A-Za-z]+)*\.")
_TWO_WORDS = frozenset(["cannot", "gimme", "gonna", "gotta", "lemme", "wanna"])
_LINE_ENDS = re.compile(r"[\n\r\x0b\x0c\u2028\u2029]")


def tokenize(captions: Sequence[str]) -> list[str]:
    """The words of each caption, in small letters, with single spaces between them.

    The captions are tokenized as the lines of one file, as coco-caption does: their order can matter (see above).
    """
    lines = [_LINE_ENDS.sub(" ", caption) for caption in captions]
    tokenized: list[str] = []
    following = ""  # what stands after the line, as far as it can matter: to the end of the next one that has words
    for line in reversed(lines):
        alone = following != "" and ". ." not in line
        words: list[str | None] = list(map(words_of_chunk, line.split(" "))) if alone else [None]
        if None in words:
            words[:] = _kept(stanford_tokens(line + following, len(line)))
        tokenized.append(" ".join(filter(None, words)))
        if line.strip():
            following = f"\n{line}{following[:1]}"
        elif not following.startswith("\n\n"):  # more blank lines change nothing
            following = f"\n{following}"
    return tokenized[::-1]


def stanford_tokens(text: str, end: int) -> list[str]:
    """What PTBTokenizer finds in ``text[:end]``, which it reads on as far as it needs; in small letters."""
    tokens, start = [], 0
    while start < end:
        longest, best = start, None
        for rule in RULES:
            match = rule.pattern.match(text, start)
            if match is not None and match.end(rule.pattern.groups) > longest:
                longest, best = match.end(rule.pattern.groups), (rule, match.end(1))
        if best is None:  # a space, or a character that is in no word: dropped, and the word ends
            start += 1
            continue
        rule, stop = best
        start, token = stop - rule.give_back, text[start : stop - rule.give_back]
        token = token.replace(" ", "\xa0")
        tokens.append((token if rule.rewrite is None else rule.rewrite(token)).lower())
    return [token for token in tokens if token]


def _kept(tokens: list[str]) -> list[str]:
    """The tokens without the punctuation marks that coco-caption drops."""
    return [token for token in tokens if token not in PUNCTUATION]


@lru_cache(maxsize=1 << 17)
def words_of_chunk(chunk: str) -> str | None:
    """The words of a chunk between two spaces; None if they may depend on what stands around it."""
    if _SIMPLE.fullmatch(chunk) is None:
        return None if chunk else ""
    word = chunk[:-1] if chunk[-1] in ".," else chunk
    if word.isalpha() and word.lower() not in _TWO_WORDS:  # as almost always: no need to ask the rules
        return word.lower()
    return " ".join(_kept(stanford_tokens(f"{chunk} ", len(chunk))))
