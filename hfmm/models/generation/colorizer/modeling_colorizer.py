"""Colorization (Zhang, Isola, Efros, "Colorful Image Colorization", ECCV 2016, arXiv 1603.08511).

From the lightness of a picture the net names a distribution over bins of colors in each place, for the color of a thing
is open: a mean of what it may be is gray. Rare, vivid colors weigh more, and the color that is painted lies between the
distribution's mean and its mode.

Axes: B batch, H and W of the picture, h and w of the colors (a quarter in the paper), N places, Q bins.

| paper | here |
|---|---|
| L2(Yhat, Y), Eq. 1, the regression baseline | `ColorizerForImageToImage.loss_of_mean` |
| Q bins in gamut, grid 10 | `color_colorizer.gamut_bins` |
| soft encoding Z = H_gt^-1(Y): 5 neighbors, Gaussian with sigma 5 | `soft_encoding` |
| L_cl, Eq. 2, with v(Z) = w of the nearest bin, Eq. 3 | `ColorizerForImageToImage.loss_of_bins` |
| w proportional to ((1 - lambda) ptilde + lambda / Q)^-1, E[w] = 1, Eq. 4 | `class_weights` |
| annealed mean H(Z) = E[f_T(Z)], f_T(z) = exp(log z / T) / sum, Eq. 5 | `annealed_mean` |

Departures: the loss is a mean over places and not their sum. The number of bins is computed: 261 points of the grid are
the nearest to some color of sRGB, where the paper keeps 313.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .color_colorizer import gamut_bins
from .configuration_colorizer import ColorizerConfig

REACH = 110  # units of a and b that labels and answers are in


@dataclass
class ColorizerOutput(ModelOutput):
    """What [`ColorizerForImageToImage`] returns.

    Attributes:
        loss: (), a mean over places.
        logits: (B, Q, h, w), of the bins; none of the regression baseline.
        reconstruction: (B, 2, H, W), a and b in units of 110.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    reconstruction: Tensor | None = None


def soft_encoding(colors: Tensor, bins: Tensor, num_neighbors: int, width: float) -> Tensor:
    """Share each color among its nearest bins by a Gaussian of the distances (section 2.1).

    Args:
        colors: (N, 2), a and b.
        bins: (Q, 2).
        num_neighbors: How many.
        width: Deviation of the Gaussian.

    Returns:
        (N, Q), distributions.
    """
    near = torch.cdist(colors, bins).topk(num_neighbors, largest=False)  # N 5
    shares = (-near.values.square() / (2 * width**2)).softmax(-1)  # N 5
    return torch.zeros(len(colors), len(bins)).to(colors).scatter(1, near.indices, shares)  # N Q


def smoothed(frequencies: Tensor, bins: Tensor, width: float) -> Tensor:
    """ptilde: frequencies of the bins under a Gaussian kernel, summing to 1. (Q,), (Q, 2) -> (Q,)."""
    kernel = (-torch.cdist(bins, bins).square() / (2 * width**2)).exp()  # Q Q
    spread = kernel @ frequencies
    return spread / spread.sum()


def class_weights(frequencies: Tensor, rebalancing: float) -> Tensor:
    """Eq. 4: weights of the bins, the larger the rarer, whose mean under the frequencies is 1. (Q,) -> (Q,)."""
    weights = 1 / ((1 - rebalancing) * frequencies + rebalancing / len(frequencies))
    return weights / (frequencies * weights).sum()


def annealed_mean(logits: Tensor, bins: Tensor, temperature: float) -> Tensor:
    """Eq. 5: the mean after the distribution's logarithm was divided by T. (B, Q, h, w), (Q, 2) -> (B, 2, h, w)."""
    annealed = (logits / temperature).softmax(1)
    return torch.einsum("bqhw,qc->bchw", annealed, bins)


class ColorizerPreTrainedModel(PreTrainedModel):
    """Weights and loading of the colorizer."""

    config_class = ColorizerConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            init.kaiming_normal_(module.weight, nonlinearity="relu")


class ColorizerBlock(nn.Module):
    """Convolutions with ReLU, the last one with a stride, then batch normalization. (B, C, H, W) -> (B, C', h, w)."""

    def __init__(self, in_channels: int, channels: int, num_layers: int, stride: int, dilation: int) -> None:
        super().__init__()
        widths = [in_channels, *[channels] * num_layers]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(*pair, 3, stride=stride if number == num_layers else 1, padding=dilation, dilation=dilation)
            for number, pair in enumerate(pairwise(widths), 1)
        )
        self.normalization = nn.BatchNorm2d(channels)

    def forward(self, feature_map: Tensor) -> Tensor:
        """Convolve and normalize."""
        for convolution in self.convolutions:
            feature_map = convolution(feature_map).relu()
        return self.normalization(feature_map)


class ColorizerForImageToImage(ColorizerPreTrainedModel):
    """From lightness to colors."""

    bins: Tensor
    frequencies: Tensor

    def __init__(self, config: ColorizerConfig) -> None:
        super().__init__(config)
        bins = gamut_bins(config.grid_size)
        widths = [1, *config.hidden_sizes]
        settings = zip(pairwise(widths), config.num_layers, config.strides, config.dilations, strict=True)
        self.blocks = nn.ModuleList(ColorizerBlock(*pair, *others) for pair, *others in settings)
        self.doubling = nn.ConvTranspose2d(widths[-1], config.decoder_size, 4, stride=2, padding=1)
        width = config.decoder_size
        self.refining = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.head = nn.Conv2d(width, len(bins) if config.target == "bins" else 2, 1)
        self.register_buffer("bins", torch.tensor(bins, dtype=torch.float))
        self.register_buffer("frequencies", torch.full((len(bins),), 1 / len(bins)))  # ptilde
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs: Any) -> ColorizerOutput:
        """Color pictures.

        Args:
            pixel_values: (B, 1, H, W), lightness from -1 to 1.
            labels: (B, 2, H, W), a and b in units of 110.
            kwargs: Not read; what transformers passes to every model.

        Raises:
            ValueError: Height or width is no multiple of all strides together.
        """
        sides, steps = pixel_values.shape[-2:], prod(self.config.strides)
        if any(side % steps for side in sides):
            raise ValueError(
                f"pictures are {sides[0]} x {sides[1]}, which must be multiples of {steps}, the strides' product"
            )
        feature_map = pixel_values
        for block in self.blocks:
            feature_map = block(feature_map)
        feature_map = self.doubling(feature_map).relu()  # B C 2H 2W
        for convolution in self.refining:
            feature_map = convolution(feature_map).relu()
        found = self.head(feature_map)  # B Q h w, or B 2 h w
        step = steps // 2
        truth = None if labels is None else labels[..., ::step, ::step]  # B 2 h w
        if self.config.target == "mean":
            loss = None if truth is None else self.loss_of_mean(found, truth)
            return ColorizerOutput(loss, reconstruction=upsampled(found, step))
        loss = None if truth is None else self.loss_of_bins(found, truth)
        colors = annealed_mean(found, self.bins.to(found), self.config.temperature) / REACH  # B 2 h w
        return ColorizerOutput(loss, found, upsampled(colors, step))

    def loss_of_mean(self, colors: Tensor, truth: Tensor) -> Tensor:
        """Eq. 1, a mean over places. Two of (B, 2, h, w) -> ()."""
        return 0.5 * (colors - truth).square().sum(1).mean()

    def loss_of_bins(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Eq. 2, a mean over places. (B, Q, h, w), (B, 2, h, w) -> ()."""
        config, bins = self.config, self.bins.float()
        colors = REACH * truth.permute(0, 2, 3, 1).reshape(-1, 2).float()  # N 2
        shares = soft_encoding(colors, bins, config.num_neighbors, config.neighbor_width)  # N Q
        weights = class_weights(self.frequencies.float(), config.rebalancing)[shares.argmax(1)]  # N, Eq. 3
        log_chances = logits.permute(0, 2, 3, 1).flatten(0, 2).float().log_softmax(-1)  # N Q
        return -(weights * (shares * log_chances).sum(1)).mean()

    @torch.no_grad()
    def counts_of(self, labels: Tensor) -> Tensor:
        """How many pixels are nearest to each bin. (B, 2, H, W) -> (Q,)."""
        colors = REACH * labels.permute(0, 2, 3, 1).reshape(-1, 2).to(self.bins)  # N 2
        return torch.cdist(colors, self.bins).argmin(1).bincount(minlength=len(self.bins))

    @torch.no_grad()
    def set_frequencies(self, counts: Tensor) -> None:
        """Take the frequencies of colors, which weights are made of, from counts of the bins. (Q,)."""
        shares = (counts / counts.sum()).to(self.frequencies)
        self.frequencies.copy_(smoothed(shares, self.bins, self.config.neighbor_width))

    def doubt(self, logits: Tensor) -> Tensor:
        """Entropy of the distribution in each place, in nats. (B, Q, h, w) -> (B, h, w)."""
        log_chances = logits.log_softmax(1)
        return -(log_chances.exp() * log_chances).sum(1)


def upsampled(colors: Tensor, step: int) -> Tensor:
    """Bilinear between pixels 0, s, 2s, ..., whose colors these are; then the last. (B, 2, h, w) -> (B, 2, H, W).

    Args:
        colors: Of every s-th pixel, as labels are taken.
        step: s, H / h.
    """
    height, width = (step * side for side in colors.shape[-2:])
    ends = pad(colors, (0, 1, 0, 1), mode="replicate")  # B 2 h+1 w+1
    return interpolate(ends, size=(height + 1, width + 1), mode="bilinear", align_corners=True)[..., :height, :width]
