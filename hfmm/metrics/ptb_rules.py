"""The words that the caption tokenizer knows, as regular expressions: the longest match wins, then the earlier rule.

A rule's pattern is the token, its context must follow the token (and counts for the longest match).
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from . import ptb_tables as tables


class Rule(NamedTuple):
    """One kind of token. Group 1 of the pattern is the token; a second group, if there is one, its context."""

    pattern: re.Pattern[str]
    rewrite: Callable[[str], str] | None  # of the token's text, without what it gives back; an empty result is no token
    give_back: int  # so many characters at its end are the next token's


def _rule(token: str, context: str = "", rewrite: Callable[[str], str] | None = None, give_back: int = 0) -> Rule:
    pattern = f"({token})(?=({context}))" if context else f"({token})"
    return Rule(re.compile(pattern), rewrite, give_back)


def _any_of(words: str, flags: str = "i") -> str:
    """One of the words, the longer ones first."""
    return f"(?{flags}:{'|'.join(sorted(words.split(), key=len, reverse=True))})"


def _capitalized(words: str) -> str:
    """One of the words if its first letter is a capital, whatever the case of the rest."""
    return f"(?:{'|'.join(f'{word[0].upper()}(?i:{word[1:]})' for word in words.split())})"


def _becomes(text: str) -> Callable[[str], str]:
    return lambda token: text


SOFT_HYPHEN = "\xad"
_MARKS = {"\u2018": "`", "\u201b": "`", "\u2039": "`", "\x91": "`", "\u2019": "'", "\u203a": "'", "\x92": "'"}
_MARKS |= {"\u201c": "``", "\xab": "``", "\x93": "``", "\u201d": "''", "\xbb": "''", "\x94": "''"}
_BRACKETS = {"(": "-LRB-", ")": "-RRB-", "[": "-LSB-", "]": "-RSB-", "{": "-LCB-", "}": "-RCB-"}
_AMOUNTS = {"\xbc": "1/4", "\xbd": "1/2", "\xbe": "3/4", "\u2153": "1/3", "\u2154": "2/3"}
_AMOUNTS |= {"\xa2": "cents", "\xa3": "#", "\xa4": "$", "\x80": "$", "\u20a0": "$", "\u20ac": "$"}


def _with_period(token: str) -> str:
    return f"{token}."


def _plain_quotes(token: str) -> str:
    token = token.replace("&apos;", "'").replace(SOFT_HYPHEN, "") or "-"
    return "".join(_MARKS.get(character, character) for character in token)


def _plain_joints(token: str) -> str:
    """Without soft hyphens, and with plain ampersands."""
    return re.sub("(?i)&amp;", "&", token).replace(SOFT_HYPHEN, "")


def _round_brackets(token: str) -> str:
    return token.replace("(", "-LRB-").replace(")", "-RRB-")


def _amount(token: str) -> str:
    return _AMOUNTS.get(token, token)


def _dashes(token: str) -> str:
    return "--" if 2 <= len(token) <= 4 else token


_LETTERS, _DIGITS = tables.character_class(tables.LETTERS), tables.character_class(tables.DIGITS)
_JOINERS = tables.character_class(tables.MARKS)
LETTER = rf"(?:[{_LETTERS}{_JOINERS}\u00ad]|(?i:&[aeiou](?:acute|grave|uml);))"
BASIC = f"[{_LETTERS}]"  # letters without marks
ALNUM = f"[{_LETTERS}{_DIGITS}]"
DIGIT = f"[{_DIGITS}]"
BLANK = r"[ \t\u00a0\u2000-\u200a\u3000]"
SPACE = r"[ \t\u00a0\u2000-\u200a\u3000\r\n\u2028\u2029\x0b\x0c]"
APOSTROPHE = r"(?:['\x92\u2019]|(?i:&apos;))"
QUOTE = r"(?:['`\x91\x92\u2018\u2019\u201b]|(?i:&apos;))"  # any single quotation mark that can stand for an apostrophe
PAUSE = r"[,;:\u3001]"

WORD = f"{LETTER}(?:{LETTER}|{DIGIT})*(?:[.!?]{LETTER}(?:{LETTER}|{DIGIT})*)*"
_PART = f"(?:[dDoOlL]{QUOTE}{ALNUM})?{ALNUM}+"
COMPOUND = rf"{_PART}(?:[-_\u058a\u2010\u2011]{_PART})*"
_INITIALS = r"[A-Za-z](?:\.[A-Za-z])"
DOTTED = rf"[A-Za-z0-9][A-Za-z0-9.,\xad]*(?:-(?:{_INITIALS}+\.|[A-Za-z0-9\xad]+))+"  # U.S.-based, 3.5-inch
JOINED = r"[A-Z]+(?:(?:(?i:&amp;)|[+&])[A-Z]+)+"  # AT&T
_NUMBER = rf"(?:{DIGIT}*(?:[.:,\xad\u066b\u066c]{DIGIT}+)+|{DIGIT}+)"
_TAG = r"[A-Za-z][A-Za-z0-9_:.-]*"
_VALUE = r"""(?:'[^']*'|"[^"]*")"""
TAG = rf"<(?:[!?][A-Za-z-][^>\r\n]*|/{_TAG} *|{_TAG}(?: +{_TAG}(?: *= *{_VALUE})?)* *(?:/ *)?)>"

_SHORT = f"(?:[msdMSD]|{_any_of('re ve ll')})"
_NOT = f"[nN]{QUOTE}[tT]"
_SENTENCE = f"{SPACE}(?:{SPACE}|[A-Z]|{TAG})"
_STATES = _capitalized(tables.CLOSING_CAPITALIZED)
_CLOSING = rf"(?:{_any_of(tables.CLOSING)}|{_STATES}|[Pp]{{1,2}}[Tt][ye][Ss]?|(?i:ph\.d))\."
_LEADING = rf"(?:{_any_of(tables.LEADING)}|[Mm][ft][gG])\."
ABBREVIATION = rf"(?:{_CLOSING}|{_LEADING}|{_any_of(tables.NUMBERING)}\.)"
_OPENING = rf"(?:{_capitalized(tables.OPENING)}|M(?i:[rs])\.|{TAG})"

# What an address may hold, and what it may not end with.
_ADDRESS = r'[^ \t\n\f\r"<>|(){}]'
_ADDRESS_END = r'[^ \t\n\f\r"<>|.!?(){},-]'
_PATH = rf'(?:/[^ \t\n\f\r"<>|()]+{_ADDRESS_END})'
_WEB = r'www\.(?:[^ \t\n\f\r"<>|.!?(){},]+\.)+[a-zA-Z]{2,4}'
_SITE = rf"""(?:[^ \t\n\f\r"`'<>|.!?(){{}},$/:;=@\[\\\]^_A-Z0-9-]+\.)+{_any_of("com net org edu")}"""
_MAILBOX, _HOST = r'[^ \t\n\f\r"<>|(){}\xa0]', r'[^ \t\n\f\r"<>|(){}.\xa0]'
_LAST_DIGITS = r"[0-9]{3,4}[- \xa0]?[0-9]{3,5}"

RULES = (
    # Words, and what hangs on them.
    _rule("(?i:cannot)", give_back=3),
    _rule("(?i:gonna|gotta|wanna|gimme|lemme|'tis)", give_back=2),
    _rule("(?i:'twas)", give_back=3),
    _rule(TAG),
    _rule(r"[\x96\x97\u2013-\u2015]|(?i:&(?:md|mdash|ndash);)", rewrite=_becomes("--")),
    _rule("(?i:&(?:ht|tl|ur|lr|qc|ql|qr|odq|cdq|#[0-9]+);)"),
    _rule(WORD, f"{APOSTROPHE}{_SHORT}", _plain_quotes),
    _rule("[A-Za-z]*[A-MO-Za-mo-z]", _NOT),
    _rule(WORD, rewrite=_plain_quotes),
    _rule(f"{APOSTROPHE}[nN]{APOSTROPHE}?|[lLdDjJ]{APOSTROPHE}|{_any_of('dunkin somethin ol')}{APOSTROPHE}"),
    _rule(f"{APOSTROPHE}{_any_of('em til till cause')}|{APOSTROPHE}[0-9]0[sS]"),
    _rule(f"{APOSTROPHE}[0-9][0-9]", SPACE),
    _rule(f"[yY]{APOSTROPHE}", BASIC),
    _rule(f"[A-HJ-XZnolLdD]{QUOTE}{BASIC}{{2,}}|[oO]{QUOTE}[oO]"),
    _rule(f"{BASIC}+[aeiouyAEIOUY]{QUOTE}[aeiouA-Z]{BASIC}*"),
    _rule(_any_of("qu'il qu'elle li'l e'er ev'ry c'mon nat'l nor'easter") + f"|(?i:c{APOSTROPHE}est|cap{APOSTROPHE}n)"),
    _rule(f"{APOSTROPHE}{_SHORT}", "[^A-Za-z]", _plain_quotes),
    _rule(f"{APOSTROPHE}[msdMSD]|{_NOT}", rewrite=_plain_quotes),
    _rule(rf"(?:[\x92\u2019]|(?i:&apos;)){_SHORT}", rewrite=_plain_quotes),
    _rule(r"[cC]\+\+|[cCfF]#"),
    # Addresses.
    _rule(f"(?i:https?)://{_ADDRESS}+{_ADDRESS_END}"),
    _rule(f"{_WEB}{_PATH}?"),
    _rule(f"{_SITE}{_PATH}?"),
    _rule(f"(?:<|(?i:&lt;))?[a-zA-Z0-9]{_MAILBOX}*@(?:{_HOST}+\\.)*{_HOST}+(?:>|(?i:&gt;))?"),
    _rule(f"@[A-Za-z_][A-Za-z_0-9]*|#{LETTER}+"),
    # Numbers and amounts.
    _rule(f"{DIGIT}{{1,2}}[-/]{DIGIT}{{1,2}}[-/]{DIGIT}{{2,4}}"),
    _rule(f"[-+]?{_NUMBER}", rewrite=_plain_joints),
    _rule(r"[\u207a\u207b\u208a\u208b]?(?:[\u2070\xb9\xb2\xb3\u2074-\u2079]+|[\u2080-\u2089]+)"),
    _rule(rf"(?:{DIGIT}{{1,4}}[- \xa0])?{DIGIT}{{1,4}}(?:\\?/|\u2044){DIGIT}{{1,4}}"),
    _rule(r"[\xbc-\xbe\u2153-\u215e\xa2-\xa5\x80\u20a0\u20ac]", rewrite=_amount),
    _rule(r"[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:\\?/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2}"),
    _rule(r"[A-Z]*\$|#+"),
    _rule(rf"\([0-9]{{2,3}}\)[ \xa0]?{_LAST_DIGITS}", rewrite=_round_brackets),
    _rule(rf"\+{{0,2}}(?:[0-9]{{2,4}}[- \xa0])?[0-9]{{2,4}}[- \xa0]{_LAST_DIGITS}"),
    _rule(r"\+{0,2}(?:[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}"),
    # Words that keep their period, and words whose period is cut off.
    _rule(_CLOSING, _SENTENCE, _with_period, give_back=1),  # the period also ends the sentence
    _rule(_CLOSING, r"[\s\S][\s\S]"),
    _rule(_CLOSING, rewrite=_with_period, give_back=1),
    _rule(_LEADING),
    _rule(rf"{_any_of(tables.NUMBERING)}\.", f"{SPACE}?{DIGIT}"),
    _rule(r"[A-Za-z]\.", f"{SPACE}+{_OPENING}{SPACE}", give_back=1),
    _rule(rf"{_INITIALS}+\.", f"{SPACE}+{_OPENING}{SPACE}", _with_period, give_back=1),
    _rule(rf"{_INITIALS}*\."),
    _rule(rf"{ALNUM}+(?:\.{ALNUM}+)*\.{_any_of(tables.FILE_ENDINGS)}", f"{SPACE}|[.?!,]"),
    _rule(rf"{WORD}\.|{DOTTED}\.|{COMPOUND}\.|{JOINED}\.", PAUSE, _plain_joints),
    # Marks.
    _rule('"|&quot;', "[A-Za-z0-9$]", _becomes("``")),
    _rule('"|&quot;', rewrite=_becomes("''")),
    _rule("<|(?i:&lt;)", rewrite=_becomes("<")),
    _rule(">|(?i:&gt;)", rewrite=_becomes(">")),
    _rule("(?i:&amp;)", rewrite=_becomes("&")),
    _rule("(?i:&nbsp;)", rewrite=_becomes("")),
    _rule(r"[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]]", "[^A-Za-z0-9]", _round_brackets),
    _rule(r"[-^x=~<>']_[-^x=~<>']"),
    _rule(r"\([-^x=~<>'][_.]?[-^x=~<>']\)|\([\^x=~<>']-[\^x=~<>'`]\)", rewrite=_round_brackets),
    _rule(r"[()\[\]{}]", rewrite=lambda token: _BRACKETS[token]),
    _rule("-+", rewrite=_dashes),
    _rule(r"\.{3,5}|(?:\.[ \xa0]){2,4}\.|[\x85\u2026]", rewrite=_becomes("...")),
    _rule(r"\*+|(?:\\\*){1,3}|[?!]+|_+|@+|<<|>>"),
    _rule(rf"{PAUSE}|[.\xa1\xbf\u037e\u0589\u2044=/+%&~^|\\]|[{tables.character_class(tables.SYMBOLS)}]"),
    _rule("'", r"[A-Za-z][^ \t\n\r\xa0]", _becomes("`")),
    _rule(r"[`\x91-\x94\u2018-\u201f\u2039\u203a\xab\xbb]{1,2}|''|'|(?i:&apos;|&quot;)", rewrite=_plain_quotes),
    # Compounds.
    _rule(DOTTED, rewrite=_plain_joints),
    _rule(COMPOUND, rewrite=_plain_joints),
    _rule(JOINED, rewrite=_plain_joints),
)
