"""AlexNet (Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012).

Five convolutions and three fully connected layers, rectified, with dropout; conv2, conv4 and conv5 were split over two
GPUs, which is a convolution in two groups. The rectified activations of fc7 are the codes that later papers build on.

Axes: B batch, C channels, H height, W width, K classes.

| paper | here |
|---|---|
| f(x) = max(0, x), section 3.1 | `relu` |
| kernels connected to the maps of one GPU, section 3.2 and figure 2 | `groups=config.num_groups` |
| b = a / (k + alpha sum a^2)^beta, section 3.3 | `local_response_normalization` |
| overlapping pooling, z = 3 and s = 2, section 3.4 | `overlapping_max_pool` |
| 96, 256, 384, 384, 256 kernels, section 3.5 | `convolution1` ... `convolution5` |
| 4096, 4096, 1000 neurons, section 3.5 | `fc6`, `fc7`, `fc8` |
| dropout, section 4.2 | `dropout` |
| weights from N(0, 0.01), biases of 1, section 5 | `_init_weights` |

Departures: pictures have 227 pixels (with the 224 that are printed, conv1 does not give 55 x 55 maps), and the sum of
section 3.3 runs over neighboring maps of both GPUs, as the formula has it.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, max_pool2d, pad, relu
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, ImageClassifierOutputWithNoAttention
from transformers.utils import can_return_tuple

from .configuration_alexnet import POOL_KERNEL, POOL_STRIDE, AlexnetConfig

NEIGHBORS, ALPHA, BETA, BASE = 5, 1e-4, 0.75, 2.0  # n, alpha, beta and k of section 3.3


def local_response_normalization(feature_map: Tensor) -> Tensor:
    """Divide by the power of neighboring maps (section 3.3), in float32. (B, C, H, W) -> (B, C, H, W)."""
    full, maps = feature_map.float(), feature_map.shape[1]
    squares = pad(full.square(), (0, 0, 0, 0, NEIGHBORS // 2, NEIGHBORS // 2))  # B C+4 H W
    power = sum(squares[:, shift : shift + maps] for shift in range(NEIGHBORS))  # B C H W
    return (full * (BASE + ALPHA * power) ** -BETA).to(feature_map.dtype)


def overlapping_max_pool(feature_map: Tensor) -> Tensor:
    """Take the maximum of 3 x 3 windows, 2 apart (section 3.4). (B, C, H, W) -> (B, C, (H - 1) // 2, (W - 1) // 2)."""
    return max_pool2d(feature_map, POOL_KERNEL, POOL_STRIDE)


class AlexnetPreTrainedModel(PreTrainedModel):
    """Weights and loading shared by the AlexNet models."""

    config_class = AlexnetConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert module.bias is not None
            init.normal_(module.weight, std=self.config.initializer_range)
            init.zeros_(module.bias)


class AlexnetModel(AlexnetPreTrainedModel):
    """All layers but the last: pictures to the 4,096 activations of fc7."""

    def __init__(self, config: AlexnetConfig) -> None:
        super().__init__(config)
        first, second, third, fourth, fifth = config.hidden_sizes
        groups, width = config.num_groups, config.classifier_hidden_size
        self.convolution1 = nn.Conv2d(
            config.num_channels, first, config.stem_kernel_size, config.stem_stride, config.stem_padding
        )
        self.convolution2 = nn.Conv2d(first, second, kernel_size=5, padding=2, groups=groups)
        self.convolution3 = nn.Conv2d(second, third, kernel_size=3, padding=1)  # sees the maps of both GPUs
        self.convolution4 = nn.Conv2d(third, fourth, kernel_size=3, padding=1, groups=groups)
        self.convolution5 = nn.Conv2d(fourth, fifth, kernel_size=3, padding=1, groups=groups)
        self.fc6 = nn.Linear(fifth * config.map_sizes[-1] ** 2, width)
        self.fc7 = nn.Linear(width, width)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module in {self.convolution2, self.convolution4, self.convolution5, self.fc6, self.fc7}:
            init.ones_(module.bias)  # type: ignore[arg-type]  # so that what they feed to rectifiers starts positive

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        """Compute the codes of pictures.

        Args:
            pixel_values: (B, num_channels, image_size, image_size).
            output_hidden_states: Return the rectified activations of the five convolutions, before normalization.
            kwargs: Not read; what transformers passes to every model.

        Returns:
            `pooler_output` (B, classifier_hidden_size), the activations of fc7, and `last_hidden_state` (B, C, H, W),
            conv5 after its max-pool.

        Raises:
            ValueError: The pictures are not of `image_size`.
        """
        size = self.config.image_size
        if pixel_values.shape[-2:] != (size, size):
            height, width = pixel_values.shape[-2:]
            raise ValueError(f"pictures are {height} x {width} but the net takes {size} x {size} (image_size)")
        conv1 = relu(self.convolution1(pixel_values))
        conv2 = relu(self.convolution2(overlapping_max_pool(self._normalized(conv1))))
        conv3 = relu(self.convolution3(overlapping_max_pool(self._normalized(conv2))))
        conv4 = relu(self.convolution4(conv3))
        conv5 = relu(self.convolution5(conv4))
        last_map = overlapping_max_pool(conv5)
        codes = last_map.flatten(1)  # B C*H*W
        for layer in (self.fc6, self.fc7):
            codes = dropout(relu(layer(codes)), self.config.dropout, self.training)
        maps = (conv1, conv2, conv3, conv4, conv5) if output_hidden_states else None
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=last_map, pooler_output=codes, hidden_states=maps
        )

    def _normalized(self, feature_map: Tensor) -> Tensor:
        return local_response_normalization(feature_map) if self.config.local_response_normalization else feature_map


class AlexnetForImageClassification(AlexnetPreTrainedModel):
    """The whole net: 60,965,224 parameters on two GPUs and 62,378,344 on one, for 1,000 classes."""

    def __init__(self, config: AlexnetConfig) -> None:
        super().__init__(config)
        self.model = AlexnetModel(config)
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
            output_hidden_states: Return the rectified activations of the five convolutions.
            kwargs: For the loss, such as `num_items_in_batch`.

        Raises:
            ValueError: The pictures are not of `image_size`.
        """
        features = self.model(pixel_values, output_hidden_states=output_hidden_states)
        logits = self.fc8(features.pooler_output)  # B K
        loss = self.loss_function(labels, logits, self.config, **kwargs) if labels is not None else None
        return ImageClassifierOutputWithNoAttention(loss=loss, logits=logits, hidden_states=features.hidden_states)
