"""VGG (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", arXiv 1409.1556).

Stacks of 3 x 3 convolutions, each stack followed by a 2 x 2 max-pool, then three fully connected layers. Captioners of
2015 attend to the last map before the last max-pool: conv5_4 of VGG-19, 14 x 14 x 512, is `stage5` of the backbone.

Axes: B batch, C channels, H height, W width, K classes.

| paper | here |
|---|---|
| conv1_1, conv1_2, ... conv5_3 (Table 1) | `backbone.stages[0].convolutions[0]`, `[0].convolutions[1]`, ... |
| maxpool | between stages; a stage's feature map is taken before it |
| FC-4096, FC-4096, FC-1000 | `fc6`, `fc7`, `fc8` |

Departure: weights start from He's normal distribution instead of a shallower trained net (section 3.1), so that any
depth trains from scratch.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, max_pool2d, relu
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.backbone_utils import BackboneMixin
from transformers.modeling_outputs import BackboneOutput, ImageClassifierOutputWithNoAttention
from transformers.utils import can_return_tuple

from .configuration_vgg import VggConfig


class VggPreTrainedModel(PreTrainedModel):
    """Weights and loading shared by the VGG models."""

    config_class = VggConfig
    base_model_prefix = "backbone"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d | nn.Linear):
            init.kaiming_normal_(module.weight, nonlinearity="relu")


class VggStage(nn.Module):
    """A stack of 3 x 3 convolutions. (B, C, H, W) -> (B, C', H, W)."""

    def __init__(self, in_channels: int, out_channels: int, depth: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(in_channels if index == 0 else out_channels, out_channels, kernel_size=3, padding=1)
            for index in range(depth)
        )

    def forward(self, feature_map: Tensor) -> Tensor:
        """Convolve without changing height and width."""
        for convolution in self.convolutions:
            feature_map = relu(convolution(feature_map))
        return feature_map


class VggBackbone(BackboneMixin, VggPreTrainedModel):
    """The convolutions. For pictures of 224 pixels the maps have sides 224, 112, 56, 28 and 14."""

    has_attentions = False

    def __init__(self, config: VggConfig) -> None:
        super().__init__(config)
        self.num_features = list(config.hidden_sizes)
        sizes = config.hidden_sizes
        self.stages = nn.ModuleList(
            VggStage(before, size, depth)
            for before, size, depth in zip([config.num_channels, *sizes], sizes, config.depths, strict=False)
        )
        self.post_init()

    def stage_maps(self, pixel_values: Tensor, num_stages: int) -> tuple[Tensor, ...]:
        """Maps of the first stages, each before its max-pool. (B, num_channels, H, W) -> (B, C, H / 2**i, W / 2**i)."""
        maps: list[Tensor] = []
        for stage in self.stages[:num_stages]:
            maps.append(stage(max_pool2d(maps[-1], kernel_size=2) if maps else pixel_values))
        return tuple(maps)

    @can_return_tuple
    def forward(self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs: Any) -> BackboneOutput:
        """Compute the maps that `config.out_features` names, and no stage after the last of them.

        Args:
            pixel_values: (B, num_channels, H, W).
            output_hidden_states: Return the maps of all computed stages as well.
            kwargs: Not read; what transformers passes to every backbone.
        """
        indices = [self.stage_names.index(name) for name in self.out_features]
        maps = self.stage_maps(pixel_values, max(indices) + 1)
        chosen: Any = tuple(maps[index] for index in indices)  # upstream declares a tuple of one
        return BackboneOutput(feature_maps=chosen, hidden_states=maps if output_hidden_states else None)


class VggForImageClassification(VggPreTrainedModel):
    """The whole net: 138,357,544 parameters with 16 layers and 143,667,240 with 19, for 1,000 classes."""

    def __init__(self, config: VggConfig) -> None:
        super().__init__(config)
        self.backbone = VggBackbone(config)
        side = config.image_size // 32
        self.fc6 = nn.Linear(config.hidden_sizes[-1] * side * side, config.classifier_hidden_size)
        self.fc7 = nn.Linear(config.classifier_hidden_size, config.classifier_hidden_size)
        self.fc8 = nn.Linear(config.classifier_hidden_size, config.num_labels)  # type: ignore[arg-type]
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
            pixel_values: (B, num_channels, image_size, image_size).
            labels: (B,), class of each picture.
            output_hidden_states: Return the maps of the five stages.
            kwargs: For the loss, such as `num_items_in_batch`.

        Raises:
            ValueError: The pictures are not of `image_size`.
        """
        size = self.config.image_size
        if pixel_values.shape[-2:] != (size, size):
            height, width = pixel_values.shape[-2:]
            raise ValueError(f"pictures are {height} x {width} but the classifier takes {size} x {size} (image_size)")
        maps = self.backbone.stage_maps(pixel_values, num_stages=5)
        features = max_pool2d(maps[-1], kernel_size=2).flatten(1)  # B C*H*W
        for layer in (self.fc6, self.fc7):
            features = dropout(relu(layer(features)), self.config.dropout, self.training)
        logits = self.fc8(features)  # B K
        loss = self.loss_function(labels, logits, self.config, **kwargs) if labels is not None else None
        return ImageClassifierOutputWithNoAttention(
            loss=loss, logits=logits, hidden_states=maps if output_hidden_states else None
        )
