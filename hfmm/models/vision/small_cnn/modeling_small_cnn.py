"""A small residual backbone, which learns the built-in pictures in minutes on two CPU cores.

Convolutions of stride 2, residual blocks (He et al. 2016, arXiv 1512.03385) at the last resolution, and, for decoders
that attend, a learned map that tells positions apart. Memory format is kept: channels-last in, channels-last out.

Axes: B batch, C channels, H height, W width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.backbone_utils import BackboneMixin
from transformers.modeling_outputs import BackboneOutput, ImageClassifierOutputWithNoAttention
from transformers.utils import can_return_tuple

from .configuration_small_cnn import NUM_GROUPS, SmallCnnConfig


def normalization(kind: str, channels: int) -> nn.Module:
    """Batch or group normalization of that many channels."""
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.GroupNorm(NUM_GROUPS, channels)


class SmallCnnStage(nn.Module):
    """A convolution of stride 2, normalized. (B, C, H, W) -> (B, C', H/2, W/2).

    Padded on all sides, it centers a cell half a pixel up and left of the four pixels that the cell stands for; padded
    below and right alone, half a pixel down and right. A last stage of the second kind undoes what the others shift, to
    half a pixel of the picture, so that attention drawn over the picture lies where the model looked.
    """

    def __init__(self, in_channels: int, out_channels: int, kind: str, last: bool) -> None:
        super().__init__()
        self.margins = (0, 1, 0, 1) if last else (0, 0, 0, 0)
        padding = 0 if last else 1
        self.convolution = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=padding, bias=False)
        self.normalization = normalization(kind, out_channels)

    def forward(self, pixels: Tensor) -> Tensor:
        """Halve the picture."""
        return relu(self.normalization(self.convolution(pad(pixels, self.margins))))


class SmallCnnResidualBlock(nn.Module):
    """x + f(x) with two convolutions in f. (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, kind: str) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.normalization1 = normalization(kind, channels)
        self.convolution2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.normalization2 = normalization(kind, channels)

    def forward(self, feature_map: Tensor) -> Tensor:
        """Add what the two convolutions find."""
        residual = relu(self.normalization1(self.convolution1(feature_map)))
        return relu(feature_map + self.normalization2(self.convolution2(residual)))


class SmallCnnPreTrainedModel(PreTrainedModel):
    """Weights and loading of the small backbone."""

    config_class = SmallCnnConfig
    base_model_prefix = "backbone"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, SmallCnnBackbone) and module.positions is not None:
            init.normal_(module.positions, std=0.02)


class SmallCnnBackbone(BackboneMixin, SmallCnnPreTrainedModel):
    """Feature maps of the stem (stride 2) and of each further stage (strides 4, 8, ...)."""

    has_attentions = False

    def __init__(self, config: SmallCnnConfig) -> None:
        super().__init__(config)
        sizes = config.hidden_sizes
        self.num_features = list(sizes)
        self.stages = nn.ModuleList(
            SmallCnnStage(before, after, config.normalization, last=index == len(sizes))
            for index, (before, after) in enumerate(zip([config.num_channels, *sizes], sizes, strict=False), 1)
        )
        self.residual_blocks = nn.ModuleList(
            SmallCnnResidualBlock(sizes[-1], config.normalization) for _ in range(config.num_residual_blocks)
        )
        side = config.position_size
        self.positions = nn.Parameter(torch.empty(1, sizes[-1], side, side)) if side is not None else None
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs: Any) -> BackboneOutput:
        """Compute the maps that `config.out_features` names.

        Args:
            pixel_values: (B, num_channels, H, W).
            output_hidden_states: Return the maps of all stages as well.
            kwargs: Not read; what transformers passes to every backbone.

        Raises:
            ValueError: The last map does not have the side `position_size`.
        """
        maps = self.stage_maps(pixel_values)
        chosen: Any = tuple(
            maps[self.stage_names.index(name)] for name in self.out_features
        )  # upstream: a tuple of one
        return BackboneOutput(feature_maps=chosen, hidden_states=maps if output_hidden_states else None)

    def stage_maps(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """The map of the stem and of each stage, each (B, C, H', W')."""
        maps = []
        feature_map = pixel_values
        for stage in self.stages:
            feature_map = stage(feature_map)
            maps.append(feature_map)
        for block in self.residual_blocks:
            feature_map = block(feature_map)
        return (*maps[:-1], self._with_positions(feature_map))

    def _with_positions(self, feature_map: Tensor) -> Tensor:
        if self.positions is None:
            return feature_map
        if feature_map.shape[-2:] != self.positions.shape[-2:]:
            height, width = feature_map.shape[-2:]
            raise ValueError(
                f"the last map is {height} x {width} but position_size is {self.config.position_size}: "
                f"pictures must be {self.config.position_size * 2 ** len(self.stages)} pixels on a side"
            )
        return feature_map + self.positions


class SmallCnnForImageClassification(SmallCnnPreTrainedModel):
    """The backbone, the mean of its last map over places, and a linear layer."""

    def __init__(self, config: SmallCnnConfig) -> None:
        super().__init__(config)
        self.backbone = SmallCnnBackbone(config)
        self.classifier = nn.Linear(config.hidden_sizes[-1], config.num_labels)  # type: ignore[arg-type]
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
            output_hidden_states: Return the maps of all stages.
            kwargs: For the loss, such as `num_items_in_batch`.
        """
        maps = self.backbone.stage_maps(pixel_values)
        logits = self.classifier(maps[-1].mean((2, 3)))  # B K
        loss = self.loss_function(labels, logits, self.config, **kwargs) if labels is not None else None
        return ImageClassifierOutputWithNoAttention(
            loss=loss, logits=logits, hidden_states=maps if output_hidden_states else None
        )
