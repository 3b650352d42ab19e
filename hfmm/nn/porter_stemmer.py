"""The stem of an English word (Porter, "An algorithm for suffix stripping", Program 14(3), 1980).

A word is [C](VC)^m[V], C and V runs of consonants and vowels; most rules ask for the measure m of what is left.
"""

import re
from functools import cache

_STEP_2 = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "abli": "able", "alli": "al",
    "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate", "alism": "al",
    "iveness": "ive", "fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive", "biliti": "ble",
}  # fmt: skip
_STEP_3 = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
_STEP_4 = dict.fromkeys(
    (
        "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate",
        "iti", "ous", "ive", "ize",
    ),
    "",
)  # fmt: skip
_WORD = re.compile(r"[a-z]+")


def _kinds(word: str) -> str:
    """`c` or `v` for each letter; y is a vowel after a consonant."""
    kinds = ""
    for letter in word:
        is_vowel = letter in "aeiou" or (letter == "y" and kinds.endswith("c"))
        kinds += "v" if is_vowel else "c"
    return kinds


def measure(word: str) -> int:
    """m, how many runs of vowels are followed by consonants."""
    return len(re.findall("v+c+", _kinds(word)))


def _ends_short(word: str) -> bool:
    """Consonant, vowel, consonant other than w, x and y: the paper's *o."""
    return _kinds(word).endswith("cvc") and word[-1] not in "wxy"


def _replaced(word: str, endings: dict[str, str], least: int) -> str:
    """The longest ending that the word has is replaced, where what is left has at least that measure."""
    for length in range(min(7, len(word)), 0, -1):
        ending = word[-length:]
        if ending in endings:
            left = word[:-length]
            allowed = ending != "ion" or left.endswith(("s", "t"))
            return left + endings[ending] if measure(left) >= least and allowed else word
    return word


def _without_plural(word: str) -> str:
    """Step 1a."""
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _without_past(word: str) -> str:
    """Steps 1b and 1c."""
    if word.endswith("eed"):
        word = word[:-1] if measure(word[:-3]) else word
    else:
        left = word[:-2] if word.endswith("ed") else word[:-3] if word.endswith("ing") else ""
        if "v" in _kinds(left):
            word = _mended(left)
    return word[:-1] + "i" if word.endswith("y") and "v" in _kinds(word[:-1]) else word


def _mended(left: str) -> str:
    """What is left of a word after -ed or -ing was taken away, as a word again."""
    if left.endswith(("at", "bl", "iz")):
        return left + "e"
    if left[-1:] == left[-2:-1] and _kinds(left).endswith("c") and left[-1] not in "lsz":
        return left[:-1]
    return left + "e" if measure(left) == 1 and _ends_short(left) else left


def _without_last_e(word: str) -> str:
    """Step 5."""
    if word.endswith("e"):
        left = word[:-1]
        if measure(left) > 1 or (measure(left) == 1 and not _ends_short(left)):
            word = left
    return word[:-1] if word.endswith("ll") and measure(word) > 1 else word


@cache
def stem(word: str) -> str:
    """The stem of a word in lower case; what is no word, or has two letters at most, stays as it is."""
    if len(word) <= 2 or not _WORD.fullmatch(word):
        return word
    word = _without_past(_without_plural(word))
    word = _replaced(word, _STEP_2, least=1)
    word = _replaced(word, _STEP_3, least=1)
    word = _replaced(word, _STEP_4, least=2)
    return _without_last_e(word)
