"""LeNet-5 (LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 86(11), 1998).

Two convolutions, each followed by a max-pool, then two dense layers: the layers that the deck prints row by row.

Axes: B batch, C channels, H height, W width, K classes.

| printed | here |
|---|---|
| conv2d, activation, max_pooling2d | `convolution1`, `relu`, `max_pool2d` |
| conv2d_1, activation_1, max_pooling2d_1 | `convolution2`, `relu`, `max_pool2d` |
| flatten, dense, activation_2 | `dense1`, `relu` |
| dense_1, activation_3 | `dense2`; the softmax is in the loss |

Departures: what is printed is not the net of 1998, which has 60,000 parameters (6 and 16 maps, a table of connections,
trainable averages, outputs that are distances). The activations are not printed: they are rectified here. Weights start
from He's normal distribution.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, max_pool2d, relu
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention
from transformers.utils import can_return_tuple

from .configuration_lenet5 import Lenet5Config


class Lenet5PreTrainedModel(PreTrainedModel):
    """Weights and loading of LeNet-5."""

    config_class = Lenet5Config
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d | nn.Linear):
            init.kaiming_normal_(module.weight, nonlinearity="relu")


class Lenet5ForImageClassification(Lenet5PreTrainedModel):
    """The whole net: 1,677,170 parameters for 100 classes."""

    def __init__(self, config: Lenet5Config) -> None:
        super().__init__(config)
        first, second = config.hidden_sizes
        side = config.image_size // 4
        self.convolution1 = nn.Conv2d(config.num_channels, first, kernel_size=5, padding=2)
        self.convolution2 = nn.Conv2d(first, second, kernel_size=5, padding=2)
        self.dense1 = nn.Linear(second * side * side, config.classifier_hidden_size)
        self.dense2 = nn.Linear(config.classifier_hidden_size, config.num_labels)  # type: ignore[arg-type]
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
            output_hidden_states: Return the two maps after their max-pools, of half and a quarter of the side.
            kwargs: For the loss, such as `num_items_in_batch`.

        Raises:
            ValueError: The pictures are not of `image_size`.
        """
        size = self.config.image_size
        if pixel_values.shape[-2:] != (size, size):
            height, width = pixel_values.shape[-2:]
            raise ValueError(f"pictures are {height} x {width} but the classifier takes {size} x {size} (image_size)")
        first = max_pool2d(relu(self.convolution1(pixel_values)), kernel_size=2)  # B C H/2 W/2
        second = max_pool2d(relu(self.convolution2(first)), kernel_size=2)  # B C H/4 W/4
        features = second.flatten(1)  # B C*H/4*W/4
        features = relu(self.dense1(dropout(features, self.config.dropout, self.training)))
        logits = self.dense2(dropout(features, self.config.dropout, self.training))  # B K
        loss = self.loss_function(labels, logits, self.config, **kwargs) if labels is not None else None
        return ImageClassifierOutputWithNoAttention(
            loss=loss, logits=logits, hidden_states=(first, second) if output_hidden_states else None
        )
