"""Draws the transform gates of a highway network: `python scripts/transform_gates.py RUN FILE.png [DATA]`.

Rows are layers, columns are units: the mean over test pictures, then one picture alone, as in figure 2 of Srivastava
et al. (arXiv 1505.00387). Dark is carried, bright is transformed.
"""

import sys

import numpy as np
import torch
from PIL import Image

import hfmm
from hfmm.explanation.drawing import panels
from hfmm.loading import load

EXAMPLES = 256
SIDE = 300  # pixels of a panel


@torch.inference_mode()
def gates(run: str, data: str) -> tuple[np.ndarray, np.ndarray]:
    """The mean over examples and the first example's gates, each (layers, units), of a run with dense layers."""
    loaded = load(run)
    examples = hfmm.load_data(data, split="test")
    pictures = [examples[index]["image"] for index in range(min(EXAMPLES, len(examples)))]
    pixels = loaded.processor(pictures, return_tensors="pt")["pixel_values"]
    opening = torch.stack(loaded.model(pixels, output_gates=True).transform_gates, 1).numpy()  # B layers units
    return opening.mean(0), opening[0]


def main(run: str, path: str, data: str = "digits") -> None:
    """Draw two panels."""
    maps = [Image.fromarray((opening * 255).round().astype(np.uint8)) for opening in gates(run, data)]
    shown = [picture.resize((SIDE, SIDE), Image.Resampling.NEAREST) for picture in maps]
    layers, units = maps[0].height, maps[0].width
    texts = [f"mean gates of {layers} layers (rows) of {units} units", "gates of one digit"]
    panels(shown, texts, columns=2, side=SIDE).save(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
