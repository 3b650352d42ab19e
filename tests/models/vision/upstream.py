"""What the tests of upstream architectures share: the presets' sizes, which are all that is ours."""

import torch

from hfmm import catalogue, factory


def parameters(name: str) -> dict[str, int]:
    """Parameters of every preset of an architecture, of a pipeline those of all its parts; nothing is allocated."""
    row = catalogue.find(name)
    with torch.device("meta"):
        return {preset: factory.create_module(name, preset).num_parameters() for preset in row.presets}
