"""Autoencoder (Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 2006).

A net with a bottleneck in its middle gives back its input: what passes the bottleneck is a code of the picture. The
codes lie on a thin, curved part of their space, so a code at random is a code of nothing.

Axes: B batch, C channels, H height, W width, L latents, K classes.

| paper and deck | here |
|---|---|
| encoder z = f_e(x) | `AutoencoderModel.encode` |
| decoder x' = f_d(z), the encoder backwards | `AutoencoderModel.decode` |
| -sum p_i log p'_i + (1 - p_i) log (1 - p'_i), note 16 of the paper; squared error | `reconstruction_error` |
| the deck's seven bits, and the cross-entropy of the digits in place of the error | `draw_bits`, `classifier` |
| codes at random are not data (the deck) | `AutoencoderModel.generate_images` |

Departures: the paper pretrains each layer as a restricted Boltzmann machine; here all layers learn together from
Glorot's weights. Random codes have the mean and the deviation of the codes of the training pictures, value by value.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.utils import ModelOutput, can_return_tuple

from hfmm.nn.gaussians import standard_normal

from .configuration_autoencoder import AutoencoderConfig

FORGETTING = 0.01  # share of a batch in the moments of the codes


@dataclass
class AutoencoderOutput(ModelOutput):
    """What [`AutoencoderModel`] returns.

    Attributes:
        loss: (), nats a picture (or the squared error of one), summed over its pixels; with labels nats a label.
        logits: (B, K), of classes read from the reconstruction, where the model reads them.
        reconstruction: (B, C, H, W); in (0, 1) with cross-entropy, around it with squared error.
        latents: (B, L), the codes; 0 or 1 where they are binary.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    reconstruction: Tensor | None = None
    latents: Tensor | None = None


def draw_bits(logits: Tensor, draws: bool) -> Tensor:
    """Bits whose gradient is that of their probabilities ("straight through", Bengio et al., arXiv 1308.3432).

    Args:
        logits: (B, L).
        draws: Draw each bit with its probability; the likelier value otherwise.

    Returns:
        (B, L), 0 or 1.
    """
    chances = logits.sigmoid()
    bits = torch.bernoulli(chances) if draws else (chances > 0.5).to(chances)
    return bits.detach() + (chances - chances.detach())


class AutoencoderPreTrainedModel(PreTrainedModel):
    """Weights and loading of the autoencoder."""

    config_class = AutoencoderConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert module.bias is not None
            init.xavier_uniform_(module.weight)
            init.zeros_(module.bias)


class AutoencoderModel(AutoencoderPreTrainedModel):
    """Encoder, decoder, and a classifier that reads what comes out where it is asked for."""

    code_mean: Tensor
    code_variance: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__(config)
        pixels = config.num_channels * config.image_size**2
        if config.layer_type == "linear":
            widths = [pixels, *config.hidden_sizes, config.latent_size]
            self.encoder = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
            self.decoder = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths[::-1]))
            self.code_shape: tuple[int, ...] = (config.latent_size,)  # that of what the first decoder layer takes
        else:
            widths = [config.num_channels, *config.hidden_sizes]
            side = config.image_size >> len(config.hidden_sizes)
            self.encoder = nn.ModuleList(nn.Conv2d(*pair, 4, stride=2, padding=1) for pair in pairwise(widths))
            self.encoder.append(nn.Linear(widths[-1] * side**2, config.latent_size))
            self.decoder = nn.ModuleList([nn.Linear(config.latent_size, widths[-1] * side**2)])
            self.decoder.extend(nn.ConvTranspose2d(*pair, 4, stride=2, padding=1) for pair in pairwise(widths[::-1]))
            self.code_shape = (widths[-1], side, side)
        self.activation = ACT2FN[config.activation]
        self.classifier = nn.Linear(pixels, config.num_labels) if config.reads_classes else None  # type: ignore[arg-type]
        middle = 0.5 if config.latent_type == "binary" else 0.0
        self.register_buffer("code_mean", torch.full((config.latent_size,), middle))
        self.register_buffer("code_variance", torch.ones(config.latent_size))
        self.post_init()

    def encode(self, pixel_values: Tensor) -> Tensor:
        """Codes; of binary ones the likelier bits, drawn in training. (B, C, H, W) -> (B, L)."""
        *layers, last = self.encoder
        hidden = pixel_values.flatten(1) if self.config.layer_type == "linear" else pixel_values
        for layer in layers:
            hidden = self.activation(layer(hidden))
        code: Tensor = last(hidden.flatten(1))  # B L
        return draw_bits(code, self.training) if self.config.latent_type == "binary" else code

    def logits_of(self, latents: Tensor) -> Tensor:
        """What the decoder's last layer puts out. (B, L) -> (B, C, H, W)."""
        first, *layers = self.decoder
        hidden = first(latents)
        if self.config.layer_type == "convolution":
            hidden = hidden.unflatten(1, self.code_shape)  # B C' h w
        for layer in layers:
            hidden = layer(self.activation(hidden))
        side = self.config.image_size
        return hidden.reshape(len(latents), self.config.num_channels, side, side)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures of codes. (B, L) -> (B, C, H, W)."""
        return self.pixels_of(self.logits_of(latents))

    def pixels_of(self, logits: Tensor) -> Tensor:
        """The reconstruction from what the decoder's last layer puts out. (B, C, H, W) -> (B, C, H, W)."""
        return logits.sigmoid() if self.config.error == "cross_entropy" else logits

    def reconstruction_error(self, pixel_values: Tensor, logits: Tensor) -> Tensor:
        """Of each picture, summed over its pixels. Two of (B, C, H, W) -> (B,)."""
        if self.config.error == "cross_entropy":
            return binary_cross_entropy_with_logits(logits, pixel_values, reduction="none").sum((1, 2, 3))
        return (logits - pixel_values).square().sum((1, 2, 3))

    @can_return_tuple
    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs: Any) -> AutoencoderOutput:
        """Encode and decode.

        Args:
            pixel_values: (B, C, H, W), in [0, 1].
            labels: (B,), classes, of a model that reads them: the loss is then theirs alone.
            kwargs: Not read; what transformers passes to every model.

        Raises:
            ValueError: Labels for a model that reads no classes.
        """
        latents = self.encode(pixel_values)  # B L
        if self.training:
            self.remember(latents.detach())
        logits = self.logits_of(latents)
        reconstruction = self.pixels_of(logits)
        scores = None if self.classifier is None else self.classifier(reconstruction.flatten(1))  # B K
        if labels is None:
            loss = self.reconstruction_error(pixel_values, logits).mean()
        elif scores is None:
            raise ValueError("labels are given, but the model reads no classes: reads_classes is false")
        else:
            loss = cross_entropy(scores, labels)
        return AutoencoderOutput(loss, scores, reconstruction, latents)

    @torch.no_grad()
    def remember(self, latents: Tensor) -> None:
        """Let the moments of the codes follow those of a batch. (B, L)."""
        mean = latents.float().mean(0)
        self.code_variance.lerp_((latents.float() - self.code_mean).square().mean(0).to(self.code_variance), FORGETTING)
        self.code_mean.lerp_(mean.to(self.code_mean), FORGETTING)

    @torch.no_grad()
    def generate_images(self, num_images: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Decode codes at random, each value with the mean and the variance that it had in training.

        Args:
            num_images: B.
            generator: Of the codes.

        Returns:
            (B, C, H, W), in [0, 1]. They look like no data: the codes of pictures are not spread like that.
        """
        noise = standard_normal((num_images, self.config.latent_size), self.code_mean, generator)  # B L
        if self.config.latent_type == "binary":
            latents = (torch.special.ndtr(noise) < self.code_mean).to(noise)
        else:
            latents = self.code_mean + self.code_variance.sqrt() * noise
        return self.decode(latents).clamp(0, 1)
