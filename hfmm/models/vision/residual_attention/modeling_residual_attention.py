"""Residual attention network (Wang et al., "Residual Attention Network for Image Classification", CVPR 2017).

Pre-activation residual units; between them attention modules, whose trunk T is multiplied by 1 + M, where the mask M
comes from a branch that pools down, sees a large part of the picture, and interpolates up again (arXiv 1704.06904).

Axes: B batch, C channels, H height, W width, K classes.

| paper | here |
|---|---|
| H = M T, Eq. 1 | `AttentionModule` with `residual_attention` off |
| H = (1 + M) T, Eq. 3 | `AttentionModule` |
| p = 1, t = 2, r = 1, figure 2 | `before`, `trunk` and `after`; units of the mask |
| soft mask branch, figure 3 | `SoftMask` |
| f1 mixed, f2 channel, f3 spatial, Eqs. 4 to 6 | `mask_of` |
| table 2 | `ResidualAttentionConfig` |

Layers, and where a batch normalization is shared and where not, are those of the released network descriptions.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import instance_norm, interpolate, max_pool2d, normalize, relu
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.backbone_utils import BackboneMixin
from transformers.modeling_outputs import BackboneOutput
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_residual_attention import REDUCTION, ResidualAttentionConfig


@dataclass
class ResidualAttentionOutput(ModelOutput):
    """What [`ResidualAttentionForImageClassification`] returns.

    Attributes:
        loss: (), mean over pictures, when labels are given.
        logits: (B, K).
        hidden_states: Maps of the stem and of each stage, when asked for.
        mask_attentions: Of each attention module its mask, (B, C, H, W), in (0, 1) unless `mask_activation` is
            "channel", and then in [-1, 1].
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    mask_attentions: tuple[Tensor, ...] | None = None


def mask_of(scores: Tensor, kind: str) -> Tensor:
    """The mask that a branch's last convolution gives. (B, C, H, W) -> (B, C, H, W).

    Args:
        scores: Of each place and channel.
        kind: "mixed" (Eq. 4), "channel" (Eq. 5) or "spatial" (Eq. 6).
    """
    if kind == "channel":
        return normalize(scores, dim=1)
    return (instance_norm(scores) if kind == "spatial" else scores).sigmoid()


def halve(feature_map: Tensor) -> Tensor:
    """Max-pool 3 / 2; an odd last row or column is kept. (B, C, H, W) -> (B, C, about H / 2, about W / 2)."""
    return max_pool2d(feature_map, kernel_size=3, stride=2, ceil_mode=True)


class PreActivation(nn.Module):
    """Batch normalization, ReLU, convolution without bias. (B, C, H, W) -> (B, C', H / stride, W / stride)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.normalization = nn.BatchNorm2d(in_channels)
        self.convolution = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False
        )

    def forward(self, feature_map: Tensor) -> Tensor:
        """Activate, then convolve."""
        return self.convolution(relu(self.normalization(feature_map)))


class ResidualUnit(nn.Module):
    """A pre-activation bottleneck (He et al. 2016, arXiv 1603.05027). (B, C, H, W) -> (B, C', H / stride, W / stride).

    Where the shape changes, the shortcut is a 1 x 1 convolution of the activated map.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        inner = out_channels // REDUCTION
        self.normalization = nn.BatchNorm2d(in_channels)
        self.reduce = nn.Conv2d(in_channels, inner, kernel_size=1, bias=False)
        self.convolve = PreActivation(inner, inner, kernel_size=3, stride=stride)
        self.expand = PreActivation(inner, out_channels)
        changes = in_channels != out_channels or stride != 1
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False) if changes else None

    def forward(self, feature_map: Tensor) -> Tensor:
        """Add what the three convolutions find."""
        activated = relu(self.normalization(feature_map))
        kept = feature_map if self.shortcut is None else self.shortcut(activated)
        return kept + self.expand(self.convolve(self.reduce(activated)))


class SoftMask(nn.Module):
    """Down `num_poolings` times, two units at the bottom, and up again. (B, C, H, W) -> (B, C, H, W).

    Each size between top and bottom is kept, goes through a unit of its own, and is added on the way up (figure 3).
    """

    def __init__(self, channels: int, num_poolings: int, config: ResidualAttentionConfig) -> None:
        super().__init__()
        self.num_poolings, self.kind, self.align_corners = num_poolings, config.mask_activation, config.align_corners
        between = range(num_poolings - 1)
        self.down = nn.ModuleList(ResidualUnit(channels, channels) for _ in between)
        self.bottom = nn.Sequential(ResidualUnit(channels, channels), ResidualUnit(channels, channels))
        self.skip = nn.ModuleList(ResidualUnit(channels, channels) for _ in between)
        self.up = nn.ModuleList(ResidualUnit(channels, channels) for _ in between)
        self.linear1 = PreActivation(channels, channels)
        self.linear2 = PreActivation(channels, channels)

    def forward(self, feature_map: Tensor) -> Tensor:
        """Compute the mask."""
        found, kept = feature_map, []
        for unit in self.down:
            found = unit(halve(found))
            kept.append(found)
        found = self.bottom(halve(found) if self.num_poolings else found)
        for skip, unit, same_size in zip(self.skip, self.up, reversed(kept), strict=True):
            found = unit(self.enlarged(found, same_size) + skip(same_size))
        found = self.enlarged(found, feature_map)
        return mask_of(self.linear2(self.linear1(found)), self.kind)

    def enlarged(self, feature_map: Tensor, target: Tensor) -> Tensor:
        """Interpolate to the height and width of another map."""
        size = target.shape[-2:]
        if feature_map.shape[-2:] == size:
            return feature_map
        return interpolate(feature_map, size, mode="bilinear", align_corners=self.align_corners)


class AttentionModule(nn.Module):
    """A unit, trunk and mask side by side, and a unit after them. (B, C, H, W) -> the same, and the mask."""

    def __init__(self, channels: int, num_poolings: int, config: ResidualAttentionConfig) -> None:
        super().__init__()
        self.is_residual = config.residual_attention
        self.before = ResidualUnit(channels, channels)
        self.trunk = nn.Sequential(ResidualUnit(channels, channels), ResidualUnit(channels, channels))
        self.mask = SoftMask(channels, num_poolings, config)
        self.after = ResidualUnit(channels, channels)

    def forward(self, feature_map: Tensor) -> tuple[Tensor, Tensor]:
        """Attend."""
        feature_map = self.before(feature_map)
        trunk, mask = self.trunk(feature_map), self.mask(feature_map)
        attended = (1 + mask) * trunk if self.is_residual else mask * trunk  # Eqs. 3 and 1
        return self.after(attended), mask


class ResidualAttentionStage(nn.Module):
    """A unit that changes the size, then attention modules; or, in the last stage, units alone."""

    def __init__(self, in_channels: int, index: int, config: ResidualAttentionConfig) -> None:
        super().__init__()
        channels, stride = config.hidden_sizes[index], config.strides[index]
        is_last = index == len(config.hidden_sizes) - 1
        count = 0 if is_last else config.num_modules[index]
        self.units = nn.Sequential(
            ResidualUnit(in_channels, channels, stride),
            *(ResidualUnit(channels, channels) for _ in range(config.last_depth - 1 if is_last else 0)),
        )
        self.attentions = nn.ModuleList(
            AttentionModule(channels, config.num_poolings[index], config) for _ in range(count)
        )

    def forward(self, feature_map: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute the stage's map, (B, C', H / stride, W / stride), and its modules' masks."""
        feature_map = self.units(feature_map)
        masks = []
        for attention in self.attentions:
            feature_map, mask = attention(feature_map)
            masks.append(mask)
        return feature_map, masks


class ResidualAttentionPreTrainedModel(PreTrainedModel):
    """Weights and loading shared by the residual attention models."""

    config_class = ResidualAttentionConfig
    base_model_prefix = "backbone"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ResidualAttentionBackbone(BackboneMixin, ResidualAttentionPreTrainedModel):
    """Maps of the stem and of each stage; the last one is normalized and rectified.

    For pictures of 224 pixels Attention-56 has maps of sides 56, 56, 28, 14 and 7.
    """

    has_attentions = False

    def __init__(self, config: ResidualAttentionConfig) -> None:
        super().__init__(config)
        sizes = [config.stem_size, *config.hidden_sizes]
        self.num_features = sizes
        kernel_size, stride = (7, 2) if config.large_stem else (3, 1)
        self.stem = nn.Conv2d(config.num_channels, sizes[0], kernel_size, stride, kernel_size // 2, bias=False)
        self.stem_normalization = nn.BatchNorm2d(sizes[0])
        self.stages = nn.ModuleList(
            ResidualAttentionStage(before, index, config) for index, before in enumerate(sizes[:-1])
        )
        self.normalization = nn.BatchNorm2d(sizes[-1])
        self.post_init()

    def stage_maps(self, pixel_values: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Maps of stem and stages, and masks of all modules. (B, num_channels, H, W) -> each (B, C, H', W')."""
        feature_map = relu(self.stem_normalization(self.stem(pixel_values)))
        if self.config.large_stem:
            feature_map = halve(feature_map)
        maps, masks = [feature_map], []
        for stage in self.stages:
            feature_map, found = stage(feature_map)
            maps.append(feature_map)
            masks += found
        return (*maps[:-1], relu(self.normalization(feature_map))), tuple(masks)

    @can_return_tuple
    def forward(self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs: Any) -> BackboneOutput:
        """Compute the maps that `config.out_features` names.

        Args:
            pixel_values: (B, num_channels, H, W).
            output_hidden_states: Return the maps of all stages as well.
            kwargs: Not read; what transformers passes to every backbone.
        """
        maps, _ = self.stage_maps(pixel_values)
        chosen: Any = tuple(maps[self.stage_names.index(name)] for name in self.out_features)  # upstream: tuple of one
        return BackboneOutput(feature_maps=chosen, hidden_states=maps if output_hidden_states else None)


class ResidualAttentionForImageClassification(ResidualAttentionPreTrainedModel):
    """The whole net: 31,810,728 parameters as Attention-56 and 52,466,344 as Attention-92, for 1,000 classes."""

    def __init__(self, config: ResidualAttentionConfig) -> None:
        super().__init__(config)
        self.backbone = ResidualAttentionBackbone(config)
        self.classifier = nn.Linear(config.hidden_sizes[-1], config.num_labels)  # type: ignore[arg-type]
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> ResidualAttentionOutput:
        """Classify pictures.

        Args:
            pixel_values: (B, num_channels, H, W).
            labels: (B,), class of each picture.
            output_hidden_states: Return the maps of the stem and of the stages.
            kwargs: For the loss, such as `num_items_in_batch`.
        """
        maps, masks = self.backbone.stage_maps(pixel_values)
        logits = self.classifier(maps[-1].mean((2, 3)))  # B K
        loss = self.loss_function(labels, logits, self.config, **kwargs) if labels is not None else None
        return ResidualAttentionOutput(
            loss=loss,
            logits=logits,
            hidden_states=maps if output_hidden_states else None,
            mask_attentions=masks,
        )
