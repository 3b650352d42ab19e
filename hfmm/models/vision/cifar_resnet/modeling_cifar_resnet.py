"""ResNets of small pictures (He et al., CVPR 2016, arXiv 1512.03385, section 4.2), and what makes them learn fast.

Pictures of 32 pixels keep their size through the stem, where those of ImageNet are divided by four. The faster ones are
after Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv 2404.00498, 2024.

Axes: B batch, C channels, H height, W width, K classes, N places, P values of a patch.

| paper | here |
|---|---|
| He: y = F(x) + x, Eq. 1 | `ResidualUnit` |
| He: identity shortcuts, zeros for new channels, option A | `ResidualUnit.shortcut` |
| He: 6n + 2 layers, section 4.2 | `CifarResnetConfig.depths` |
| Jordan: whitening of patches | `PatchWhitening` |
| Jordan: biases that learn faster | `ScaledBiasNormalization` |

Departures are on the card.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, max_pool2d, pad, unfold
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.backbone_utils import BackboneMixin
from transformers.modeling_outputs import BackboneOutput, ImageClassifierOutputWithNoAttention
from transformers.utils import can_return_tuple

from hfmm.nn.processes import summed

from .configuration_cifar_resnet import PATCH, CifarResnetConfig

SMALLEST = 5e-4  # added to variances of patches before their root is taken, as in the released code


class PatchWhitening(nn.Module):
    """Decorrelates patches, and gives each direction and its opposite. (B, C, H, W) -> (B, 2P, H - 1, W - 1).

    The directions are the principal ones of the first batch that comes in training, of all processes together; until
    then they are the pixels themselves.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        size = channels * PATCH**2
        self.register_buffer("filters", torch.empty(2 * size, channels, PATCH, PATCH))
        self.register_buffer("measured", torch.zeros((), dtype=torch.bool))  # whether a batch has set the filters
        self.filters: Tensor
        self.measured: Tensor

    def with_opposites(self, directions: Tensor) -> Tensor:
        """Filters of directions (P, P), a direction in each row. -> (2P, C, height, width) of a patch."""
        return torch.cat([directions, -directions]).view_as(self.filters)

    @torch.no_grad()
    def measure(self, pixels: Tensor) -> None:
        """Let the patches of these pixels (B, C, H, W) come out with second moments 1 and uncorrelated."""
        patches = unfold(pixels.float(), PATCH).transpose(1, 2).flatten(0, 1)  # BN P
        moments = summed(patches.T @ patches) / summed(patches.new_tensor(len(patches)))
        variances, directions = torch.linalg.eigh(moments)  # P; P P, a direction in each column
        self.filters.copy_(self.with_opposites((directions / (variances + SMALLEST).sqrt()).T))
        self.measured.fill_(True)

    def forward(self, pixels: Tensor) -> Tensor:
        """Whiten."""
        if self.training and not self.measured:
            self.measure(pixels)
        return conv2d(pixels, self.filters.to(pixels.dtype))


class ScaledBiasNormalization(nn.BatchNorm2d):
    """Batch normalization whose bias is a multiple of what is learned. (B, C, H, W) -> the same.

    Descent on b moves k b by k**2 as much as descent on the bias itself would, and decays it as fast.
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__(channels)
        self.scale = scale

    def forward(self, feature_map: Tensor) -> Tensor:
        """Normalize."""
        mean, variance, bias = self.running_mean, self.running_var, self.scale * self.bias
        return batch_norm(feature_map, mean, variance, self.weight, bias, self.training, self.momentum or 0.0, self.eps)


class ResidualUnit(nn.Module):
    """y = act(F(x) + x) with two 3 x 3 convolutions in F. (B, C, H, W) -> (B, C', H', W')."""

    def __init__(self, in_channels: int, out_channels: int, halves: bool, config: CifarResnetConfig) -> None:
        super().__init__()
        self.strides, self.pools = (halves and config.downsampling == kind for kind in ("stride", "max_pool"))
        self.new_channels = out_channels - in_channels
        stride = 2 if self.strides else 1
        self.convolution1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.normalization1 = ScaledBiasNormalization(out_channels, config.bias_scale)
        self.convolution2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.normalization2 = ScaledBiasNormalization(out_channels, config.bias_scale)
        self.activation = ACT2FN[config.hidden_act]

    def pooled(self, feature_map: Tensor) -> Tensor:
        """Max-pool 2 / 2, where the unit does. (B, C, H, W) -> (B, C, H', W')."""
        return max_pool2d(feature_map, 2) if self.pools else feature_map

    def shortcut(self, feature_map: Tensor) -> Tensor:
        """The input in the shape of F(x): halved likewise, zeros for new channels (option A, without parameters)."""
        kept = feature_map[..., ::2, ::2] if self.strides else self.pooled(feature_map)
        return pad(kept, (0, 0, 0, 0, 0, self.new_channels)) if self.new_channels else kept

    def forward(self, feature_map: Tensor) -> Tensor:
        """Add what the two convolutions find."""
        found = self.activation(self.normalization1(self.pooled(self.convolution1(feature_map))))
        return self.activation(self.normalization2(self.convolution2(found)) + self.shortcut(feature_map))


class CifarResnetPreTrainedModel(PreTrainedModel):
    """Weights and loading of the ResNets of small pictures."""

    config_class = CifarResnetConfig
    base_model_prefix = "backbone"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, PatchWhitening):
            init.copy_(module.filters, module.with_opposites(torch.eye(len(module.filters) // 2)))
            init.zeros_(module.measured)


class CifarResnetBackbone(BackboneMixin, CifarResnetPreTrainedModel):
    """Maps of the stem and of each stage."""

    has_attentions = False

    def __init__(self, config: CifarResnetConfig) -> None:
        super().__init__(config)
        self.num_features = sizes = config.sizes
        if config.stem == "whitening":
            self.stem = nn.Sequential(PatchWhitening(config.num_channels), ACT2FN[config.hidden_act])
        else:
            self.stem = nn.Sequential(
                nn.Conv2d(config.num_channels, config.stem_size, 3, padding=1, bias=False),
                ScaledBiasNormalization(config.stem_size, config.bias_scale),
                ACT2FN[config.hidden_act],
            )
        self.stages = nn.ModuleList()
        for index, (before, size, depth) in enumerate(zip(sizes[:-1], sizes[1:], config.depths, strict=True)):
            first = ResidualUnit(before, size, index > 0 or config.downsample_in_first_stage, config)
            others = (ResidualUnit(size, size, False, config) for _ in range(depth - 1))
            self.stages.append(nn.Sequential(first, *others))
        self.post_init()

    def stage_maps(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """Maps of stem and stages. (B, num_channels, H, W) -> each (B, C, H', W')."""
        maps = [self.stem(pixel_values)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return tuple(maps)

    @can_return_tuple
    def forward(self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs: Any) -> BackboneOutput:
        """Compute the maps that `config.out_features` names.

        Args:
            pixel_values: (B, num_channels, H, W).
            output_hidden_states: Return the maps of all stages as well.
            kwargs: Not read; what transformers passes to every backbone.
        """
        maps = self.stage_maps(pixel_values)
        chosen: Any = tuple(maps[self.stage_names.index(name)] for name in self.out_features)  # upstream: tuple of one
        return BackboneOutput(feature_maps=chosen, hidden_states=maps if output_hidden_states else None)


class CifarResnetForImageClassification(CifarResnetPreTrainedModel):
    """The backbone, its last map pooled over places, and a linear layer."""

    def __init__(self, config: CifarResnetConfig) -> None:
        super().__init__(config)
        self.backbone = CifarResnetBackbone(config)
        self.classifier = nn.Linear(config.sizes[-1], config.num_labels)  # type: ignore[arg-type]
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> ImageClassifierOutputWithNoAttention:
        """Classify pictures.

        Args:
            pixel_values: (B, num_channels, H, W).
            labels: (B,), class of each picture.
            output_hidden_states: Return the maps of the stem and of the stages.
            kwargs: For the loss, such as `num_items_in_batch`.
        """
        maps = self.backbone.stage_maps(pixel_values)
        pooled = maps[-1].amax((2, 3)) if self.config.downsampling == "max_pool" else maps[-1].mean((2, 3))  # B C
        logits = self.classifier(pooled) * self.config.logit_scale  # B K
        loss = self.loss_function(labels, logits, self.config, **kwargs) if labels is not None else None
        return ImageClassifierOutputWithNoAttention(
            loss=loss, logits=logits, hidden_states=maps if output_hidden_states else None
        )
