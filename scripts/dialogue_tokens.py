"""Draws a dialogue as a model reads it: `python scripts/dialogue_tokens.py NAME FILE.png`.

The patches of a built-in picture take the places of tokens before, or after, the first question; what is learned of the
rest, answers and what ends them, stands in color.
"""

import sys

from PIL import Image, ImageDraw

import hfmm
from hfmm.data.dialogues import IGNORED, encode
from hfmm.explanation.drawing import FONT_SIZE, INK, MARGIN, PAPER, beside, font

SIDE, WIDTH = 320, 680  # pixels of the picture and of the words
ROW = 74  # of the built-in test dialogues: four turns
LEARNED, GIVEN = (214, 236, 217), (238, 240, 243)
LINE = FONT_SIZE + 14


def patched(picture: Image.Image, cells: int) -> Image.Image:
    """A picture cut into the patches that become tokens."""
    sheet = picture.resize((SIDE, SIDE), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(sheet)
    for place in range(1, cells):
        edge = place * SIDE // cells
        draw.line((edge, 0, edge, SIDE), fill=PAPER)
        draw.line((0, edge, SIDE, edge), fill=PAPER)
    return sheet


def written(pieces: list[tuple[str, bool]]) -> Image.Image:
    """Tokens in boxes, line by line, those that are learned in color."""
    sheet = Image.new("RGB", (WIDTH, SIDE), PAPER)
    draw = ImageDraw.Draw(sheet)
    left = top = MARGIN
    for text, learned in pieces:
        width = int(font().getlength(text)) + 2 * MARGIN
        if left + width > WIDTH:
            left, top = MARGIN, top + LINE
        draw.rounded_rectangle((left, top, left + width, top + LINE - 6), 4, fill=LEARNED if learned else GIVEN)
        draw.text((left + MARGIN, top + 2), text, INK, font())
        left += width + 4
        if text == "###" or text.startswith("</"):
            left, top = (MARGIN, top + LINE) if learned else (left, top)
    return sheet


def main(name: str, path: str) -> None:
    """Draw the picture and the tokens beside each other."""
    processor = hfmm.create_processor(name, captions=_words())
    example = hfmm.load_data("scenes:dialogue", split="test")[ROW]
    made = encode(processor, example["messages"], [example["image"]], "one")
    ids, labels = made["input_ids"], made["labels"]
    patches = ids.count(processor.image_token_id)
    pieces: list[tuple[str, bool]] = []
    for token, label in zip(ids, labels, strict=True):
        shown = token == processor.image_token_id
        text = f"{patches} patches" if shown else processor.tokenizer.decode([token]).strip()
        if text and not (shown and pieces and pieces[-1][0] == text):
            pieces.append((text, label != IGNORED))
    beside([patched(example["image"], round(patches**0.5)), written(pieces)]).save(path)


def _words() -> list[str]:
    talks = hfmm.load_data("scenes:dialogue", size=400)
    return [part["text"] for talk in talks for said in talk["messages"] for part in said["content"] if "text" in part]


if __name__ == "__main__":
    main(*sys.argv[1:])
