"""The words that METEOR 1.5 counts (its option -norm, English): marks apart, acronyms without periods, small letters.

Found by asking the Java program what it makes of captions; the tests compare them.
"""

import re

FUNCTION_WORDS = frozenset(  # words more frequent than 1 in 1,000 (WMT 2011, section 2.1)
    (  # noqa: SIM905
        "\" $ ' 's 't ( ) , - -- -lrb- -rrb- . : ? a about after all also an and are as at be been but by can "
        "could first for from had has have he her his i if in into is it its last more new no not of on one "
        "or other out over people s said she so some than that the their there they this time to two up was "
        "we were what when which who will with would year years you \u2014 \u2019 \u201c \u201d "
    ).split()
)  # fmt: skip
PREFIXES = frozenset(  # before a period that ends no sentence
    (  # noqa: SIM905
        "A Adj Adm Adv Asst B Bart Bldg Brig Bros C Capt Cmdr Col Comdr Con Corp Cpl D DR Dr Drs E Ens F G "
        "Gen Gov H Hon Hosp Hr I Insp J K L Lt M MM MR MRS MS Maj Messrs Mlle Mme Mr Mrs Ms Msgr N Nos Nr O "
        "Op Ord P Pfc Ph Prof Pvt Q R Rep Reps Res Rev Rt S Sen Sens Sfc Sgt Sr St Supt Surg T U V W X Y Z "
        "e.g i.e rev v vs "
    ).split()
)  # fmt: skip
NUMERIC_PREFIXES = frozenset(["No", "Art", "pp"])  # only before a number
_SIMPLE = re.compile(r"[A-Za-z0-9 ]*")
_IDEOGRAPHS = "\u2e80-\u2fdf\u3040-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_L, _X = r"[^\W\d_]", r"[\W\d_]"  # a letter, anything else
_RULES = [
    (re.compile(pattern), text)
    for pattern, text in [
        (r"[\u2018\u2019`]", "'"),
        (r"''", '"'),
        (r"[\u201c\u201d]", '"'),
        (r"\u2013", " - "),
        (r"--", "-"),
        (rf"([{_IDEOGRAPHS}])", r" \1 "),
        (r"([^\w\s.',-]|_)", r" \1 "),
        (r"(\.{2,})", r" \1 "),
        (r"([^0-9]),([^0-9])", r"\1 , \2"),
        (r"([0-9]),([^0-9])", r"\1 , \2"),
        (r"([^0-9]),([0-9])", r"\1 , \2"),
        (rf"({_X})'({_X})", r"\1 ' \2"),
        (rf"([\W_])'({_L})", r"\1 ' \2"),
        (rf"({_L})'({_X})", r"\1 ' \2"),
        (rf"({_L})'({_L})", r"\1 '\2"),
        (r"([0-9])'s", r"\1 's"),
        (r"([\w.])-(\w)", r"\1 \2"),
    ]
]


def normalize(caption: str) -> list[str]:
    """The words of a caption."""
    if _SIMPLE.fullmatch(caption):
        return caption.lower().split()
    text = f" {caption} "
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    chunks = text.split()
    words = [_period(word, following) for word, following in zip(chunks, [*chunks[1:], ""], strict=True)]
    return " ".join(words).lower().split()


def _period(word: str, following: str) -> str:
    """A word with a period at its end: what the period belongs to."""
    if not word.endswith(".") or not word.strip("."):
        return word
    stem = word[:-1]
    if "." in stem and any(letter.isalpha() for letter in stem):
        return stem.replace(".", "")
    if stem in PREFIXES or following[:1].islower() or (stem in NUMERIC_PREFIXES and following[:1].isdigit()):
        return word
    return f"{stem} ."
