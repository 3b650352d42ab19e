"""What the tests of networks with batch normalization share."""

from typing import Any

from torch import nn


def with_statistics(model: Any) -> Any:
    """A model whose batch normalizations have running means and variances that are not 0 and 1, in evaluation mode."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            for value in (part.running_mean, part.bias.data):
                nn.init.normal_(value, std=0.3)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    return model.eval()
