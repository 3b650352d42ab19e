"""Weights in torchvision's layout to ours.

Its net has batch normalization and none across maps, 3 x 3 kernels where the paper has 5 x 5, and a narrower last
max-pool; the configuration says so. Its auxiliary heads, which only train, are left out: those of its released weights
were never trained, and they pool differently from the paper's.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from .configuration_googlenet import PAPER_INCEPTIONS, GooglenetConfig
from .modeling_googlenet import GooglenetForImageClassification

STEM = {"conv1": "convolution1", "conv2": "convolution2_reduce", "conv3": "convolution2"}
BRANCHES = {
    "branch1": "one",
    "branch2.0": "three_reduce",
    "branch2.1": "three",
    "branch3.0": "five_reduce",
    "branch3.1": "five",
    "branch4.1": "pool_projection",
}
SIZES = ("one", "three_reduce", "three", "five_reduce", "five", "pool_projection")  # order of a row of table 1


def layer_names() -> dict[str, str]:
    """Map torchvision's names of layers to ours."""
    blocks = {theirs: f"backbone.{ours}" for theirs, ours in STEM.items()}
    for name in PAPER_INCEPTIONS:
        blocks |= {f"inception{name}.{theirs}": f"backbone.inceptions.{name}.{BRANCHES[theirs]}" for theirs in BRANCHES}
    names = {f"{theirs}.conv": f"{ours}.convolution" for theirs, ours in blocks.items()}
    names |= {f"{theirs}.bn": f"{ours}.normalization" for theirs, ours in blocks.items()}
    return names | {"fc": "classifier"}


def convert_state_dict(weights: Mapping[str, Tensor]) -> GooglenetForImageClassification:
    """Build the model that torchvision-style weights belong to; widths are read from the weights.

    Its pictures have values from -1 to 1: what torchvision's `transform_input` makes of them.

    Args:
        weights: `conv1.conv.weight`, `inception3a.branch1.bn.running_mean`, `fc.weight` and so on.

    Raises:
        ValueError: The layout is not that of torchvision's googlenet.
    """
    names = layer_names()
    given = {key: value for key, value in weights.items() if not key.startswith(("aux1.", "aux2."))}
    unknown = sorted(key for key in given if key.rpartition(".")[0] not in names)
    if unknown or {key.rpartition(".")[0] for key in given} != names.keys():
        raise ValueError(
            "these are not the weights of torchvision's googlenet: first keys "
            + ", ".join((unknown or sorted(weights))[:3])
        )
    ours = {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value for key, value in given.items()}
    width = {key: len(value) for key, value in ours.items() if key.endswith("convolution.weight")}
    config = GooglenetConfig(
        num_channels=ours["backbone.convolution1.convolution.weight"].shape[1],
        stem_sizes=[width[f"backbone.{block}.convolution.weight"] for block in STEM.values()],
        inceptions={
            name: [width[f"backbone.inceptions.{name}.{part}.convolution.weight"] for part in SIZES]
            for name in PAPER_INCEPTIONS
        },
        normalization="batch",
        wide_kernel_size=ours["backbone.inceptions.3a.five.convolution.weight"].shape[-1],
        last_pool_size=2,
        dropout=0.2,
        auxiliary_heads=False,
        id2label={index: f"LABEL_{index}" for index in range(len(ours["classifier.weight"]))},
    )
    model = GooglenetForImageClassification(config)
    model.load_state_dict(ours)
    return model.eval()


def convert_torchvision(path: Path) -> GooglenetForImageClassification:
    """Read a `.safetensors` or `.pth` file of torchvision-style weights; no code in the file is run."""
    if path.suffix == ".safetensors":
        return convert_state_dict(load_file(path))
    return convert_state_dict(torch.load(path, map_location="cpu", weights_only=True))


FORMATS = {"torchvision": convert_torchvision}
