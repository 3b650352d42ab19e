"""Diagonal Gaussians: how far a posterior is from the prior, samples that gradients pass through, and densities.

Kingma and Welling, arXiv 1312.6114, sections 2.4 and 3, appendices B and C.
"""

import math

import torch
from torch import Tensor


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """From N(m, diag(s^2)) to N(0, I), in nats: -1/2 sum_j (1 + log s_j^2 - m_j^2 - s_j^2), appendix B.

    Args:
        mean: (..., L).
        log_variance: (..., L), log s^2.

    Returns:
        (...).
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(-1)


def sample_normal(mean: Tensor, log_variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw m + s * e with e ~ N(0, I), so that gradients reach m and s (the reparameterization of section 2.4).

    Args:
        mean: Any shape.
        log_variance: The same shape.
        generator: Of the noise, on any device; torch's own by default.
    """
    return mean + (0.5 * log_variance).exp() * standard_normal(mean.shape, mean, generator)


def standard_normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Noise of N(0, I) in the type and on the device of `like`; a generator on the CPU gives the same on every device.

    Args:
        shape: Of the noise.
        like: Whose type and device to take.
        generator: torch's own by default.
    """
    device = generator.device if generator is not None else like.device
    return torch.randn(shape, generator=generator, device=device).to(like)


def log_normal(value: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """The density log N(value; mean, diag(variance)), summed over the last axis (appendix C.2). (..., L) -> (...)."""
    squared = (value - mean).square() * (-log_variance).exp()
    return -0.5 * (math.log(2 * math.pi) + log_variance + squared).sum(-1)
