"""Cards on a sheet: as one picture, drawn with Pillow alone, or as a page that holds its pictures."""

import html
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from hfmm.explanation.base import data_url
from hfmm.explanation.drawing import FONT_SIZE, INK, PAPER, font, wrap
from hfmm.explanation.media import ACCENT, EDGE, Color
from hfmm.explanation.page import document
from hfmm.explanation.preview import SIDE, WIDE, Card, Figure, Line

DESK, TALK = (243, 244, 246), (90, 96, 103)
ASKED, ANSWERED = (224, 234, 252), (236, 238, 241)  # backgrounds of turns
PAD, GAP = 12, 16  # pixels inside and between cards
SMALL = 12  # pixels of small print
ROWS = 6  # lines of a text in the picture, at most
COLUMNS = 4
_STEP = 4  # pixels between the parts of a card
_PLAIN = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u00df": "ss"}
)

STYLE = """
body { max-width: 82rem; background: #f3f4f6; overflow-wrap: anywhere }
.sheet { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)) }
.sheet.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 34rem), 1fr)) }
.card { background: #fff; border: 1px solid #d8dbe0; border-radius: .5rem; padding: .75rem }
.card h2 { font-size: .75rem; font-weight: normal; color: #5a6067; margin: 0 0 .5rem }
.card figure { margin: 0 0 .5rem; padding: 0; border: 0 } .card img { display: block; width: 100% }
.card p { margin: .35rem 0; line-height: 1.35 } .card small { color: #5a6067; display: block; line-height: 1.35 }
.key { display: inline-block; margin: .25rem .6rem 0 0; font-size: .85rem }
.key i { display: inline-block; width: .7rem; height: .7rem; margin-right: .35rem }
.label { font-weight: 600 } .question::before { content: "Q "; color: #5a6067 } .answer { color: #2563eb }
.answer::before { content: "A "; color: #5a6067 }
.user, .assistant { width: fit-content; max-width: 85%; padding: .2rem .6rem; border-radius: .6rem }
.card .user { background: #e0eafc; margin-left: auto } .assistant { background: #eceef1 }
"""


def save(cards: Sequence[Card], title: str, lead: str, path: Path) -> None:
    """Write a page where the path ends in `.html`, else a picture.

    Args:
        cards: One an example.
        title: Of the sheet.
        lead: A line under the title.
        path: Where to.
    """
    if path.suffix.lower() == ".html":
        path.write_text(as_page(cards, title, lead), encoding="utf-8")
    else:
        as_picture(cards, title, lead).save(path)


def as_page(cards: Sequence[Card], title: str, lead: str) -> str:
    """The cards as HTML that needs no other file."""
    wide = " wide" if _is_wide(cards) else ""
    body = "".join(f"<div class=card>{_card_html(card)}</div>" for card in cards)
    head = f"<h1>{html.escape(title)}</h1><p class=talk>{html.escape(lead)}</p>"
    return document(title, f'{head}<div class="sheet{wide}">{body}</div>', STYLE)


def _card_html(card: Card) -> str:
    figures = "".join(_figure_html(figure, card.title) for figure in card.figures)
    lines = "".join(
        f"<small>{html.escape(text)}</small>" if role == "note" else f"<p class={role}>{html.escape(text)}</p>"
        for role, text in card.lines
    )
    return f"<h2>{html.escape(card.title)}</h2>{figures}{lines}"


def _figure_html(figure: Figure, title: str) -> str:
    keys = "".join(
        f'<span class=key><i style="background:rgb{color}"></i>{html.escape(name)}</span>'
        for color, name in figure.legend
    )
    note = f"<small>{html.escape(figure.note)}</small>" if figure.note else ""
    alt = html.escape(" ".join(filter(None, (title, figure.note))), quote=True)
    return f'<figure><img src="{data_url(figure.picture)}" alt="{alt}">{note}{keys}</figure>'


def _is_wide(cards: Sequence[Card]) -> bool:
    return any(figure.picture.width > SIDE for card in cards for figure in card.figures)


def as_picture(cards: Sequence[Card], title: str, lead: str) -> Image.Image:
    """The cards as one RGB picture, row by row.

    Letters lose their accents, and other scripts are boxes: Pillow's own font has no more. A page shows all.
    """
    inner, columns = (WIDE, COLUMNS // 2) if _is_wide(cards) else (SIDE, COLUMNS)
    columns = min(columns, len(cards))
    bodies = [_stack(list(_card_parts(card, inner)), inner) for card in cards]
    rows = [bodies[start : start + columns] for start in range(0, len(bodies), columns)]
    heights = [max(body.height for body in row) + 2 * PAD for row in rows]
    width = columns * (inner + 2 * PAD + GAP) + GAP
    head = _stack([_text(title, width - 2 * GAP, size=22, back=DESK), _text(lead, width - 2 * GAP, TALK, back=DESK)], 1)
    top = head.height + 2 * GAP
    sheet = Image.new("RGB", (width, top + sum(heights) + GAP * len(heights)), DESK)
    sheet.paste(head, (GAP, GAP))
    draw = ImageDraw.Draw(sheet)
    for row, height in zip(rows, heights, strict=True):
        for column, body in enumerate(row):
            left = GAP + column * (inner + 2 * PAD + GAP)
            right = left + inner + 2 * PAD - 1
            draw.rounded_rectangle((left, top, right, top + height - 1), 6, PAPER, EDGE)
            sheet.paste(body, (left + PAD, top + PAD))
        top += height + GAP
    return sheet


def _card_parts(card: Card, width: int) -> Iterator[Image.Image]:
    yield _text(card.title, width, TALK, SMALL)
    for figure in card.figures:
        yield _centered(figure.picture, width)
        if figure.note:
            yield _text(figure.note, width, TALK, SMALL)
        if figure.legend:
            yield _legend(figure.legend, width)
    for line in card.lines:
        yield _line(line, width)


def _line(line: Line, width: int) -> Image.Image:
    if line.role in ("user", "assistant"):
        return _turn(line, width)
    if line.role == "note":
        return _text(line.text, width, TALK, SMALL)
    if line.role in ("question", "answer"):
        mark = _text(line.role[0].upper(), 18, TALK)
        words = _text(line.text, width - 18, ACCENT if line.role == "answer" else INK)
        return _beside(mark, words, width)
    return _text(line.text, width, size=FONT_SIZE + 2 if line.role == "label" else FONT_SIZE)


def _turn(line: Line, width: int) -> Image.Image:
    """A question on the right, an answer on the left, each on a ground of its own."""
    back = ASKED if line.role == "user" else ANSWERED
    words = _text(line.text, round(0.85 * width) - 16, back=back)
    left, top = (width - words.width - 16, _STEP) if line.role == "user" else (0, 0)  # a pair stands together
    bubble = Image.new("RGB", (width, top + words.height + 6), PAPER)
    ImageDraw.Draw(bubble).rounded_rectangle((left, top, left + words.width + 15, bubble.height - 1), 8, back)
    bubble.paste(words, (left + 8, top + 3))
    return bubble


def _legend(legend: Sequence[tuple[Color, str]], width: int) -> Image.Image:
    """Colored squares with names, in as many rows as they need."""
    square, indent = Image.new("RGB", (10, 10)), 15
    keys = []
    for color, name in legend:
        words = _text(name, width - indent, size=SMALL)
        square.paste(color, (0, 0, *square.size))
        keys.append(_beside(square, words, indent + words.width, indent, drop=3))
    rows: list[list[Image.Image]] = []
    for key in keys:
        if rows and sum(other.width + PAD for other in rows[-1]) + key.width <= width:
            rows[-1].append(key)
        else:
            rows.append([key])
    return _stack([_row(row) for row in rows], width)


def _row(parts: Sequence[Image.Image]) -> Image.Image:
    row = Image.new("RGB", (sum(part.width + PAD for part in parts) - PAD, max(part.height for part in parts)), PAPER)
    left = 0
    for part in parts:
        row.paste(part, (left, 0))
        left += part.width + PAD
    return row


def _text(text: str, width: int, color: Color = INK, size: int = FONT_SIZE, back: Color = PAPER) -> Image.Image:
    """Words, broken into lines of at most `width` pixels and as narrow as they can be; ROWS of them at most."""
    lines = wrap(_drawable(text), width, size) or [""]
    if len(lines) > ROWS:
        lines = [*lines[: ROWS - 1], wrap(f"{lines[ROWS - 1]} ...", width, size)[0]]
    face, step = font(size), size + 4
    longest = max(int(face.getlength(line)) + 1 for line in lines)
    block = Image.new("RGB", (max(1, min(longest, width)), step * len(lines)), back)
    draw = ImageDraw.Draw(block)
    for number, line in enumerate(lines):
        draw.text((0, number * step), line, color, face)
    return block


def _drawable(text: str) -> str:
    """The text with letters that Pillow's font has, where there are such."""
    apart = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    return "".join(letter for letter in apart if letter.isprintable() and not unicodedata.combining(letter))


def _beside(first: Image.Image, second: Image.Image, width: int, indent: int = 18, drop: int = 0) -> Image.Image:
    """Two parts in a row, the second at `indent`; the first `drop` pixels lower."""
    both = Image.new("RGB", (width, max(first.height + drop, second.height)), PAPER)
    both.paste(first, (0, drop))
    both.paste(second, (indent, 0))
    return both


def _centered(picture: Image.Image, width: int) -> Image.Image:
    place = Image.new("RGB", (width, picture.height), PAPER)
    place.paste(picture, ((width - picture.width) // 2, 0))
    return place


def _stack(parts: Sequence[Image.Image], width: int) -> Image.Image:
    """Parts below each other."""
    width = max(width, *(part.width for part in parts))
    ground = parts[0].getpixel((parts[0].width - 1, parts[0].height - 1))
    tower = Image.new("RGB", (width, sum(part.height for part in parts) + _STEP * (len(parts) - 1)), ground)
    top = 0
    for part in parts:
        tower.paste(part, (0, top))
        top += part.height + _STEP
    return tower
