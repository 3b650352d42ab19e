"""Draws what larger weights do to a recurrent net: `python scripts/rescaled_states.py FILE.png`.

The states of a net over the words of one sentence, as its weights grow by 1, 10, 100 and 1,000, with layer
normalization and without: section 5 of Ba et al. (arXiv 1607.06450). Blue is -1, white 0, red 1.
"""

import sys

import numpy as np
import torch
from PIL import Image
from torch.nn.utils.rnn import pack_sequence

from hfmm.explanation.drawing import below, panels
from hfmm.models.alignment.layer_norm_ranking.recurrence_layer_norm_ranking import LayerNormRNN

WORDS, UNITS, SIDE = 16, 16, 150
FACTORS = (1, 10, 100, 1000)


@torch.inference_mode()
def states(layer_norm: str, factor: float) -> np.ndarray:
    """States after each word, (UNITS, WORDS)."""
    torch.manual_seed(0)
    layer, words = LayerNormRNN(UNITS, UNITS, layer_norm), torch.randn(WORDS, UNITS)
    for weight in (layer.input_gates.weight, layer.recurrent_gates.weight):
        weight.mul_(factor)
    return torch.cat([layer(pack_sequence([words[: count + 1]])) for count in range(WORDS)]).numpy().T


def colored(values: np.ndarray) -> Image.Image:
    """Values in [-1, 1] as a picture."""
    red, blue = 1 + np.minimum(values, 0), 1 - np.maximum(values, 0)
    pixels = np.stack([red, np.minimum(red, blue), blue], axis=-1)  # height width 3
    picture = Image.fromarray((pixels * 255).round().astype(np.uint8))
    return picture.resize((SIDE, SIDE), Image.Resampling.NEAREST)


def main(path: str) -> None:
    """Draw a row of panels with the norm and one without."""
    rows = []
    for layer_norm, name in (("sum", "layer norm"), ("none", "no norm")):
        texts = [f"{name}, x {factor:,}" for factor in FACTORS]
        rows.append(panels([colored(states(layer_norm, factor)) for factor in FACTORS], texts, columns=4, side=SIDE))
    below(rows).save(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
