"""Self-supervised pretext tasks: what a picture teaches without labels.

An encoder learns from exams that are made of the pictures alone: where a patch lies beside another (Doersch, Gupta and
Efros, ICCV 2015, arXiv 1505.05192), in which order tiles were shown (Noroozi and Favaro, ECCV 2016, arXiv 1603.09246),
whether two patches are of one picture, and what a hole in a picture hides (Pathak et al., CVPR 2016, arXiv 1604.07379).

Axes: B batch, P tiles of a picture, C channels, H height, W width, D features of a tile, K options.

| paper | here |
|---|---|
| towers with shared weights, conv1 to fc6 (Doersch, figure 3; Noroozi, figure 3) | `PretextTower` |
| fc7 and on over the concatenated towers, 8 places or the permutations | `PretextOptionsHead` |
| two patches: [abs(a - b), a * b], then a sigmoid | `PretextSameImageHead` |
| NT-Xent (Chen et al. 2020, arXiv 2002.05709, Eq. 1) | `nt_xent` |
| encoder, bottleneck, decoder (Pathak, figure 2) | `PretextInpaintingHead` |
| L_rec, Eq. 1; the overlap of 4 pixels weighs 10 times | `PretextInpaintingHead.reconstruction_loss` |
| L_adv, Eq. 2 | `PretextDiscriminator`, `PretextInpaintingHead.adversarial_loss` |
| L = lambda_rec L_rec + lambda_adv L_adv, Eq. 3 | `PretextInpaintingHead.mixed` |

Departures are on the card.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    adaptive_avg_pool2d,
    binary_cross_entropy_with_logits,
    cross_entropy,
    dropout,
    leaky_relu,
    normalize,
    relu,
)
from transformers import AutoBackbone, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_pretext import PretextConfig

MEAN_COLOR = (117, 104, 123)  # of 255; what a hole is filled with in the released code
SLOPE = 0.2  # of the discriminator's leaky ReLU


@dataclass
class PretextOutput(ModelOutput):
    """What [`PretextForPreTraining`] returns.

    Attributes:
        loss: (), when labels are given.
        losses: Its named parts before they are weighed, each ().
        logits: (B, K), of exams with options; of same image (B, 2), for different and for same.
        reconstruction: (B, C, hole, hole), in (-1, 1), of inpainting.
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    logits: Tensor | None = None
    reconstruction: Tensor | None = None


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding each code's partner among all other codes by their cosines.

    Args:
        first: (B, D), codes.
        second: (B, D), their partners.
        temperature: tau.

    Returns:
        (), the mean over the 2 B codes.
    """
    codes = normalize(torch.cat([first, second]), dim=-1)  # 2B D
    is_self = torch.eye(len(codes), dtype=torch.bool, device=codes.device)
    similarity = (codes @ codes.T / temperature).masked_fill(is_self, -torch.inf)  # 2B 2B
    partner = torch.arange(len(codes), device=codes.device).roll(len(first))
    return cross_entropy(similarity.float(), partner)


class PretextPreTrainedModel(PreTrainedModel):
    """Weights and loading of the pretext tasks."""

    config_class = PretextConfig
    base_model_prefix = "encoder"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Linear | nn.Conv2d):
            init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.ConvTranspose2d):
            init.normal_(module.weight, std=0.02)


class PretextModel(PretextPreTrainedModel):
    """The encoder: what is kept of a pretext task."""

    def __init__(self, config: PretextConfig) -> None:
        super().__init__(config)
        self.backbone = AutoBackbone.from_config(config.backbone_config)
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """Encode pictures, or tiles of any size.

        Args:
            pixel_values: (B, 3, H, W), as the image processor prepares them with `do_pretext=False`.
            kwargs: Not read; what transformers passes to every model.

        Returns:
            `last_hidden_state` (B, C, H', W'), the backbone's last output map, and `pooler_output` (B, C), its mean.
        """
        feature_map = self.backbone(pixel_values).feature_maps[-1]  # B C H' W'
        return BaseModelOutputWithPooling(last_hidden_state=feature_map, pooler_output=feature_map.mean((2, 3)))


class PretextTower(nn.Module):
    """The map of a tile to its features, fc6. (B, C, H', W') -> (B, D)."""

    def __init__(self, config: PretextConfig, channels: int, width: int) -> None:
        super().__init__()
        self.pooled_size = config.pooled_size
        self.fc6 = nn.Linear(channels * config.pooled_size**2, width)

    def forward(self, feature_map: Tensor) -> Tensor:
        """Pool to a fixed size, flatten, project."""
        return relu(self.fc6(adaptive_avg_pool2d(feature_map, self.pooled_size).flatten(1)))


class PretextOptionsHead(nn.Module):
    """An exam with options: relative position or jigsaw. (B, P, D) -> (B, K)."""

    def __init__(self, config: PretextConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        widths = [config.num_tiles * config.tower_size, *config.head_sizes]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.options = nn.Linear(widths[-1], config.num_options)

    def forward(self, features: Tensor) -> Tensor:
        """Look at all tiles together."""
        features = features.flatten(1)  # B P*D
        for layer in self.layers:
            features = dropout(relu(layer(features)), self.dropout, self.training)
        return self.options(features)


class PretextSameImageHead(nn.Module):
    """Are two patches of one picture? (B, 2, D) -> (B, 2), for no and for yes."""

    def __init__(self, config: PretextConfig) -> None:
        super().__init__()
        self.same = nn.Linear(2 * config.tower_size, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Compare the two; beside a 0 for no, the softmax of the answer is the sigmoid."""
        first, second = features.unbind(1)
        answer = self.same(torch.cat([(first - second).abs(), first * second], -1))  # B 1
        return torch.cat([torch.zeros_like(answer), answer], -1)


class PretextInpaintingHead(nn.Module):
    """The bottleneck and the decoder of the context encoder. (B, C, H', W') -> (B, 3, hole, hole), in (-1, 1)."""

    def __init__(self, config: PretextConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        self.bottleneck = PretextTower(config, channels, config.bottleneck_size)
        sizes = config.decoder_sizes
        self.start = nn.ConvTranspose2d(config.bottleneck_size, sizes[0], 4, bias=False)
        self.deconvolutions = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False) for before, after in pairwise(sizes)
        )
        self.normalizations = nn.ModuleList(nn.BatchNorm2d(size) for size in sizes)
        self.last = nn.ConvTranspose2d(sizes[-1], 3, 4, stride=2, padding=1)

    def hide(self, pixel_values: Tensor) -> Tensor:
        """The hole without its overlap filled with the mean color, (1 - M) * x. (B, 3, H, W)."""
        hidden = self.config.hole_size - 2 * self.config.overlap
        top, left = ((side - hidden) // 2 for side in pixel_values.shape[-2:])
        shown = pixel_values.clone()
        color = pixel_values.new_tensor(MEAN_COLOR)[:, None, None] / 127.5 - 1  # 3 1 1
        shown[..., top : top + hidden, left : left + hidden] = color
        return shown

    def forward(self, feature_map: Tensor) -> Tensor:
        """Paint the hole."""
        painted = self.start(self.bottleneck(feature_map)[:, :, None, None])  # B C 4 4
        painted = relu(self.normalizations[0](painted))
        for deconvolution, normalization in zip(self.deconvolutions, self.normalizations[1:], strict=True):
            painted = relu(normalization(deconvolution(painted)))  # B C 2H 2W
        return self.last(painted).tanh()

    def reconstruction_loss(self, painted: Tensor, truth: Tensor) -> Tensor:
        """L_rec: mean squared error, the overlap weighing more (Eq. 1). Two of (B, 3, hole, hole) -> ()."""
        overlap = self.config.overlap
        weight = torch.full_like(truth[0, 0], self.config.overlap_weight)  # hole hole
        weight[overlap : len(weight) - overlap, overlap : len(weight) - overlap] = 1
        return (weight * (painted - truth) ** 2).mean()

    def adversarial_loss(self, verdict: Tensor, is_real: bool) -> Tensor:
        """L_adv: cross-entropy of a discriminator's verdict and what it should be (Eq. 2). (B,) -> ()."""
        return binary_cross_entropy_with_logits(verdict, torch.full_like(verdict, float(is_real)))

    def mixed(self, reconstruction: Tensor, adversarial: Tensor) -> Tensor:
        """lambda_rec L_rec + lambda_adv L_adv (Eq. 3)."""
        weight = self.config.adversarial_weight
        return (1 - weight) * reconstruction + weight * adversarial


class PretextDiscriminator(nn.Module):
    """Is a hole painted or real? (B, 3, hole, hole) -> (B,), a logit."""

    def __init__(self, config: PretextConfig) -> None:
        super().__init__()
        sizes = [3, *reversed(config.decoder_sizes)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1, bias=index == 0)
            for index, (before, after) in enumerate(pairwise(sizes))
        )
        self.normalizations = nn.ModuleList([nn.Identity(), *(nn.BatchNorm2d(size) for size in sizes[2:])])
        self.verdict = nn.Conv2d(sizes[-1], 1, 4)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Judge."""
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            pixel_values = leaky_relu(normalization(convolution(pixel_values)), SLOPE)  # B C H/2 W/2
        return self.verdict(pixel_values).flatten()


class PretextForPreTraining(PretextPreTrainedModel):
    """The encoder and what its task needs above it."""

    def __init__(self, config: PretextConfig) -> None:
        super().__init__(config)
        self.encoder = PretextModel(config)
        self.head: Any
        channels = self.encoder.backbone.channels[-1]
        if config.task == "inpainting":
            self.head = PretextInpaintingHead(config, channels)
            if config.adversarial_weight:
                self.discriminator = PretextDiscriminator(config)
        else:
            self.tower = PretextTower(config, channels, config.tower_size)
            kind = PretextSameImageHead if config.task == "same_image" else PretextOptionsHead
            self.head = kind(config)
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs: Any) -> PretextOutput:
        """Sit the exam.

        Args:
            pixel_values: (B, P, 3, H, W), tiles; one a picture for inpainting.
            labels: (B,), the right options; for inpainting (B, 3, hole, hole), what the hole hides, from -1 to 1.
            kwargs: Not read; what transformers passes to every model.

        Raises:
            ValueError: There are more or fewer tiles than the task has.
        """
        if pixel_values.shape[1] != self.config.num_tiles:
            raise ValueError(f"{self.config.task} has {self.config.num_tiles} tiles, not {pixel_values.shape[1]}")
        if self.config.task == "inpainting":
            return self._paint(pixel_values[:, 0], labels)
        feature_map = self.encoder(pixel_values.flatten(0, 1)).last_hidden_state  # B*P C H' W'
        features = self.tower(feature_map).unflatten(0, (-1, self.config.num_tiles))  # B P D
        logits = self.head(features)  # B K
        if labels is None:
            return PretextOutput(logits=logits)
        losses = {"cross_entropy": cross_entropy(logits.float(), labels)}
        loss = losses["cross_entropy"]
        if self.config.contrastive_weight and self.config.task == "same_image":
            first, second = features[labels == 1].unbind(1)
            losses["nt_xent"] = nt_xent(first, second, self.config.temperature)
            loss = loss + self.config.contrastive_weight * losses["nt_xent"]
        return PretextOutput(loss=loss, losses=losses, logits=logits)

    def _paint(self, pixel_values: Tensor, labels: Tensor | None) -> PretextOutput:
        """Paint the hole; the loss is the generator's."""
        painted = self.head(self.encoder(self.head.hide(pixel_values)).last_hidden_state)  # B 3 hole hole
        if labels is None:
            return PretextOutput(reconstruction=painted)
        if labels.shape != painted.shape:
            raise ValueError(f"the hole is {tuple(labels.shape)} but what is painted is {tuple(painted.shape)}")
        losses = {"reconstruction": self.head.reconstruction_loss(painted, labels)}
        loss = losses["reconstruction"]
        if self.config.adversarial_weight:
            losses["adversarial"] = self.head.adversarial_loss(self.discriminator(painted), is_real=True)
            loss = self.head.mixed(**losses)
        return PretextOutput(loss=loss, losses=losses, reconstruction=painted)
