"""Generative adversarial networks (Goodfellow et al., NIPS 2014, arXiv 1406.2661; DCGAN: Radford, Metz and Chintala,
ICLR 2016, arXiv 1511.06434).

A generator turns noise into pictures; a discriminator says how likely a picture is real. Each is trained against the
other: the discriminator to tell pictures from samples, the generator to make samples that it takes for pictures. No
pixel is compared with a pixel, so that nothing is averaged.

Axes: B batch, L latents, C channels, H height, W width, D units, P pieces.

| paper | here |
|---|---|
| G(z), z of a fixed noise | `GanGenerator` |
| D(x), the probability that x is real | the sigmoid of `GanDiscriminator` |
| V(D, G), Eq. 1 | `nn.adversarial.discriminator_loss`, its negative |
| max log D(G(z)) in place of min log(1 - D(G(z))), section 3 | `nn.adversarial.generator_loss` |
| algorithm 1: k steps of D, one of G | `hfmm.training.objectives.adversarial` |
| DCGAN, section 3 and figure 1: strides for pooling, batch normalization, ReLU and LeakyReLU, tanh | both players |
| maxout D with dropout, ReLU G (the 2014 authors' code) | `Maxout`, `layer_type="linear"` |

Departures: z of DCGAN is normal as in the authors' code (the paper: uniform). The 2014 net sees pixels in [-1, 1] and
not in [0, 1], so that its dropped pixels are gray and its last sigmoid is a tanh; its last biases start at zero, not
at the pixels' means.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import leaky_relu
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from hfmm.nn.adversarial import discriminator_loss, generator_loss
from hfmm.nn.gaussians import standard_normal

from .configuration_gan import GanConfig

SLOPE = 0.2  # of the leaky ReLUs
GENERATOR_RANGE, DISCRIMINATOR_RANGE = 0.05, 0.005  # of the uniform weights of linear layers, as in the 2014 code


@dataclass
class GanOutput(ModelOutput):
    """What [`GanModel`] returns.

    Attributes:
        loss: (), the sum of both players' losses; its gradient moves each player by its own loss alone.
        losses: These, each () in nats a picture: `discriminator` and `generator`.
        logits: (B,), of the pictures; their sigmoid is D(x).
        sample_logits: (B,), of the samples, D(G(z)).
        samples: (B, C, H, W), G(z), in [-1, 1].
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    logits: Tensor | None = None
    sample_logits: Tensor | None = None
    samples: Tensor | None = None


class Maxout(nn.Module):
    """The greatest of several linear maps, unit by unit."""

    def __init__(self, size: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, units * pieces)
        self.pieces = pieces

    def forward(self, values: Tensor) -> Tensor:
        """(B, D) -> (B, D')."""
        return self.linear(values).unflatten(1, (-1, self.pieces)).amax(2)  # B D'


class LeakyReLU(nn.Module):
    """A leaky ReLU of the slope that DCGAN takes."""

    def forward(self, values: Tensor) -> Tensor:
        """max(x, 0.2 x), of any shape."""
        return leaky_relu(values, SLOPE)


class GanGenerator(nn.Sequential):
    """Noise to pictures. (B, L) -> (B, C, H, W), in [-1, 1]."""

    def __init__(self, config: GanConfig) -> None:
        width, channels, side = config.generator_size, config.num_channels, config.image_size
        if config.layer_type == "linear":
            layers: list[nn.Module] = [nn.Linear(config.latent_size, width), nn.ReLU()]
            layers += [nn.Linear(width, width), nn.ReLU()]
            layers += [nn.Linear(width, channels * side**2), nn.Unflatten(1, (channels, side, side))]
        else:
            widths = [width << number for number in reversed(range(config.num_doublings))]
            first = nn.ConvTranspose2d(config.latent_size, widths[0], config.start_size, bias=False)
            layers = [nn.Unflatten(1, (config.latent_size, 1, 1)), first]
            for before, after in pairwise([*widths, channels]):
                layers += [nn.BatchNorm2d(before), nn.ReLU()]
                layers.append(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False))
        super().__init__(*layers, nn.Tanh())
        self.latent_size, self.is_uniform = config.latent_size, config.latent_distribution == "uniform"

    def draw_latents(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Noise of mean 0 and variance 1. (count, L)."""
        like = next(self.parameters())
        if self.is_uniform:
            device = generator.device if generator is not None else like.device
            shares = torch.rand(count, self.latent_size, generator=generator, device=device).to(like)  # B L
            return math.sqrt(3) * (2 * shares - 1)
        return standard_normal((count, self.latent_size), like, generator)


class GanDiscriminator(nn.Sequential):
    """Pictures to the logit of how likely each is real. (B, C, H, W) -> (B,)."""

    def __init__(self, config: GanConfig) -> None:
        width, channels = config.discriminator_size, config.num_channels
        if config.layer_type == "linear":
            pixels, pieces = channels * config.image_size**2, config.maxout_pieces
            layers: list[nn.Module] = [nn.Flatten(), nn.Dropout(config.input_dropout), Maxout(pixels, width, pieces)]
            layers += [nn.Dropout(config.hidden_dropout), Maxout(width, width, pieces)]
            layers += [nn.Dropout(config.hidden_dropout), nn.Linear(width, 1)]
        else:
            widths = [width << number for number in range(config.num_doublings)]
            layers = [nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False), LeakyReLU()]
            for before, after in pairwise(widths):
                layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False))
                layers += [nn.BatchNorm2d(after), LeakyReLU()]
            layers.append(nn.Conv2d(widths[-1], 1, config.start_size, bias=False))
        super().__init__(*layers, nn.Flatten(0))


class GanPreTrainedModel(PreTrainedModel):
    """Weights and loading of the GAN."""

    config_class = GanConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image"]


class GanModel(GanPreTrainedModel):
    """Both players. Trained in turns, see `hfmm.training.objectives.adversarial`."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__(config)
        self.generator = GanGenerator(config)
        self.discriminator = GanDiscriminator(config)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            judges = any(module is layer for layer in self.discriminator.modules())
            edge = DISCRIMINATOR_RANGE if judges else GENERATOR_RANGE
            init.uniform_(module.weight, -edge, edge)
            init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, nn.BatchNorm2d):
            super()._init_weights(module)
            init.normal_(module.weight, mean=1.0, std=self.config.initializer_range)

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        latents: Tensor | None = None,
        generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> GanOutput:
        """Draw as many samples as there are pictures, and judge both.

        Args:
            pixel_values: (B, C, H, W), in [-1, 1].
            latents: (B, L), z; drawn by default.
            generator: Of the draw.
            kwargs: Not read; what transformers passes to every model.
        """
        if latents is None:
            latents = self.generator.draw_latents(len(pixel_values), generator)
        samples = self.generator(latents)  # B C H W
        real, fake = self.discriminator(pixel_values), self.discriminator(samples.detach())  # B; batches of their own
        fixed = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        judged = functional_call(self.discriminator, fixed, (samples,))  # B; the gradient passes D and reaches G alone
        losses = {"discriminator": discriminator_loss(real, fake), "generator": generator_loss(judged)}
        return GanOutput(
            loss=losses["discriminator"] + losses["generator"],
            losses=losses,
            logits=real,
            sample_logits=fake,
            samples=samples,
        )

    def draw_latents(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """z, noise of mean 0 and variance 1. (count, L)."""
        return self.generator.draw_latents(count, generator)

    @torch.no_grad()
    def judge(self, pixel_values: Tensor) -> Tensor:
        """D(x), how likely pictures are real. (B, C, H, W) in [-1, 1] -> (B,)."""
        return self.discriminator(pixel_values).sigmoid()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """The pictures of latents. (B, L) -> (B, C, H, W), in [0, 1]."""
        return (self.generator(latents) + 1) / 2

    def generate_images(self, num_images: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents and the pictures of them.

        Args:
            num_images: B.
            generator: Of the latents.

        Returns:
            (B, C, H, W), in [0, 1].
        """
        return self.decode(self.draw_latents(num_images, generator))
