"""Draws what one cell of each stage of a backbone sees: `python scripts/receptive_fields.py NAME FILE.png`.

The gradient of a stage's center cell with respect to the pixels, with random weights, its root taken over channels:
Luo et al., "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks" (arXiv 1701.04128).
"""

import sys

import torch
from torch import Tensor

import hfmm
from hfmm.explanation.drawing import panels
from hfmm.explanation.overlay import SIDE, overlay

PICTURE_SIZE = 128  # pixels
DRAWS = 8  # random weights and pictures that a panel is the mean of


def fields(name: str) -> dict[str, Tensor]:
    """Of each stage by name, what its center cell sees: (PICTURE_SIZE, PICTURE_SIZE), at least 0."""
    seen: dict[str, Tensor] = {}
    for seed in range(DRAWS):
        torch.manual_seed(seed)
        backbone = hfmm.create_model(name, auto="AutoBackbone").eval()
        pixels = torch.randn(1, 3, PICTURE_SIZE, PICTURE_SIZE, requires_grad=True)
        maps = backbone(pixels, output_hidden_states=True).hidden_states
        for stage, feature_map in zip(backbone.stage_names, maps[-len(backbone.stage_names) :], strict=True):
            middle = feature_map.shape[-1] // 2
            (gradient,) = torch.autograd.grad(feature_map[0, :, middle, middle].sum(), pixels, retain_graph=True)
            seen[stage] = seen.get(stage, torch.zeros(PICTURE_SIZE, PICTURE_SIZE)) + gradient[0].square().sum(0)
    return {stage: power.sqrt() for stage, power in seen.items()}


def main(name: str, path: str) -> None:
    """Draw one panel a stage over a built-in picture."""
    picture = hfmm.load_data("scenes", split="test", picture_size=PICTURE_SIZE)[6]["image"].resize((SIDE, SIDE))
    found = fields(name)
    lit = [overlay(picture, field.numpy()) for field in found.values()]
    panels([picture, *lit], ["a picture", *(f"{stage}: one cell" for stage in found)], columns=6).save(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
