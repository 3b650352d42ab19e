"""Highway networks (Srivastava, Greff and Schmidhuber, arXiv 1505.00387 and 1507.06228, both 2015).

A layer transforms its input where a gate is open and carries it unchanged where the gate is closed. Gates that begin
almost closed let gradients pass through a hundred layers.

Axes: B batch, C channels or units, H height, W width, K classes. A place-free map of a dense network is (B, C).

| paper | here |
|---|---|
| y = H(x, W_H), Eq. 1 | `PlainLayer` |
| y = H(x, W_H) T(x, W_T) + x (1 - T(x, W_T)), Eq. 3 | `HighwayLayer` |
| dy/dx = I where T = 0, H' where T = 1, Eq. 5 | `HighwayLayer` |
| T(x) = sigmoid(W_T x + b_T), section 2.2 | `gate` and `gate_bias`, which begins at `transform_bias` |

H is a ReLU layer. Departures are on the card.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_highway_network import HighwayNetworkConfig


@dataclass
class HighwayNetworkOutput(ModelOutput):
    """What [`HighwayNetworkForImageClassification`] returns.

    Attributes:
        loss: (), mean over pictures, when labels are given.
        logits: (B, K).
        hidden_states: Of each layer what it gives, (B, C) or (B, C, H, W), when asked for.
        transform_gates: Of each highway layer its gates in (0, 1), (B, C) or (B, C, H, W), when asked for.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    transform_gates: tuple[Tensor, ...] | None = None


def affine(form: str, in_size: int, out_size: int, bias: bool = True) -> nn.Module:
    """W x + b: over units, or a 3 x 3 convolution that keeps height and width."""
    if form == "dense":
        return nn.Linear(in_size, out_size, bias)
    return nn.Conv2d(in_size, out_size, kernel_size=3, padding=1, bias=bias)


class PlainLayer(nn.Module):
    """y = H(x), Eq. 1. (B, C) -> (B, C'), or (B, C, H, W) -> (B, C', H, W)."""

    def __init__(self, form: str, in_size: int, out_size: int) -> None:
        super().__init__()
        self.transform = affine(form, in_size, out_size)

    def forward(self, features: Tensor) -> Tensor:
        """Transform."""
        return relu(self.transform(features))


class HighwayLayer(nn.Module):
    """y = H(x) T(x) + x (1 - T(x)), Eq. 3. (B, C) -> (B, C), or (B, C, H, W) -> the same, and its gates T."""

    def __init__(self, form: str, size: int) -> None:
        super().__init__()
        self.transform = affine(form, size, size)
        self.gate = affine(form, size, size, bias=False)
        self.gate_bias = nn.Parameter(torch.empty(size if form == "dense" else (size, 1, 1)))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Transform where gates are open, carry where they are closed."""
        opening = (self.gate(features) + self.gate_bias).sigmoid()  # T
        return relu(self.transform(features)) * opening + features * (1 - opening), opening


class HighwayNetworkPreTrainedModel(PreTrainedModel):
    """Weights and loading of highway networks."""

    config_class = HighwayNetworkConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d | nn.Linear):
            init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, HighwayLayer):
            init.constant_(module.gate_bias, self.config.transform_bias)


class HighwayNetworkForImageClassification(HighwayNetworkPreTrainedModel):
    """Stages of one plain layer and highway layers, and a linear classifier."""

    def __init__(self, config: HighwayNetworkConfig) -> None:
        super().__init__(config)
        is_dense = config.form == "dense"
        before = config.num_channels * config.image_size**2 if is_dense else config.num_channels
        self.stages = nn.ModuleList()
        for size, depth in zip(config.hidden_sizes, config.depths, strict=True):
            stage = nn.ModuleList([PlainLayer(config.form, before, size)])
            for _ in range(depth - 1):
                stage.append(HighwayLayer(config.form, size) if config.gated else PlainLayer(config.form, size, size))
            self.stages.append(stage)
            before = size
        self.classifier = nn.Linear(before, config.num_labels)  # type: ignore[arg-type]
        self.post_init()

    def layer_outputs(self, pixel_values: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """What each layer gives, and the gates of each highway layer. (B, num_channels, H, W) -> lists."""
        is_dense = self.config.form == "dense"
        features = pixel_values.flatten(1) if is_dense else pixel_values  # B C*H*W, or B C H W
        states: list[Tensor] = []
        gates: list[Tensor] = []
        stage: Any
        for stage in self.stages:
            if states and not is_dense:
                features = max_pool2d(features, kernel_size=2)  # B C H/2 W/2
            for layer in stage:
                if isinstance(layer, HighwayLayer):
                    features, opening = layer(features)
                    gates.append(opening)
                else:
                    features = layer(features)
                states.append(features)
        return states, gates

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_gates: bool = False,
        **kwargs: Any,
    ) -> HighwayNetworkOutput:
        """Classify pictures.

        Args:
            pixel_values: (B, num_channels, H, W), of `image_size` where layers are dense.
            labels: (B,), class of each picture.
            output_hidden_states: Return what each layer gives.
            output_gates: Return the gates of each highway layer; a plain network has none.
            kwargs: For the loss, such as `num_items_in_batch`.

        Raises:
            ValueError: The pictures are not of `image_size`, and layers are dense.
        """
        size, (height, width) = self.config.image_size, pixel_values.shape[-2:]
        if self.config.form == "dense" and (height, width) != (size, size):
            raise ValueError(f"pictures are {height} x {width} but the classifier takes {size} x {size} (image_size)")
        states, gates = self.layer_outputs(pixel_values)
        last = states[-1] if self.config.form == "dense" else states[-1].mean((2, 3))  # B C
        logits = self.classifier(last)  # B K
        loss = self.loss_function(labels, logits, self.config, **kwargs) if labels is not None else None
        return HighwayNetworkOutput(
            loss=loss,
            logits=logits,
            hidden_states=tuple(states) if output_hidden_states else None,
            transform_gates=tuple(gates) if output_gates else None,
        )
