"""Variational autoencoder (Kingma and Welling, ICLR 2014, arXiv 1312.6114; Rezende et al. 2014, arXiv 1401.4082).

An encoder names a Gaussian over latents for each picture, a decoder a distribution of pixels for each latent; both
climb one lower bound of log p(x), through a sample of the latents that gradients pass through.

Axes: B batch, C channels, H height, W width, L latents, K samples.

| paper | here |
|---|---|
| q(z given x) = N(mu, sigma^2 I), Eq. 9 and appendix C.2 | `VaeModel.encode` |
| z = mu + sigma * epsilon, Eq. 10 | `nn.gaussians.sample_normal` |
| -KL(q to p(z)) = 1/2 sum (1 + log sigma^2 - mu^2 - sigma^2), appendix B | `nn.gaussians.kl_to_standard_normal` |
| log p(x given z), Bernoulli (appendix C.1) or Gaussian (C.2) | `VaeModel.log_likelihood_given` |
| the bound L(theta, phi; x), Eq. 10 with one sample | `VaeModel.bound`, `VaeOutput.loss` |
| marginal likelihood with K samples of q | `VaeModel.importance_bound` |
| z ~ N(0, I), x ~ p(x given z) | `VaeModel.generate_images` |
| the manifold of figure 4: latents by the inverse Gaussian CDF | `hfmm.explanation.generation.manifold` |

Departures: the marginal likelihood is estimated by importance sampling (Burda et al. 2016, arXiv 1509.00519, Eq. 8),
not by the Monte Carlo estimator of appendix D; N(0, 0.01) of section 5 is read with 0.01 as the standard deviation.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.utils import ModelOutput, can_return_tuple

from hfmm.nn.gaussians import kl_to_standard_normal, log_normal, sample_normal, standard_normal

from .configuration_vae import VaeConfig


@dataclass
class VaeOutput(ModelOutput):
    """What [`VaeModel`] returns.

    Attributes:
        loss: (), the negative bound in nats a picture.
        losses: Its parts, each () in nats a picture: `reconstruction` and `kl` (before its weight).
        logits: (B, C, H, W) of the decoder; with a Gaussian decoder (B, 2 C, H, W), logits of means and log-variances.
        reconstruction: (B, C, H, W), the decoder's mean, in (0, 1).
        mean: (B, L), of q(z given x).
        log_variance: (B, L), of q(z given x).
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    logits: Tensor | None = None
    reconstruction: Tensor | None = None
    mean: Tensor | None = None
    log_variance: Tensor | None = None


def linear_stack(sizes: list[int], activation: str) -> list[nn.Module]:
    """Linear layers of these widths, each with its activation."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), ACT2FN[activation]]
    return layers


class VaeEncoder(nn.Sequential):
    """Pictures to mean and log-variance of q. (B, C, H, W) -> (B, 2 L)."""

    def __init__(self, config: VaeConfig) -> None:
        sizes, side = list(config.hidden_sizes), config.image_size
        if config.layer_type == "linear":
            layers = [nn.Flatten(), *linear_stack([config.num_channels * side**2, *sizes], config.activation)]
            width = sizes[-1]
        else:
            layers = []
            for before, after in pairwise([config.num_channels, *sizes]):
                layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), ACT2FN[config.activation]]
            layers.append(nn.Flatten())
            width = sizes[-1] * (side >> len(sizes)) ** 2
        super().__init__(*layers, nn.Linear(width, 2 * config.latent_size))


class VaeDecoder(nn.Sequential):
    """Latents to what the distribution of each pixel needs. (B, L) -> (B, C or 2 C, H, W)."""

    def __init__(self, config: VaeConfig) -> None:
        sizes, side = list(reversed(config.hidden_sizes)), config.image_size
        channels = config.num_channels * (2 if config.likelihood == "gaussian" else 1)
        if config.layer_type == "linear":
            hidden = linear_stack([config.latent_size, *sizes], config.activation)
            last = [nn.Linear(sizes[-1], channels * side**2), nn.Unflatten(1, (channels, side, side))]
        else:
            start = side >> len(sizes)
            hidden = [*linear_stack([config.latent_size, sizes[0] * start**2], config.activation)]
            hidden.append(nn.Unflatten(1, (sizes[0], start, start)))
            for before, after in pairwise(sizes):
                hidden += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), ACT2FN[config.activation]]
            last = [nn.ConvTranspose2d(sizes[-1], channels, 4, stride=2, padding=1)]
        super().__init__(*hidden, *last)


class VaePreTrainedModel(PreTrainedModel):
    """Weights and loading of the variational autoencoder."""

    config_class = VaeConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert module.bias is not None
            if self.config.initializer_range is None:
                init.xavier_uniform_(module.weight)
                init.zeros_(module.bias)
            else:
                init.normal_(module.weight, std=self.config.initializer_range)
                init.normal_(module.bias, std=self.config.initializer_range)


class VaeModel(VaePreTrainedModel):
    """Encoder, decoder and their bound."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__(config)
        self.encoder = VaeEncoder(config)
        self.decoder = VaeDecoder(config)
        self.post_init()

    def encode(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z given x). (B, C, H, W) -> two of (B, L)."""
        mean, log_variance = self.encoder(pixel_values).chunk(2, dim=-1)
        return mean, log_variance

    def decode(self, latents: Tensor) -> Tensor:
        """The decoder's mean, a picture. (B, L) -> (B, C, H, W), in (0, 1)."""
        return self.mean_of(self.decoder(latents))

    def mean_of(self, logits: Tensor) -> Tensor:
        """The mean of p(x given z) from what the decoder puts out. (B, C or 2 C, H, W) -> (B, C, H, W)."""
        return logits[:, : self.config.num_channels].sigmoid()

    def log_likelihood_given(self, pixel_values: Tensor, logits: Tensor) -> Tensor:
        """The decoder's log p(x given z) in nats, summed over pixels (appendix C).

        Args:
            pixel_values: (B, C, H, W).
            logits: (B, C or 2 C, H, W).

        Returns:
            (B,).
        """
        if self.config.likelihood == "bernoulli":
            return -binary_cross_entropy_with_logits(logits, pixel_values, reduction="none").sum((1, 2, 3))
        log_variance = logits[:, self.config.num_channels :]
        return log_normal(pixel_values.flatten(1), self.mean_of(logits).flatten(1), log_variance.flatten(1))

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        sample_posterior: bool | None = None,
        generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> VaeOutput:
        """Encode, draw latents, decode, and measure the bound.

        Args:
            pixel_values: (B, C, H, W), in [0, 1].
            sample_posterior: Draw the latents of q, as the bound needs; its mean otherwise. True in training by
                default, False in evaluation.
            generator: Of the draw.
            kwargs: Not read; what transformers passes to every model.
        """
        mean, log_variance = self.encode(pixel_values)
        draws = self.training if sample_posterior is None else sample_posterior
        latents = sample_normal(mean, log_variance, generator) if draws else mean  # B L, Eq. 10
        logits = self.decoder(latents)  # B C H W
        reconstruction = -self.log_likelihood_given(pixel_values, logits).mean()
        kl = kl_to_standard_normal(mean, log_variance).mean()
        return VaeOutput(
            loss=reconstruction + self.config.kl_weight * kl,
            losses={"reconstruction": reconstruction, "kl": kl},
            logits=logits,
            reconstruction=self.mean_of(logits),
            mean=mean,
            log_variance=log_variance,
        )

    def bound(self, pixel_values: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A sample of the lower bound of log p(x), Eq. 10, in nats. (B, C, H, W) -> (B,)."""
        mean, log_variance = self.encode(pixel_values)
        logits = self.decoder(sample_normal(mean, log_variance, generator))
        return self.log_likelihood_given(pixel_values, logits) - kl_to_standard_normal(mean, log_variance)

    def log_likelihood(self, pixel_values: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What the `likelihood` metric scores: the bound, which log p(x) is not below. (B, C, H, W) -> (B,), nats."""
        return self.bound(pixel_values, generator)

    def importance_bound(
        self, pixel_values: Tensor, num_samples: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """The bound log 1/K sum_k p(x, z_k) / q(z_k given x) with K samples of q, which rises to log p(x) with K.

        Args:
            pixel_values: (B, C, H, W).
            num_samples: K.
            generator: Of the samples.

        Returns:
            (B,), nats.
        """
        mean, log_variance = self.encode(pixel_values)
        zero = torch.zeros_like(mean)
        weights = []
        for _ in range(num_samples):
            latents = sample_normal(mean, log_variance, generator)  # B L
            given = self.log_likelihood_given(pixel_values, self.decoder(latents))  # B
            weights.append(given + log_normal(latents, zero, zero) - log_normal(latents, mean, log_variance))
        return torch.stack(weights).logsumexp(0) - math.log(num_samples)

    @torch.no_grad()
    def generate_images(self, num_images: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents of the prior and decode their means.

        Args:
            num_images: B.
            generator: Of the latents.

        Returns:
            (B, C, H, W), in [0, 1].
        """
        like = next(self.parameters())
        return self.decode(standard_normal((num_images, self.config.latent_size), like, generator))
