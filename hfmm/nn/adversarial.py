"""The losses of the adversarial game, on logits (Goodfellow et al. 2014, arXiv 1406.2661).

min_G max_D V(D, G) = E_x log D(x) + E_z log(1 - D(G(z))), Eq. 1, with D(x) = sigmoid(logit).

Axes: B pictures or samples.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, real_label: float = 1.0) -> Tensor:
    """-V(D, G), what the discriminator minimizes: -mean log D(x) - mean log(1 - D(G(z))).

    Args:
        real_logits: (B,), of pictures.
        fake_logits: (B,), of samples; their number may be another.
        real_label: Target of pictures; less than 1 smooths it, on this side alone (Salimans et al. 2016, section 3.4).

    Returns:
        (), 2 log 2 where D says 1/2 to all.
    """
    real = binary_cross_entropy_with_logits(real_logits, torch.full_like(real_logits, real_label))
    fake = binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    return real + fake


def gradient_penalty(real_logits: Tensor, pictures: Tensor) -> Tensor:
    """R1 of Mescheder, Geiger and Nowozin 2018 (arXiv 1801.04406), Eq. 9, without its weight of gamma / 2.

    A discriminator that is flat around pictures tells the generator which way leads to them, and not only that samples
    are none; with the penalty the two come to rest where samples are like pictures (section 4.1).

    Args:
        real_logits: (B,), of pictures, with a graph that leads to them.
        pictures: (B, ...), that require a gradient.

    Returns:
        (), the mean over pictures of the squared norm of the logit's gradient; it can be differentiated again.
    """
    (slopes,) = torch.autograd.grad(real_logits.sum(), pictures, create_graph=True)
    return slopes.float().flatten(1).square().sum(1).mean()


def generator_loss(fake_logits: Tensor, saturating: bool = False) -> Tensor:
    """What the generator minimizes: -mean log D(G(z)), or as in Eq. 1 mean log(1 - D(G(z))).

    The gradients by the logit have one sign: -(1 - D) and -D. The second dies where D is sure of the samples, as it is
    at the start, so that the first is used (section 3).

    Args:
        fake_logits: (B,), of samples.
        saturating: The loss of Eq. 1.

    Returns:
        ().
    """
    if saturating:
        return -binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    return binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))
