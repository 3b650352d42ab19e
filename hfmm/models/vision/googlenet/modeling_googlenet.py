"""GoogLeNet (Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, arXiv 1409.4842).

An inception looks at its input through 1 x 1, 3 x 3 and 5 x 5 convolutions and a max-pool side by side, the costly ones
behind 1 x 1 convolutions that reduce channels. Nine of them, and the mean over places instead of hidden layers.

Axes: B batch, C channels, H height, W width, K classes.

| paper | here |
|---|---|
| inception with dimension reductions, figure 2b | `GooglenetInception` |
| 3a ... 5b, table 1 | `backbone.inceptions["3a"]` ... `["5b"]` |
| LocalRespNorm, figure 3 | `local_response_norm` |
| avg pool, 1,024 codes of a picture, table 1 | `GooglenetModel`: `pooler_output` |
| auxiliary classifiers, section 5 | `GooglenetAuxiliaryHead` |
| loss + 0.3 (auxiliary losses), section 5 | `GooglenetForImageClassification.forward` |

Departures: the constants of LocalRespNorm are not printed, and those of AlexNet stand here; nor is the initialization,
which is He's normal distribution. The last pool is the mean over all places, 7 x 7 of them for pictures of 224 pixels.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, dropout, local_response_norm, max_pool2d, relu
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.backbone_utils import BackboneMixin
from transformers.modeling_outputs import BackboneOutput, BaseModelOutputWithPoolingAndNoAttention
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_googlenet import AUXILIARY_AFTER, AUXILIARY_POOL, AUXILIARY_STRIDE, GooglenetConfig

BATCH_NORM_EPSILON = 1e-3  # torchvision's, and that of the authors' later nets


@dataclass
class GooglenetOutput(ModelOutput):
    """What [`GooglenetForImageClassification`] returns.

    Attributes:
        loss: (), mean over pictures, with those of the auxiliary heads in training, when labels are given.
        logits: (B, K).
        auxiliary_logits: Of the heads after 4a and 4d, each (B, K); in training only.
        hidden_states: Maps of the five stages, when asked for.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    auxiliary_logits: tuple[Tensor, ...] | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class GooglenetPreTrainedModel(PreTrainedModel):
    """Weights and loading shared by the GoogLeNet models."""

    config_class = GooglenetConfig
    base_model_prefix = "backbone"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d | nn.Linear):
            init.kaiming_normal_(module.weight, nonlinearity="relu")


class GooglenetConvolution(nn.Module):
    """A convolution of odd side, rectified. (B, C, H, W) -> (B, C', H / stride, W / stride)."""

    def __init__(self, in_channels: int, out_channels: int, side: int, normalization: str, stride: int = 1) -> None:
        super().__init__()
        batch = normalization == "batch"
        self.convolution = nn.Conv2d(in_channels, out_channels, side, stride, padding=side // 2, bias=not batch)
        self.normalization = nn.BatchNorm2d(out_channels, BATCH_NORM_EPSILON) if batch else nn.Identity()

    def forward(self, feature_map: Tensor) -> Tensor:
        """Convolve."""
        return relu(self.normalization(self.convolution(feature_map)))


class GooglenetInception(nn.Module):
    """Four branches side by side (figure 2b). (B, C, H, W) -> (B, C', H, W)."""

    def __init__(self, in_channels: int, sizes: list[int], config: GooglenetConfig) -> None:
        super().__init__()
        one, three_reduce, three, five_reduce, five, pool_projection = sizes
        kind = config.normalization
        self.one = GooglenetConvolution(in_channels, one, 1, kind)
        self.three_reduce = GooglenetConvolution(in_channels, three_reduce, 1, kind)
        self.three = GooglenetConvolution(three_reduce, three, 3, kind)
        self.five_reduce = GooglenetConvolution(in_channels, five_reduce, 1, kind)
        self.five = GooglenetConvolution(five_reduce, five, config.wide_kernel_size, kind)
        self.pool_projection = GooglenetConvolution(in_channels, pool_projection, 1, kind)
        self.num_features = one + three + five + pool_projection

    def forward(self, feature_map: Tensor) -> Tensor:
        """Look at several scales at once."""
        branches = (
            self.one(feature_map),
            self.three(self.three_reduce(feature_map)),
            self.five(self.five_reduce(feature_map)),
            self.pool_projection(max_pool2d(feature_map, kernel_size=3, stride=1, padding=1)),
        )
        return torch.cat(branches, dim=1)  # B C' H W


class GooglenetBackbone(BackboneMixin, GooglenetPreTrainedModel):
    """All but the classifiers. For pictures of 224 pixels the maps have sides 112, 56, 28, 14 and 7."""

    has_attentions = False

    def __init__(self, config: GooglenetConfig) -> None:
        super().__init__(config)
        first, second, third = config.stem_sizes
        kind = config.normalization
        self.convolution1 = GooglenetConvolution(config.num_channels, first, 7, kind, stride=2)
        self.convolution2_reduce = GooglenetConvolution(first, second, 1, kind)
        self.convolution2 = GooglenetConvolution(second, third, 3, kind)
        self.inceptions = nn.ModuleDict()
        size, sizes = third, {}
        assert config.inceptions is not None
        for name, row in config.inceptions.items():
            inception = GooglenetInception(size, row, config)
            self.inceptions[name] = inception
            size = sizes[name] = inception.num_features
        self.last_of_stage = [config.last_of_stage(stage) for stage in (3, 4, 5)]
        self.num_features = [first, third, *(sizes[name] for name in self.last_of_stage)]
        self.num_features_of = sizes
        self.post_init()

    def maps(self, pixel_values: Tensor) -> dict[str, Tensor]:
        """The maps of stem and inceptions, each (B, C, H', W'), by their names in table 1, before max-pools."""
        maps = {"conv1": self.convolution1(pixel_values)}
        pooled = self._normalized(max_pool2d(maps["conv1"], kernel_size=3, stride=2, ceil_mode=True))
        maps["conv2"] = self._normalized(self.convolution2(self.convolution2_reduce(pooled)))
        feature_map = max_pool2d(maps["conv2"], kernel_size=3, stride=2, ceil_mode=True)
        last_of_3, last_of_4, _ = self.last_of_stage
        for name, inception in self.inceptions.items():
            feature_map = maps[name] = inception(feature_map)
            if name == last_of_3:
                feature_map = max_pool2d(feature_map, kernel_size=3, stride=2, ceil_mode=True)
            elif name == last_of_4:
                feature_map = max_pool2d(feature_map, self.config.last_pool_size, stride=2, ceil_mode=True)
        return maps

    def stage_maps(self, maps: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """The five of them that end a stage."""
        return tuple(maps[name] for name in ("conv1", "conv2", *self.last_of_stage))

    @can_return_tuple
    def forward(self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs: Any) -> BackboneOutput:
        """Compute the maps that `config.out_features` names.

        Args:
            pixel_values: (B, num_channels, H, W).
            output_hidden_states: Return the maps of all stages as well.
            kwargs: Not read; what transformers passes to every backbone.
        """
        maps = self.stage_maps(self.maps(pixel_values))
        chosen: Any = tuple(maps[self.stage_names.index(name)] for name in self.out_features)  # upstream: one
        return BackboneOutput(feature_maps=chosen, hidden_states=maps if output_hidden_states else None)

    def _normalized(self, feature_map: Tensor) -> Tensor:
        """Divide by the power of five neighboring maps, in float32, unless batches normalize."""
        if self.config.normalization == "batch":
            return feature_map
        normalized = local_response_norm(feature_map.float(), size=5, alpha=5 * 1e-4, beta=0.75, k=2.0)
        return normalized.to(feature_map.dtype)


class GooglenetModel(GooglenetPreTrainedModel):
    """Pictures to codes: the mean of the last map over places, 1,024 numbers with the sizes of the paper."""

    def __init__(self, config: GooglenetConfig) -> None:
        super().__init__(config)
        self.backbone = GooglenetBackbone(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        """Compute the codes of pictures.

        Args:
            pixel_values: (B, num_channels, H, W).
            output_hidden_states: Return the maps of the five stages.
            kwargs: Not read; what transformers passes to every model.

        Returns:
            `pooler_output` (B, C), and `last_hidden_state` (B, C, H', W'), the map that it is the mean of.
        """
        maps = self.backbone.stage_maps(self.backbone.maps(pixel_values))
        hidden_states = maps if output_hidden_states else None
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=maps[-1], pooler_output=maps[-1].mean((2, 3)), hidden_states=hidden_states
        )


class GooglenetAuxiliaryHead(nn.Module):
    """A small classifier of maps in the middle (section 5). (B, C, H, W) -> (B, K)."""

    def __init__(self, in_channels: int, config: GooglenetConfig) -> None:
        super().__init__()
        channels, width = config.auxiliary_channels, config.auxiliary_hidden_size
        self.dropout = config.auxiliary_dropout
        self.projection = GooglenetConvolution(in_channels, channels, 1, config.normalization)
        self.hidden = nn.Linear(channels * config.auxiliary_map_size**2, width)
        self.classifier = nn.Linear(width, config.num_labels)  # type: ignore[arg-type]

    def forward(self, feature_map: Tensor) -> Tensor:
        """Classify."""
        pooled = avg_pool2d(feature_map, AUXILIARY_POOL, AUXILIARY_STRIDE)
        features = relu(self.hidden(self.projection(pooled).flatten(1)))  # B width
        return self.classifier(dropout(features, self.dropout, self.training))


class GooglenetForImageClassification(GooglenetPreTrainedModel):
    """The whole net: 6,998,552 parameters for 1,000 classes, and 13,378,280 with the heads that only train."""

    def __init__(self, config: GooglenetConfig) -> None:
        super().__init__(config)
        self.backbone = GooglenetBackbone(config)
        self.classifier = nn.Linear(self.backbone.num_features[-1], config.num_labels)  # type: ignore[arg-type]
        watched = AUXILIARY_AFTER if config.auxiliary_heads else ()
        self.auxiliary_heads = nn.ModuleDict(
            {name: GooglenetAuxiliaryHead(self.backbone.num_features_of[name], config) for name in watched}
        )
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> GooglenetOutput:
        """Classify pictures.

        Args:
            pixel_values: (B, num_channels, H, W), `image_size` wide and high where auxiliary heads train.
            labels: (B,), class of each picture.
            output_hidden_states: Return the maps of the five stages.
            kwargs: For the loss, such as `num_items_in_batch`.

        Raises:
            ValueError: Auxiliary heads train and the pictures are not of `image_size`.
        """
        maps = self.backbone.maps(pixel_values)
        codes = self.backbone.stage_maps(maps)[-1].mean((2, 3))  # B C
        logits = self.classifier(dropout(codes, self.config.dropout, self.training))  # B K
        auxiliary_logits = None
        if self.training and self.auxiliary_heads:
            self._check_size(pixel_values)
            auxiliary_logits = tuple(head(maps[name]) for name, head in self.auxiliary_heads.items())
        loss = None
        if labels is not None:
            loss = self.loss_function(labels, logits, self.config, **kwargs)
            for guess in auxiliary_logits or ():
                loss = loss + self.config.auxiliary_weight * self.loss_function(labels, guess, self.config, **kwargs)
        hidden_states = self.backbone.stage_maps(maps) if output_hidden_states else None
        return GooglenetOutput(loss=loss, logits=logits, auxiliary_logits=auxiliary_logits, hidden_states=hidden_states)

    def _check_size(self, pixel_values: Tensor) -> None:
        size, (height, width) = self.config.image_size, pixel_values.shape[-2:]
        if (height, width) != (size, size):
            raise ValueError(f"pictures are {height} x {width} but auxiliary heads take {size} x {size} (image_size)")
