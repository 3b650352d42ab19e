"""Weights in torchvision's layout (`features.N`, `classifier.N`) to ours."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from .configuration_vgg import STAGE_DEPTHS, VggConfig
from .modeling_vgg import VggBackbone, VggForImageClassification

CLASSIFIER = {"classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8"}  # between them: ReLU and dropout


def layer_names(num_layers: int) -> dict[str, str]:
    """Map torchvision's layer names to ours; its numbers count ReLUs and max-pools, too."""
    names = dict(CLASSIFIER)
    index = 0
    for stage, depth in enumerate(STAGE_DEPTHS[num_layers]):
        for convolution in range(depth):
            names[f"features.{index}"] = f"backbone.stages.{stage}.convolutions.{convolution}"
            index += 2
        index += 1
    return names


def convert_state_dict(weights: Mapping[str, Tensor]) -> VggForImageClassification | VggBackbone:
    """Build the model that torchvision-style weights belong to; sizes are read from the weights.

    Args:
        weights: `features.N.weight` (C_out, C_in, 3, 3), `classifier.N.weight` and their biases; without `classifier`
            they make a backbone.

    Raises:
        ValueError: The layout is not that of a VGG with 11, 13, 16 or 19 layers without batch normalization.
    """
    has_classifier = any(key.startswith("classifier.") for key in weights)
    by_keys = {}
    for count in STAGE_DEPTHS:
        names = {name: ours for name, ours in layer_names(count).items() if has_classifier or name not in CLASSIFIER}
        by_keys[frozenset(f"{name}.{kind}" for name in names for kind in ("weight", "bias"))] = (count, names)
    if frozenset(weights) not in by_keys:
        raise ValueError(
            "these are not the weights of torchvision's vgg11, vgg13, vgg16 or vgg19 (nor are its batch-normalized "
            f"variants VGG as published): first keys {sorted(weights)[:3]}"
        )
    num_layers, names = by_keys[frozenset(weights)]
    ours = {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value for key, value in weights.items()}
    stages = [ours[f"backbone.stages.{stage}.convolutions.0.weight"] for stage in range(5)]
    config = VggConfig(
        num_layers=num_layers, num_channels=stages[0].shape[1], hidden_sizes=[len(weight) for weight in stages]
    )
    if not has_classifier:
        backbone = VggBackbone(config)
        backbone.load_state_dict({name.removeprefix("backbone."): value for name, value in ours.items()})
        return backbone.eval()
    config.image_size = 32 * round((ours["fc6.weight"].shape[1] / len(stages[-1])) ** 0.5)
    config.classifier_hidden_size = len(ours["fc6.weight"])
    config.id2label = {index: f"LABEL_{index}" for index in range(len(ours["fc8.weight"]))}
    model = VggForImageClassification(config)
    model.load_state_dict(ours)
    return model.eval()


def convert_torchvision(path: Path) -> VggForImageClassification | VggBackbone:
    """Read a `.safetensors` or `.pth` file of torchvision-style weights; no code in the file is run."""
    if path.suffix == ".safetensors":
        return convert_state_dict(load_file(path))
    return convert_state_dict(torch.load(path, map_location="cpu", weights_only=True))


FORMATS = {"torchvision": convert_torchvision}
