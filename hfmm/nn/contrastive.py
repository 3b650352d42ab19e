"""The loss of contrastive pairs (Radford et al. 2021, figure 3)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

TEMPERATURE = "logit_scale"  # as upstream names the parameter


def temperatures(model: nn.Module) -> list[nn.Parameter]:
    """Its learned temperatures, each the logarithm of what cosines are multiplied by."""
    return [weight for name, weight in model.named_parameters() if name.rpartition(".")[2] == TEMPERATURE]


def contrastive_loss(image_embeds: Tensor, text_embeds: Tensor, logit_scale: Tensor) -> Tensor:
    """Of each picture, which text is its own among all of the batch, and of each text, which picture.

    The figure's `loss_i` normalizes over axis 0 of the logits, so it is the loss of the texts, and `loss_t` that of the
    pictures; the sum is the same.

    Args:
        image_embeds: (B, D), unit length.
        text_embeds: (B, D), unit length; row i belongs to row i of the pictures.
        logit_scale: (), t, the logarithm of what cosines are multiplied by.

    Returns:
        (), mean over both directions and all pairs.
    """
    return matching_loss(image_embeds @ text_embeds.T * logit_scale.exp())


def matching_loss(logits: Tensor) -> Tensor:
    """Of each picture, which text is its own, and of each text, which picture.

    Args:
        logits: (B, B), pictures by texts, whose own are on the diagonal.

    Returns:
        (), mean over both directions and all pairs.
    """
    labels = torch.arange(len(logits), device=logits.device)  # B
    return (cross_entropy(logits.T, labels) + cross_entropy(logits, labels)) / 2
