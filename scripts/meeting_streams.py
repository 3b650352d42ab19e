"""Draws where words and pictures meet in a model: `python scripts/meeting_streams.py {vilbert,vilt} FILE.png`.

Of two streams the layers in the order in which they run, seen by hooks; of one stream the sequence that it reads.
"""

import sys
from collections.abc import Iterator

import torch
from PIL import Image, ImageDraw
from torch import nn

import hfmm
from hfmm.explanation.drawing import INK, MARGIN, PAPER, font
from hfmm.explanation.media import enlarged

TEXT, VISUAL, JOINT = (99, 134, 206), (104, 178, 104), (233, 163, 68)
STEP, HEIGHT, TILE = 44, 30, 40  # pixels


def trace() -> Iterator[str]:
    """The layers of the published model, T0 and so on, in the order in which they run; nothing is allocated."""
    with torch.device("meta"):
        trunk: nn.Module = hfmm.create_model("vilbert", "paper").base_model
        seen: list[str] = []
        parts = (("T", "text_layers"), ("V", "visual_layers"), ("C", "connections"))
        for letter, name in parts:
            for number, layer in enumerate(trunk.get_submodule(f"encoder.{name}").children()):
                layer.register_forward_hook(lambda *_, told=f"{letter}{number}": seen.append(told))
        ids = torch.ones(1, 8, dtype=torch.long)
        trunk(input_ids=ids, visual_embeds=torch.empty(1, 36, 2048), visual_locations=torch.empty(1, 36, 5))
    return iter(seen)


def two_streams() -> Image.Image:
    """Text layers above, visual layers below, co-attention across both."""
    order = list(trace())
    columns = sum(name[0] != "V" for name in order)  # a visual layer stands below the text layer of its turn
    sheet = Image.new("RGB", (2 * MARGIN + 90 + columns * STEP, 3 * HEIGHT + 3 * MARGIN + HEIGHT // 2), PAPER)
    draw = ImageDraw.Draw(sheet)
    upper, lower = MARGIN + HEIGHT // 2, MARGIN + 2 * HEIGHT + HEIGHT // 2
    for middle, said in ((upper + HEIGHT // 2, "words"), (lower + HEIGHT // 2, "regions")):
        draw.line((MARGIN + 80, middle, sheet.width - MARGIN, middle), INK)
        draw.text((MARGIN, middle), said, INK, font(), anchor="lm")
    place = 0
    for name in order:
        left = MARGIN + 90 + place * STEP
        top = {"T": upper, "V": lower, "C": upper}[name[0]]
        bottom = lower + HEIGHT if name[0] == "C" else top + HEIGHT
        color = {"T": TEXT, "V": VISUAL, "C": JOINT}[name[0]]
        draw.rounded_rectangle((left, top, left + STEP - MARGIN, bottom), 4, color)
        center = (left + (STEP - MARGIN) // 2, (top + bottom) // 2)
        draw.text(center, name, PAPER, font(), anchor="mm")
        place += name[0] != "V"
    return sheet


def one_stream() -> Image.Image:
    """Words and patches in the one sequence that the small model reads."""
    example = hfmm.load_data("scenes", split="test")[6]
    processor = hfmm.create_processor("vilt")
    ids = processor(text=example["captions"][0])["input_ids"]
    words = processor.tokenizer.convert_ids_to_tokens(ids)
    patch = hfmm.create_model("vilt").config.patch_size
    picture = example["image"]
    cells = [
        picture.crop((left, top, left + patch, top + patch))
        for top in range(0, picture.height, patch)
        for left in range(0, picture.width, patch)
    ]
    wide, columns = 2 * TILE, 16
    rows = -(-len(words) // (columns // 2)) + -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * TILE + 2 * MARGIN, rows * TILE + 3 * MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, word in enumerate(words):
        row, column = divmod(number, columns // 2)
        left, top = MARGIN + column * wide, MARGIN + row * TILE
        draw.rounded_rectangle((left, top, left + wide - 3, top + TILE - 3), 4, TEXT)
        draw.text((left + wide // 2, top + TILE // 2), word, PAPER, font(12), anchor="mm")
    first = 2 * MARGIN + TILE * -(-len(words) // (columns // 2))
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        sheet.paste(enlarged(cell, TILE - 3, TILE - 3), (MARGIN + column * TILE, first + row * TILE))
    return sheet


def main(name: str, path: str) -> None:
    """Draw one of the two."""
    {"vilbert": two_streams, "vilt": one_stream}[name]().save(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
