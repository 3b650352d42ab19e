"""The caption tokenizer: what coco-caption's makes of every kind of caption, and the same for many."""

import random

import pytest

from hfmm.metrics.ptb import stanford_tokens, tokenize
from tests.metrics.peers import coco_tokenize
from tests.testing import shared_data

# What coco-caption's tokenizer (Java) makes of these captions, each followed by another.
EXPECTED = {
    "plain": {
        "": "",
        " ": "",
        "A man rides a wave .": "a man rides a wave",
        "a  double   space": "a double space",
        "a\ttab": "a tab",
        "Two dogs. One ball!": "two dogs one ball",
        "What? No!!! Why?!": "what no !!! why ?!",
        "wait... what\u2026": "wait what",
        "a ; b : c , d": "a b c d",
    },
    "contractions": {
        "don't": "do n't",
        "it's the dog's ball": "it 's the dog 's ball",
        "cannot can not": "can not can not",
        "I'm gonna wanna gotta gimme lemme": "i 'm gon na wan na got ta gim me lem me",
        "they've we're I'd he'll": "they 've we 're i 'd he 'll",
        "'tis 'twas": "'t is 't was",
        "the dogs' bowl": "the dogs bowl",
        "rock 'n' roll": "rock 'n' roll",
        "rock'n'roll": "rock 'n' roll",
        "o'clock ma'am 'em 'til": "o'clock ma'am 'em 'til",
        "don\u2019t it\u2019s": "do n't it 's",
        "Hawai'i O'Brien": "hawai'i o'brien",
        "the 1990's and '90s": "the 1990 's and '90s",
        "li'l cap'n": "li'l cap'n",
    },
    "hyphens": {
        "a t-shirt , snow-covered": "a t-shirt snow-covered",
        "a - b -- c --- d": "a b c d",
        "a--b": "a b",
        "mid \u2013 dash \u2014 long": "mid dash long",
        "-5 degrees": "-5 degrees",
        "high_rise": "high_rise",
    },
    "numbers": {
        "1,000 and 3.5": "1,000 and 3.5",
        "1/2 cup": "1/2 cup",
        "1 1/2 cups": "1\xa01/2 cups",
        "3rd 2nd 10x20": "3rd 2nd 10x20",
        "12:30 pm 12/25/2013": "12:30 pm 12/25/2013",
        "\xbd \xbe": "1/2 3/4",
        "5'10\"": "5 10",
        "(555) 123-4567": "-lrb-555-rrb-\xa0123-4567",
        "No. 5 no. 5 no. ": "no. 5 no. 5 no",
    },
    "abbreviations": {
        "the U.S. team": "the u.s. team",
        "Mr. Smith vs. Dr. Jones": "mr. smith vs. dr. jones",
        "e.g. this , i.e. that etc.": "e.g. this i.e. that etc.",
        "at 5 p.m. on Jan. 5": "at 5 p.m. on jan. 5",
        "J. R. Smith Inc.": "j. r. smith inc.",
        "a man named Al. ": "a man named al.",
        "word, etc., and more.,": "word etc. and more.",
    },
    "quotes": {
        '"hello" she said': "hello she said",
        "'world'": "world",
        "\u201ccurly\u201d \u2018single\u2019 \xabangle\xbb": "curly single angle",
        "``x''": "x",
        'a " b': "a b",
        'the sign says "No."': "the sign says no",
    },
    "brackets": {
        "a (small) dog": "a -lrb- small -rrb- dog",
        "[a] {b} <c>": "-lsb- a -rsb- -lcb- b -rcb- <c>",
        "a dog (": "a dog -lrb-",
        ":-) :)": ":--rrb- :-rrb-",
        "<br> a < b > c": "<br> a < b > c",
    },
    "symbols": {
        "and/or either / or": "and/or either / or",
        "AT&T and R&D & co": "at&t and r&d & co",
        "$5 5$ \xa35 \u20ac5 \xa55 5\xa2": "$ 5 5 $ # 5 $ 5 \xa5 5 5 cents",
        "50% off": "50 % off",
        "#1 #tag @user": "# 1 #tag @user",
        "a + b = c * d ~ e ^ f | g \\ h": "a + b = c * d ~ e ^ f | g \\ h",
        "C++ and C#": "c++ and c#",
        "&amp; &lt; &quot;x&quot;": "& < x",
    },
    "addresses": {
        "see http://x.com/a?b=c .": "see http://x.com/a?b=c",
        "www.x.com": "www.x.com",
        "statefarm.com": "statefarm.com",
        "mail me@x.com now": "mail me@x.com now",
        "readme.txt is here": "readme.txt is here",
    },
    "unicode": {
        "a caf\xe9 \xe0 c\xf4t\xe9": "a caf\xe9 \xe0 c\xf4t\xe9",
        "na\xefve fa\xe7ade": "na\xefve fa\xe7ade",
        "\u4e2d\u6587 \u65e5\u672c": "\u4e2d\u6587 \u65e5\u672c",
        "a \U0001f600 b\U0001f600c": "a b c",
        "5 \xd7 3 \xb0 \u2122 \xa9 \u2022": "5 \xd7 3 \xb0 \u2122 \xa9 \u2022",
        "\u0394\u03ac \u041c\u0432\u0430": "\u03b4\u03ac \u043c\u0432\u0430",
        "a\xa0b\u2009c": "a b c",
        "soft\xadhyphen": "softhyphen",
        "\xe9.": "\xe9",
        "a\x00b": "a b",
    },
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_words_are_coco_captions(kind):
    found = tokenize([*EXPECTED[kind], "a cat"])[:-1]
    assert dict(zip(EXPECTED[kind], found, strict=True)) == EXPECTED[kind]


def test_a_chunk_met_again_gives_the_same_words():
    captions = [caption for kind in EXPECTED.values() for caption in kind]
    assert tokenize(captions) == tokenize(captions)
    assert tokenize(["a dog's ball ."] * 3) == ["a dog 's ball"] * 3


def test_the_next_caption_decides_on_an_initial():
    assert tokenize(["plan B.", "The end", "plan B.", "the end"]) == ["plan b", "the end", "plan b.", "the end"]
    assert tokenize(["plan B.", "", " ", "The end"]) == ["plan b", "", "", "the end"]
    assert tokenize(["plan B.", "The", ""]) == ["plan b", "the", ""]


def test_line_separators_are_spaces():
    assert tokenize(["a\nb", "a\r\nb", "a\u2028b", "a\x0bb"]) == ["a b"] * 4


def test_nothing():
    assert tokenize([]) == []
    assert tokenize([""]) == [""]
    assert tokenize(["", "", "a", ""]) == ["", "", "a", ""]


def test_punctuation_stays_until_it_is_dropped():
    text = 'He said, "wait..." (twice) -- U.S. Team!'
    assert " ".join(stanford_tokens(text, len(text))) == "he said , `` wait ... '' -lrb- twice -rrb- -- u.s. team !"


def test_reading_stays_linear_where_a_pattern_could_explode():
    assert tokenize(["<a" + " " * 3000 + "b", "x"]) == ["< a b", "x"]
    assert len(tokenize(["<a b='" * 200, "x"])[0]) > 0


def awkward_captions(count, seed=0):
    """Words of captions with all sorts of marks strewn in."""
    draw = random.Random(seed)
    pieces = [
        "a",
        "dog",
        "The",
        "don't",
        "it's",
        "Mr.",
        "U.S.",
        "B.",
        "e.g.",
        "t-shirt",
        "3.5",
        "1/2",
        "1,000",
        "$5",
        "'90s",
    ]
    pieces += [
        ",",
        ".",
        "...",
        "--",
        "-",
        "(",
        ")",
        "[",
        '"',
        "'",
        "`",
        ":)",
        "?",
        "!",
        "&",
        "and/or",
        "www.x.com",
        "<b>",
        "%",
        "#1",
    ]
    pieces += ["\u2019", "\u201c", "caf\u00e9", "\u2013", "\u2026", "\U0001f600", "\u00bd"]
    captions = []
    for _ in range(count):
        parts = [draw.choice(pieces) + draw.choice([" ", " ", " ", "", "  "]) for _ in range(draw.randint(0, 12))]
        captions.append("".join(parts))
    return captions


def test_awkward_captions_as_in_java():
    captions = awkward_captions(5000)
    assert tokenize(captions) == coco_tokenize(captions)


def test_any_ascii_as_in_java():
    draw = random.Random(1)
    characters = [chr(code) for code in range(32, 127) if chr(code) != "<"]  # a tag may span captions there
    captions = ["".join(draw.choices(characters, k=draw.randint(0, 20))) for _ in range(5000)]
    assert tokenize(captions) == coco_tokenize(captions)


@pytest.mark.parametrize(
    "name", ["flickr8k_text/captions.parquet", "rsicd/test.parquet", "coco_captions_text/karpathy_val.parquet"]
)
def test_real_captions_as_in_java(name):
    parquet = pytest.importorskip("pyarrow.parquet")
    folder, file = name.split("/")
    column = parquet.read_table(shared_data(folder) / file, columns=["captions"])["captions"].to_pylist()
    captions = [caption for texts in column[:1500] for caption in texts]
    assert tokenize(captions) == coco_tokenize(captions)
