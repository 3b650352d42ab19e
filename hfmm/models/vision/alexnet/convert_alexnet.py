"""Weights in torchvision's layout (`features.N`, `classifier.N`) to ours."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from .configuration_alexnet import AlexnetConfig
from .modeling_alexnet import AlexnetForImageClassification

LAYERS = {
    **{f"features.{index}": f"model.convolution{number}" for number, index in enumerate((0, 3, 6, 8, 10), 1)},
    "classifier.1": "model.fc6",
    "classifier.4": "model.fc7",
    "classifier.6": "fc8",
}  # between them: ReLU, max-pools and dropout
IMAGE_SIZE = 224  # the side at which the average pool before the classifier, over 6 x 6 maps, changes nothing


def convert_state_dict(weights: Mapping[str, Tensor]) -> AlexnetForImageClassification:
    """Build the model that torchvision-style weights belong to, which has no normalization; widths are read from them.

    Args:
        weights: `features.N.weight` (C_out, C_in, side, side), `classifier.N.weight` and their biases.

    Raises:
        ValueError: The layout is not that of torchvision's alexnet.
    """
    ours = {
        f"{LAYERS[name]}.{kind}": weights[f"{name}.{kind}"]
        for name in LAYERS
        for kind in ("weight", "bias")
        if f"{name}.{kind}" in weights
    }
    if len(ours) != 2 * len(LAYERS) or len(weights) != len(ours):
        raise ValueError(f"these are not the weights of torchvision's alexnet: first keys {sorted(weights)[:3]}")
    convolutions = [ours[f"model.convolution{number}.weight"] for number in range(1, 6)]
    config = AlexnetConfig(
        num_channels=convolutions[0].shape[1],
        image_size=IMAGE_SIZE,
        stem_padding=2,
        hidden_sizes=[len(weight) for weight in convolutions],
        num_groups=len(convolutions[0]) // convolutions[1].shape[1],
        local_response_normalization=False,
        classifier_hidden_size=len(ours["model.fc6.weight"]),
        id2label={index: f"LABEL_{index}" for index in range(len(ours["fc8.weight"]))},
    )
    model = AlexnetForImageClassification(config)
    model.load_state_dict(ours)
    return model.eval()


def convert_torchvision(path: Path) -> AlexnetForImageClassification:
    """Read a `.safetensors` or `.pth` file of torchvision-style weights; no code in the file is run."""
    if path.suffix == ".safetensors":
        return convert_state_dict(load_file(path))
    return convert_state_dict(torch.load(path, map_location="cpu", weights_only=True))


FORMATS = {"torchvision": convert_torchvision}
