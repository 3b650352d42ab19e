"""Glow (Kingma and Dhariwal, NeurIPS 2018, arXiv 1807.03039); constants as in the released code, openai/glow.

Every layer can be undone and says how much it stretches space, so the likelihood of a picture is that of the noise it
maps to, times the stretch; noise sent backwards is a new picture.

Axes: B batch, C channels (of the activations), H height, W width; a code is a list of a level's (B, C, H, W) each.

| paper | here |
|---|---|
| log p(x) = log p(z) + sum log abs det dh_i/dh_i-1, Eq. 6 | `GlowModel.density` |
| bits per dimension of discrete data, Eq. 2 | `GlowModel.log_likelihood`, `to_values` |
| actnorm, section 3.1, and its data-dependent start | `ActNorm`, `GlowModel.start` |
| invertible 1x1 convolution, section 3.2, Eqs. 9 and 10 | `InvertibleConv1x1` |
| its LU form, Eqs. 11 and 12 | `InvertibleConv1x1Lu` |
| affine and additive coupling, section 3.3 | `Coupling` |
| squeeze and split, figure 2b | `squeeze`, `Split` |
| temperature, section 6 | `GlowModel.generate_images` |
| z + alpha (z_pos - z_neg), section 6 | `GlowModel.direction`, `GlowModel.manipulate` |

Departures, all of the released code: actnorm adds, then multiplies by exp(3 l); couplings add, then multiply, and keep
the first half; the convolutions of their nets have an actnorm in place of a bias. The last level's learned prior
is what is left of the released convolution of zeros, a bias and a scale. Codes are standardized by their priors, so
that all of a code is normal noise.
"""

from dataclasses import dataclass
from math import log
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy, logsigmoid, one_hot, pad
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from hfmm.nn.gaussians import log_normal, standard_normal
from hfmm.nn.processes import summed

from .configuration_glow import GlowConfig

RATE = 3.0  # what logarithms of scales are learned a multiple of, released code: logscale_factor


@dataclass
class GlowOutput(ModelOutput):
    """What [`GlowModel`] returns.

    Attributes:
        loss: (), the negative log-likelihood in nats a picture, and that of the class where it is predicted.
        losses: `bits_per_dim`, (), the likelihood in bits a value; `classifier`, (), where there is one.
        log_likelihood: (B,), log p(x) in nats.
        latents: The code, a list of (B, C, H, W), one of each level.
        logits: (B, labels), of the class, where there is a condition.
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    log_likelihood: Tensor | None = None
    latents: list[Tensor] | None = None
    logits: Tensor | None = None


def squeeze(values: Tensor) -> Tensor:
    """Blocks of 2 x 2 pixels to channels, a channel's four side by side. (B, C, H, W) -> (B, 4 C, H/2, W/2)."""
    return nn.functional.pixel_unshuffle(values, 2)


def unsqueeze(values: Tensor) -> Tensor:
    """The way back. (B, 4 C, H, W) -> (B, C, 2 H, 2 W)."""
    return nn.functional.pixel_shuffle(values, 2)


def log_scale_of(parameter: Tensor) -> Tensor:
    """Logarithm of a scale from what is learned of it. (C,) -> (C, 1, 1)."""
    return RATE * parameter[:, None, None]


class ActNorm(nn.Module):
    """Shift and scale each channel; the first batch decides, training goes on from there."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.empty(channels))
        self.log_scale = nn.Parameter(torch.empty(channels))
        self.measures = False  # set while the first batch is sent through

    @torch.no_grad()
    def measure(self, values: Tensor) -> None:
        """Let these values (B, C, H, W), of all processes together, come out with mean 0 and variance 1."""
        count, first, second = values[:, 0].numel(), values.sum((0, 2, 3)), values.square().sum((0, 2, 3))
        sums = summed(torch.cat([first, second, first.new_tensor([count])]))
        mean, square = (sums[:-1] / sums[-1]).chunk(2)
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        self.shift.copy_(-mean)
        self.log_scale.copy_(-(deviation + 1e-6).log() / RATE)

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> the same, and log abs det, ()."""
        if self.measures:
            self.measure(values)
        scale = log_scale_of(self.log_scale)
        return (values + self.shift[:, None, None]) * scale.exp(), scale.sum() * values[0, 0].numel()

    def inverse(self, values: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return values * (-log_scale_of(self.log_scale)).exp() - self.shift[:, None, None]


def mix(values: Tensor, matrix: Tensor) -> Tensor:
    """A 1x1 convolution. (B, C, H, W), (C, C) -> (B, C, H, W)."""
    return conv2d(values, matrix[:, :, None, None].to(values.dtype))


def wide(matrix: Tensor) -> Tensor:
    """A matrix in a type that linear algebra takes: at least single precision."""
    return matrix.to(torch.promote_types(matrix.dtype, torch.float32))


def rotation(channels: int) -> Tensor:
    """A random rotation or reflection. (C, C)."""
    return nn.init.orthogonal_(torch.empty(channels, channels, device="cpu", dtype=torch.float32))


class InvertibleConv1x1(nn.Module):
    """y = W x at every pixel, Eq. 9; W starts as a rotation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels))

    def initial(self) -> dict[str, Tensor]:
        """What it starts as, by name."""
        return {"weight": rotation(len(self.weight))}

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> the same, and log abs det, ()."""
        return mix(values, self.weight), torch.linalg.slogdet(wide(self.weight))[1] * values[0, 0].numel()

    def inverse(self, values: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return mix(values, torch.linalg.inv(wide(self.weight)))


class InvertibleConv1x1Lu(nn.Module):
    """The same with W = P L (U + diag(s)), Eq. 11: P and the signs of s stay, so that log abs det is a sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lower, self.upper = (nn.Parameter(torch.empty(channels, channels)) for _ in range(2))
        self.log_diagonal = nn.Parameter(torch.empty(channels))
        self.register_buffer("order", torch.empty(channels, channels))
        self.register_buffer("signs", torch.empty(channels))
        self.order: Tensor
        self.signs: Tensor

    def initial(self) -> dict[str, Tensor]:
        """The factors of a rotation, by name."""
        order, lower, upper = torch.linalg.lu(rotation(len(self.signs)))
        diagonal = upper.diagonal()
        found = {"order": order, "lower": lower.tril(-1), "upper": upper.triu(1)}
        return found | {"signs": diagonal.sign(), "log_diagonal": diagonal.abs().log()}

    def factors(self) -> tuple[Tensor, Tensor]:
        """L, with ones on its diagonal, and U + diag(s). Two of (C, C)."""
        diagonal = torch.diag(self.signs * self.log_diagonal.exp())
        return self.lower.tril(-1) + torch.eye(len(diagonal)).to(diagonal), self.upper.triu(1) + diagonal

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> the same, and log abs det, (), Eq. 12."""
        lower, upper = self.factors()
        return mix(values, self.order @ lower @ upper), self.log_diagonal.sum() * values[0, 0].numel()

    def inverse(self, values: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        lower, upper = (wide(factor) for factor in self.factors())
        start = torch.linalg.solve_triangular(lower, wide(self.order.T), upper=False, unitriangular=True)
        return mix(values, torch.linalg.solve_triangular(upper, start, upper=True))


class Permutation(nn.Module):
    """A fixed order of channels: reversed, or shuffled once."""

    def __init__(self, channels: int, shuffled: bool) -> None:
        super().__init__()
        self.shuffled = shuffled
        self.register_buffer("order", torch.empty(channels, dtype=torch.long))
        self.order: Tensor

    def initial(self) -> dict[str, Tensor]:
        """The channel that comes to each place, by name."""
        count = len(self.order)
        order = torch.randperm(count, device="cpu") if self.shuffled else torch.arange(count, device="cpu").flip(0)
        return {"order": order}

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> the same, and log abs det, (), which is 0."""
        return values[:, self.order], values.new_zeros(())

    def inverse(self, values: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return values[:, self.order.argsort()]


def conv3x3(before: int, after: int, edge: bool, bias: bool) -> nn.Conv2d:
    """A convolution that keeps the size, of what [`around`] gives."""
    return nn.Conv2d(before + edge, after, 3, padding=0 if edge else 1, bias=bias)


def around(values: Tensor, edge: bool) -> Tensor:
    """Values as they are, or with zeros around them and a channel that is 1 there. (B, C, H, W) -> (B, C + 1, ...)."""
    if not edge:
        return values
    outside = pad(values.new_zeros(len(values), 1, *values.shape[2:]), (1, 1, 1, 1), value=1.0)
    return torch.cat([pad(values, (1, 1, 1, 1)), outside], dim=1)


class ZeroConv2d(nn.Module):
    """A 3x3 convolution that starts as zero, with a learned scale of each map (released code)."""

    def __init__(self, before: int, after: int, edge: bool) -> None:
        super().__init__()
        self.edge = edge
        self.conv = conv3x3(before, after, edge, bias=True)
        self.log_scale = nn.Parameter(torch.empty(after))

    def forward(self, values: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        return self.conv(around(values, self.edge)) * log_scale_of(self.log_scale).exp()


class ZeroLinear(nn.Module):
    """A linear layer that starts as zero, with a learned scale of each output."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.linear = nn.Linear(before, after)
        self.log_scale = nn.Parameter(torch.empty(after))

    def forward(self, values: Tensor) -> Tensor:
        """(B, before) -> (B, after)."""
        return self.linear(values) * (RATE * self.log_scale).exp()


class CouplingNet(nn.Module):
    """The net of a coupling: 3x3, 1x1 and 3x3, the last one zero at the start."""

    def __init__(self, before: int, after: int, config: GlowConfig) -> None:
        super().__init__()
        size, edge = config.hidden_size, config.edge_padding_channel
        self.edge = edge
        self.conv1 = conv3x3(before, size, edge, bias=False)
        self.norm1 = ActNorm(size)
        self.conv2 = nn.Conv2d(size, size, 1, bias=False)
        self.norm2 = ActNorm(size)
        self.conv3 = ZeroConv2d(size, after, edge)

    def forward(self, values: Tensor) -> Tensor:
        """(B, C / 2, H, W) -> (B, C or C / 2, H, W)."""
        hidden = self.norm1(self.conv1(around(values, self.edge)))[0].relu()
        hidden = self.norm2(self.conv2(hidden))[0].relu()
        return self.conv3(hidden)


class Coupling(nn.Module):
    """The first half of the channels stays and says how the second is shifted and scaled."""

    def __init__(self, channels: int, config: GlowConfig) -> None:
        super().__init__()
        self.affine, self.sigmoid = config.coupling == "affine", config.coupling_scale == "sigmoid"
        self.net = CouplingNet(channels // 2, channels if self.affine else channels // 2, config)

    def shift_and_log_scale(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Of the second half. (B, C / 2, H, W) -> two of (B, C / 2, H, W)."""
        said = self.net(kept).to(kept.dtype)
        if not self.affine:
            return said, torch.zeros_like(said)
        return said[:, 0::2], logsigmoid(said[:, 1::2] + 2) if self.sigmoid else said[:, 1::2]

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> the same, and log abs det, (B,)."""
        kept, moved = values.chunk(2, dim=1)
        shift, log_scale = self.shift_and_log_scale(kept)
        return torch.cat([kept, (moved + shift) * log_scale.exp()], dim=1), log_scale.sum((1, 2, 3))

    def inverse(self, values: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        kept, moved = values.chunk(2, dim=1)
        shift, log_scale = self.shift_and_log_scale(kept)
        return torch.cat([kept, moved * (-log_scale).exp() - shift], dim=1)


class FlowStep(nn.Module):
    """Actnorm, a mix of channels, a coupling (figure 2a)."""

    def __init__(self, channels: int, config: GlowConfig) -> None:
        super().__init__()
        self.norm = ActNorm(channels)
        self.mixing: nn.Module
        if config.permutation != "invconv":
            self.mixing = Permutation(channels, shuffled=config.permutation == "shuffle")
        else:
            self.mixing = (InvertibleConv1x1Lu if config.lu_decomposed else InvertibleConv1x1)(channels)
        self.coupling = Coupling(channels, config)

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> the same, and log abs det, (B,)."""
        values, normed = self.norm(values)
        values, mixed = self.mixing(values)
        values, coupled = self.coupling(values)
        return values, normed + mixed + coupled

    def inverse(self, values: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return self.norm.inverse(self.mixing.inverse(self.coupling.inverse(values)))  # type: ignore[operator]


class Split(nn.Module):
    """Half of the channels leave for the code, standardized by a normal whose mean and scale the other half says."""

    def __init__(self, channels: int, config: GlowConfig) -> None:
        super().__init__()
        self.prior = ZeroConv2d(channels // 2, channels, config.edge_padding_channel)

    def mean_and_log_scale(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C / 2, H, W) -> two of (B, C / 2, H, W)."""
        said = self.prior(kept).to(kept.dtype)
        return said[:, 0::2], said[:, 1::2]

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C, H, W) -> what goes on and the code, each (B, C / 2, H, W), and log abs det, (B,)."""
        kept, left = values.chunk(2, dim=1)
        mean, log_scale = self.mean_and_log_scale(kept)
        return kept, (left - mean) * (-log_scale).exp(), -log_scale.sum((1, 2, 3))

    def inverse(self, kept: Tensor, code: Tensor) -> Tensor:
        """Two of (B, C / 2, H, W) -> (B, C, H, W)."""
        mean, log_scale = self.mean_and_log_scale(kept)
        return torch.cat([kept, code * log_scale.exp() + mean], dim=1)


class TopPrior(nn.Module):
    """The normal of the last level: standard, learned, or shifted and scaled by the class (released code: `prior`)."""

    def __init__(self, channels: int, config: GlowConfig) -> None:
        super().__init__()
        self.num_labels = config.num_labels or 0
        learned = config.learn_top
        self.bias = nn.Parameter(torch.empty(2 * channels)) if learned else None
        self.log_scale = nn.Parameter(torch.empty(2 * channels)) if learned else None
        edge = learned and config.edge_padding_channel  # of the released convolution, what does not meet zeros
        self.edge = nn.Parameter(torch.empty(2 * channels, 1, 3, 3)) if edge else None
        self.of_label = ZeroLinear(self.num_labels, 2 * channels) if config.label_condition else None

    def mean_and_log_scale(self, like: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """For codes of this shape. (B, C, H, W), (B,) -> two that broadcast to (B, C, H, W)."""
        channels, height, width = like.shape[1:]
        said = like.new_zeros(1, 2 * channels, 1, 1)
        if self.bias is not None and self.log_scale is not None:
            said = said + self.bias[:, None, None]
            if self.edge is not None:
                said = said + conv2d(around(like.new_zeros(1, 0, height, width), True), self.edge)
            said = said * log_scale_of(self.log_scale).exp()
        if self.of_label is not None and labels is not None:
            said = said + self.of_label(one_hot(labels, self.num_labels).to(like))[:, :, None, None]
        mean, log_scale = said.chunk(2, dim=1)
        return mean, log_scale

    def forward(self, values: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, C, H, W), (B,) -> the code, of the same shape, and log abs det, (B,)."""
        mean, log_scale = self.mean_and_log_scale(values, labels)
        return (values - mean) * (-log_scale).exp(), -log_scale.expand_as(values).sum((1, 2, 3))

    def inverse(self, code: Tensor, labels: Tensor | None) -> Tensor:
        """(B, C, H, W), (B,) -> (B, C, H, W)."""
        mean, log_scale = self.mean_and_log_scale(code, labels)
        return code * log_scale.exp() + mean


class GlowPreTrainedModel(PreTrainedModel):
    """Weights and loading of Glow."""

    config_class = GlowConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, InvertibleConv1x1 | InvertibleConv1x1Lu | Permutation):
            for name, value in module.initial().items():
                init.copy_(getattr(module, name), value)
        elif isinstance(module, nn.Conv2d) and module.bias is None:
            init.normal_(module.weight, std=0.05)
        else:  # all else starts as zero: what has a bias, the actnorms, and whether they were set
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                init.zeros_(tensor)


class GlowModel(GlowPreTrainedModel):
    """Pictures to noise and back, and the likelihood of pictures."""

    def __init__(self, config: GlowConfig) -> None:
        super().__init__(config)
        self.levels, self.splits = nn.ModuleList(), nn.ModuleList()
        channels = config.num_channels
        for level in range(config.num_levels):
            channels *= 4
            self.levels.append(nn.ModuleList(FlowStep(channels, config) for _ in range(config.depth)))
            if level < config.num_levels - 1:
                self.splits.append(Split(channels, config))
                channels //= 2
        self.top = TopPrior(channels, config)
        self.classifier = ZeroLinear(channels, config.num_labels or 0) if config.label_condition else None
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))  # whether a batch has set the actnorms
        self.started: Tensor
        self.post_init()

    def to_values(self, pixel_values: Tensor, noisy: bool = False, generator: torch.Generator | None = None) -> Tensor:
        """Levels as numbers from -1/2 to 1/2: anywhere in a level's bin, or in its middle. (B, C, H, W), the same."""
        bins = 2**self.config.num_bits
        levels = ((pixel_values * 255).round() / 2 ** (8 - self.config.num_bits)).floor()  # 0 to bins - 1
        place: Tensor | float = 0.5
        if noisy:
            device = generator.device if generator is not None else pixel_values.device
            place = torch.rand(levels.shape, generator=generator, device=device).to(levels)
        return (levels + place) / bins - 0.5

    def to_pixel_values(self, values: Tensor) -> Tensor:
        """The way back: the picture whose bins these numbers lie in. (B, C, H, W) -> the same, in [0, 1]."""
        bins = 2**self.config.num_bits
        return ((values + 0.5) * bins).floor().clamp(0, bins - 1) / (bins - 1)

    def flow(self, values: Tensor, labels: Tensor | None = None) -> tuple[list[Tensor], Tensor, Tensor]:
        """Send numbers forwards.

        Args:
            values: (B, C, H, W), from -1/2 to 1/2.
            labels: (B,), classes.

        Returns:
            The code; log abs det, (B,); and what the last level's code is made of, (B, C, H, W).
        """
        codes: list[Tensor] = []
        stretched = values.new_zeros(len(values))
        for number, steps in enumerate(self.levels):
            values = squeeze(values)
            for step in steps:  # type: ignore[attr-defined]
                values, log_det = step(values)
                stretched = stretched + log_det
            if number < len(self.splits):
                values, code, log_det = self.splits[number](values)
                codes.append(code)
                stretched = stretched + log_det
        code, log_det = self.top(values, labels)
        return [*codes, code], stretched + log_det, values

    def inverse(self, latents: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """Send a code backwards. A list of (B, C, H, W) -> (B, C, H, W), numbers that lie mostly in -1/2 to 1/2."""
        *codes, last = latents
        values = self.top.inverse(last, labels)
        for number in reversed(range(len(self.levels))):
            if number < len(self.splits):
                values = self.splits[number].inverse(values, codes[number])  # type: ignore[operator]
            for step in reversed(self.levels[number]):  # type: ignore[call-overload]
                values = step.inverse(values)
            values = unsqueeze(values)
        return values

    @torch.no_grad()
    def start(self, values: Tensor, labels: Tensor | None = None) -> None:
        """Set every actnorm by a first batch, so that what leaves it has mean 0 and variance 1 (section 3.1)."""
        norms = [module for module in self.modules() if isinstance(module, ActNorm)]
        for norm in norms:
            norm.measures = True
        self.flow(values, labels)
        for norm in norms:
            norm.measures = False
        self.started.fill_(True)

    def density(self, latents: list[Tensor], stretched: Tensor) -> Tensor:
        """Log p of discrete pictures in nats: of the code, the stretch, and the bins' volume. (B,) -> (B,), Eq. 6."""
        noise = torch.cat([latent.flatten(1) for latent in latents], dim=1)  # B values
        zero = torch.zeros_like(noise)
        return log_normal(noise, zero, zero) + stretched - self.config.num_bits * log(2) * noise.shape[1]

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        noisy: bool | None = None,
        generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> GlowOutput:
        """Map pictures to their code and measure how likely they are. The first call in training sets the actnorms.

        Args:
            pixel_values: (B, C, H, W), in [0, 1]; levels of 8 bits.
            labels: (B,), classes, of a model that is conditioned on them.
            noisy: Take a value anywhere in its bin, as the bound of Eq. 2 needs; its middle otherwise. True in training
                by default, False in evaluation.
            generator: Of that noise.
            kwargs: Not read; what transformers passes to every model.
        """
        values = self.to_values(pixel_values, self.training if noisy is None else noisy, generator)
        if self.training and not self.started:
            self.start(values, labels)
        latents, stretched, top = self.flow(values, labels)
        likelihood = self.density(latents, stretched)
        loss = -likelihood.mean()
        losses = {"bits_per_dim": loss / (log(2) * pixel_values[0].numel())}
        logits = self.classifier(top.mean((2, 3))) if self.classifier is not None else None
        if logits is not None and labels is not None:
            losses["classifier"] = cross_entropy(logits, labels)
            loss = loss + self.config.classifier_weight * losses["classifier"]
        return GlowOutput(loss=loss, losses=losses, log_likelihood=likelihood, latents=latents, logits=logits)

    def log_likelihood(
        self, pixel_values: Tensor, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """A sample of the bound of log p(x) that uniform noise gives, in nats (Eq. 2). (B, C, H, W) -> (B,).

        Its negative is a score of how far a picture is from the training data, with a known flaw: smooth pictures of
        another kind may well be likelier (Nalisnick et al. 2019, arXiv 1810.09136).
        """
        return self(pixel_values, labels=labels, noisy=True, generator=generator).log_likelihood

    def encode(self, pixel_values: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The code of a picture, from the middle of its bins. (B, C, H, W) -> a list of (B, C, H, W), one a level."""
        return self.flow(self.to_values(pixel_values), labels)[0]

    def decode(self, latents: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The picture of a code. A list of (B, C, H, W) -> (B, C, H, W), in [0, 1]."""
        return self.to_pixel_values(self.inverse(latents, labels))

    def direction(self, positive: Tensor, negative: Tensor) -> list[Tensor]:
        """The mean code of pictures with an attribute minus that of pictures without. Two of (B, C, H, W) -> a code."""
        codes = zip(self.encode(positive), self.encode(negative), strict=True)
        return [one.mean(0, keepdim=True) - other.mean(0, keepdim=True) for one, other in codes]

    def manipulate(self, pixel_values: Tensor, direction: list[Tensor], strength: float) -> Tensor:
        """Pictures whose codes are moved: z + alpha (z_pos - z_neg). (B, C, H, W) -> (B, C, H, W)."""
        codes = zip(self.encode(pixel_values), direction, strict=True)
        return self.decode([code + strength * along for code, along in codes])

    @torch.no_grad()
    def generate_images(
        self,
        num_images: int = 1,
        generator: torch.Generator | None = None,
        temperature: float = 0.7,
        labels: Tensor | None = None,
    ) -> Tensor:
        """Draw codes of N(0, temperature^2) and decode them.

        Args:
            num_images: B.
            generator: Of the codes.
            temperature: Standard deviation of the codes; 1 for the model's own distribution.
            labels: (B,), classes, of a model that is conditioned on them.

        Returns:
            (B, C, H, W), in [0, 1].
        """
        like = next(self.parameters())
        shapes = self.shapes()
        return self.decode(
            [temperature * standard_normal((num_images, *shape), like, generator) for shape in shapes], labels
        )

    def shapes(self) -> list[tuple[int, int, int]]:
        """(C, H, W) of the parts of a code."""
        channels, side, found = self.config.num_channels, self.config.image_size, []
        for _ in self.splits:
            channels, side = 2 * channels, side // 2
            found.append((channels, side, side))
        return [*found, (4 * channels, side // 2, side // 2)]
