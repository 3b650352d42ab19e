"""Shows what codes are: `python scripts/latent_codes.py AUTOENCODER VAE SEVEN_BITS FILE.png`, three runs on `digits`.

Test digits, the autoencoder's reconstructions, its pictures of codes at random, those of a variational autoencoder; and
of each digit the code of seven bits that most of its test pictures have, as the segments of a display.
"""

import sys
from collections import Counter
from typing import Any

import torch
from PIL import Image, ImageDraw

import hfmm
from hfmm.evaluation.generation import draw
from hfmm.explanation.drawing import INK, PAPER, below, panels, pictures_of
from hfmm.loading import load

SHOWN, SIDE = 10, 72  # pictures of a row, pixels of each
SEGMENTS = (  # of a display, in pixels: top, the upper ones left and right, middle, the lower ones, bottom
    (22, 8, 50, 8), (18, 12, 18, 32), (54, 12, 54, 32), (22, 36, 50, 36), (18, 40, 18, 60), (54, 40, 54, 60),
    (22, 64, 50, 64),
)  # fmt: skip
DARK = (232, 234, 237)


def display(bits: tuple[int, ...]) -> Image.Image:
    """Seven bits as the segments of a display; which bit is which segment is chance."""
    picture = Image.new("RGB", (SIDE, SIDE), PAPER)
    pen = ImageDraw.Draw(picture)
    for bit, ends in zip(bits, SEGMENTS, strict=True):
        pen.line(ends, INK if bit else DARK, width=6)
    return picture


def codes_of_digits(loaded: Any, examples: Any) -> list[tuple[tuple[int, ...], float]]:
    """Of each digit its commonest code, and the share of its pictures that have it."""
    inputs = loaded.processor([examples[row]["image"] for row in range(len(examples))], return_tensors="pt")
    with torch.inference_mode():
        codes = [tuple(code) for code in loaded.model(**inputs).latents.int().tolist()]
    labels = [examples.peek(row)["label"] for row in range(len(examples))]
    found = []
    for digit in range(10):
        ((code, count),) = Counter(c for c, label in zip(codes, labels, strict=True) if label == digit).most_common(1)
        found.append((code, count / labels.count(digit)))
    return found


def main(autoencoder: str, vae: str, seven_bits: str, path: str) -> None:
    """Draw five rows and tell the codes."""
    test = hfmm.load_data("digits", split="test")
    first: list[int] = []
    for digit in range(SHOWN):
        first.append(next(row for row in range(len(test)) if test.peek(row)["label"] == digit))
    pictures = [test[row]["image"] for row in first]
    plain, variational, bits = (load(run) for run in (autoencoder, vae, seven_bits))
    with torch.inference_mode():
        output = plain.model(**plain.processor(pictures, return_tensors="pt"))
    codes = codes_of_digits(bits, test)
    print("\n".join(f"{digit} {''.join(map(str, code))} {share:.2f}" for digit, (code, share) in enumerate(codes)))
    rows = {
        "test digits": pictures,
        "through the autoencoder": pictures_of(output.reconstruction),
        "its codes at random": draw(plain.model, SHOWN),
        "the variational autoencoder's": draw(variational.model, SHOWN),
        "seven bits that tell the digit": [display(code) for code, _ in codes],
    }
    sheets = []
    for title, row in rows.items():
        sheets.append(panels([picture.resize((SIDE, SIDE), 0) for picture in row], [""] * SHOWN, SHOWN, SIDE))
        ImageDraw.Draw(sheets[-1]).text((8, SIDE + 8), title, INK)
    below(sheets).save(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
