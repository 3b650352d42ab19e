"""Conditional Gated PixelCNN (van den Oord et al., NIPS 2016, arXiv 1606.05328; order and masks: arXiv 1601.06759).

A picture's likelihood is the product of its pixels', each given those above it and those on its left, and of a pixel's
channels, each given those before it. Two stacks of convolutions see exactly that: one all rows above, one the row.

Axes: B batch, N levels, C channels, H height, W width, P feature maps, D numbers of a condition.

| paper | here |
|---|---|
| p(x) = prod_i p(x_i given x_1 ... x_i-1), Eq. 1 | `PixelcnnModel.log_likelihood` |
| y = tanh(W_f * x) . sigmoid(W_g * x), Eq. 2 | `gate` |
| vertical and horizontal stack, section 2.2 and figure 2 | `PixelcnnLayer` |
| masks A and B, 1601.06759 figure 2 | `MaskedConv2d` |
| p(x given h) = prod_i p(x_i given x_1 ... x_i-1, h), Eq. 3 | `condition` of `PixelcnnModel.forward` |
| V^T h inside the gates, Eq. 4 | `PixelcnnLayer.vector` |
| V * s inside the gates, Eq. 5 | `PixelcnnLayer.map` |
| the blind spot of one stack, figure 1 | `SingleStackLayer` |

Departures: the vertical stack's first layer sees the rows above and the others the row itself as well, which is the
paper's shift; s of Eq. 5 is given, not made of h by a deconvolution; the first horizontal layer has no residual.
"""

from dataclasses import dataclass
from math import log
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy, one_hot, pad
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_pixelcnn import PixelcnnConfig


@dataclass
class PixelcnnOutput(ModelOutput):
    """What [`PixelcnnModel`] returns.

    Attributes:
        loss: (), the negative log-likelihood in nats a picture.
        losses: `bits_per_dim`, (), the same in bits a value.
        logits: (B, N, C, H, W), of the levels of each value given those before it.
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    logits: Tensor | None = None


def gate(features: Tensor) -> Tensor:
    """Tanh of the first half of the maps times the sigmoid of the second, Eq. 2. (B, 2 P, ...) -> (B, P, ...)."""
    content, passes = features.chunk(2, dim=1)
    return content.tanh() * passes.sigmoid()


def channel_of(maps: int, channels: int) -> list[int]:
    """The channel that each feature map belongs to: contiguous, equal shares as far as they go."""
    return [index * channels // maps for index in range(maps)]


def labels_of(config: PixelcnnConfig) -> int:
    """How many classes there are to condition on."""
    return (config.num_labels or 0) if config.label_condition else 0


class MaskedConv2d(nn.Module):
    """A convolution that sees the rows above, what is left of the pixel, and of the pixel itself some of its channels.

    It is no `nn.Conv2d`: what is added to one's output, such as an adapter's, would not be masked.

    Args:
        before: The channel that each input map belongs to.
        after: The channel that each output map belongs to.
        left: Columns seen on the left, and on the right in the rows above.
        above: Rows seen above.
        sees_itself: Mask B, a channel sees itself in the pixel; mask A, only the channels before it.
    """

    def __init__(
        self, before: list[int], after: list[int], left: int = 0, above: int = 0, sees_itself: bool = True
    ) -> None:
        super().__init__()
        self.before, self.after, self.left, self.sees_itself = before, after, left, sees_itself
        self.padding = (left, left if above else 0, above, 0)
        shape = len(after), len(before), above + 1, left + 1 + self.padding[1]
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(len(after)))
        self.register_buffer("mask", torch.empty(shape), persistent=False)
        self.mask: Tensor

    def make_mask(self) -> Tensor:
        """1 where a weight may be read, 0 elsewhere; of the weight's shape."""
        mask = torch.ones(self.weight.shape, device="cpu")
        before, after = torch.tensor(self.before, device="cpu"), torch.tensor(self.after, device="cpu")[:, None]
        mask[:, :, -1, self.left] = ((after >= before) if self.sees_itself else (after > before)).float()
        mask[:, :, -1, self.left + 1 :] = 0
        return mask

    def masked_weight(self) -> Tensor:
        """What is convolved with. (maps after, maps before, rows, columns)."""
        return self.weight * self.mask

    def forward(self, features: Tensor) -> Tensor:
        """(B, maps before, H, W) -> (B, maps after, H, W)."""
        return conv2d(pad(features, self.padding), self.masked_weight(), self.bias)


class GatedLayer(nn.Module):
    """What the layers of two stacks and of one share: their sizes, and what conditions add inside the gates."""

    def __init__(self, config: PixelcnnConfig, first: bool, stacks: int) -> None:
        super().__init__()
        self.first = first
        self.reach = (config.first_kernel_size if first else config.kernel_size) // 2
        size, channels = config.hidden_size, config.num_channels
        self.maps_before = channels if first else size
        self.before, self.inside = channel_of(self.maps_before, channels), channel_of(size, channels)
        width = labels_of(config) + config.condition_size
        spatial = config.spatial_condition_channels
        gates = 2 * size * stacks
        self.vector = nn.Linear(width, gates, bias=False) if width else None  # V_f and V_g of every stack, Eq. 4
        self.map = nn.Conv2d(spatial, gates, 1, bias=False) if spatial else None  # Eq. 5

    def condition(self, vector: Tensor | None, spatial: Tensor | None) -> Tensor | None:
        """What is added inside the gates. (B, D) and (B, S, H, W) -> (B, gates, 1 or H, 1 or W), or None."""
        added = None
        if vector is not None and self.vector is not None:
            added = self.vector(vector)[:, :, None, None]
        if spatial is not None and self.map is not None:
            added = self.map(spatial) if added is None else added + self.map(spatial)
        return added


class PixelcnnLayer(GatedLayer):
    """A layer of both stacks (figure 2): the vertical one never sees the horizontal one."""

    def __init__(self, config: PixelcnnConfig, first: bool) -> None:
        super().__init__(config, first, stacks=2)
        size, reach = config.hidden_size, self.reach
        rows = reach if first else reach + 1  # the first sees rows above alone, which makes all that follows causal
        self.vertical = nn.Conv2d(self.maps_before, 2 * size, (rows, 2 * reach + 1))
        self.vertical_to_horizontal = nn.Conv2d(2 * size, 2 * size, 1)
        self.horizontal = MaskedConv2d(self.before, self.inside * 2, left=reach, sees_itself=not first)
        self.output = MaskedConv2d(self.inside, self.inside)

    def forward(self, above: Tensor, left: Tensor, added: Tensor | None) -> tuple[Tensor, Tensor]:
        """Two of (B, maps before, H, W), of the vertical and of the horizontal stack -> two of (B, P, H, W)."""
        reach = self.reach
        window = pad(above, (reach, reach, reach, -1 if self.first else 0))
        to_vertical, to_horizontal = added.chunk(2, dim=1) if added is not None else (0, 0)
        seen_above = self.vertical(window) + to_vertical  # B 2P H W
        seen = self.horizontal(left) + self.vertical_to_horizontal(seen_above) + to_horizontal  # B 2P H W
        out = self.output(gate(seen))
        return gate(seen_above), out if self.first else left + out


class SingleStackLayer(GatedLayer):
    """One stack of masked kernels: with depth it never sees a triangle up on the right (figure 1, top right)."""

    def __init__(self, config: PixelcnnConfig, first: bool) -> None:
        super().__init__(config, first, stacks=1)
        reach = self.reach
        self.masked = MaskedConv2d(self.before, self.inside * 2, left=reach, above=reach, sees_itself=not first)
        self.output = MaskedConv2d(self.inside, self.inside)

    def forward(self, above: Tensor, left: Tensor, added: Tensor | None) -> tuple[Tensor, Tensor]:
        """As [`PixelcnnLayer`]; what is above is passed on unread."""
        seen = self.masked(left) + (added if added is not None else 0)
        out = self.output(gate(seen))
        return above, out if self.first else left + out


class PixelcnnPreTrainedModel(PreTrainedModel):
    """Weights and loading of PixelCNN."""

    config_class = PixelcnnConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear | MaskedConv2d):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        if isinstance(module, MaskedConv2d):
            init.copy_(module.mask, module.make_mask())


class PixelcnnModel(PixelcnnPreTrainedModel):
    """Logits of every pixel given those before it, their likelihood, and pictures drawn of them."""

    def __init__(self, config: PixelcnnConfig) -> None:
        super().__init__(config)
        kind = SingleStackLayer if config.single_stack else PixelcnnLayer
        self.layers = nn.ModuleList(kind(config, first=index == 0) for index in range(config.num_layers))
        channels, head = config.num_channels, channel_of(config.head_size, config.num_channels)
        values = [channel for channel in range(channels) for _ in range(config.num_levels)]
        self.hidden = MaskedConv2d(channel_of(config.hidden_size, channels), head)
        self.output = MaskedConv2d(head, values)
        self.post_init()

    def levels(self, pixel_values: Tensor) -> Tensor:
        """The level of each value, an integer. Any shape, in [0, 1] -> the same, 0 to N - 1."""
        return (pixel_values * (self.config.num_levels - 1)).round().long()

    def rounded(self, pixel_values: Tensor) -> Tensor:
        """Each value at its level. Any shape, in [0, 1] -> the same."""
        return self.levels(pixel_values).to(pixel_values) / (self.config.num_levels - 1)

    def conditions(
        self, labels: Tensor | None, condition: Tensor | None, spatial_condition: Tensor | None
    ) -> list[Tensor | None]:
        """What each layer adds inside its gates; see `forward`. A part that is not given is zero.

        Raises:
            ValueError: A condition is given that the configuration has no place for.
        """
        config, like = self.config, next(self.parameters())
        given = {
            "labels": (labels, config.label_condition),
            "condition": (condition, config.condition_size),
            "spatial_condition": (spatial_condition, config.spatial_condition_channels),
        }
        for name, (value, place) in given.items():
            if value is not None and not place:
                raise ValueError(f"{name}: the configuration has no place for it")
        vector = None
        if labels is not None or condition is not None:
            count, classes = len(labels if labels is not None else condition), labels_of(config)  # type: ignore[arg-type]
            vector = like.new_zeros(count, classes + config.condition_size)  # B D
            if labels is not None:
                vector[:, :classes] = one_hot(labels, classes).to(like)
            if condition is not None:
                vector[:, classes:] = condition
        layers: list[Any] = list(self.layers)
        return [layer.condition(vector, spatial_condition) for layer in layers]

    def logits(self, rounded: Tensor, added: list[Tensor | None]) -> Tensor:
        """The net. (B, C, H, W), values at their levels, and what `conditions` gives -> (B, N, C, H, W)."""
        above = left = rounded
        for layer, more in zip(self.layers, added, strict=True):
            above, left = layer(above, left, more)  # each B P H W
        return self.spread(self.output(self.hidden(left.relu()).relu()))

    def spread(self, values: Tensor) -> Tensor:
        """The last layer's maps as levels of channels. (B, C N, ...) -> (B, N, C, ...)."""
        return values.unflatten(1, (self.config.num_channels, self.config.num_levels)).transpose(1, 2)

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        condition: Tensor | None = None,
        spatial_condition: Tensor | None = None,
        **kwargs: Any,
    ) -> PixelcnnOutput:
        """Predict every value of a picture from those before it.

        Args:
            pixel_values: (B, C, H, W), in [0, 1]; rounded to the nearest level.
            labels: (B,), classes to condition on.
            condition: (B, condition_size), vectors to condition on.
            spatial_condition: (B, spatial_condition_channels, H, W), a map to condition on.
            kwargs: Not read; what transformers passes to every model.
        """
        added = self.conditions(labels, condition, spatial_condition)
        logits = self.logits(self.rounded(pixel_values), added)
        loss = self.nats_of(pixel_values, logits).sum((1, 2, 3)).mean()
        bits = loss / (log(2) * pixel_values[0].numel())
        return PixelcnnOutput(loss=loss, losses={"bits_per_dim": bits}, logits=logits)

    def nats_of(self, pixel_values: Tensor, logits: Tensor) -> Tensor:
        """Surprise at each value given those before it. (B, C, H, W), (B, N, C, H, W) -> (B, C, H, W)."""
        return cross_entropy(logits, self.levels(pixel_values), reduction="none")

    def log_likelihood(self, pixel_values: Tensor, generator: torch.Generator | None = None, **given: Any) -> Tensor:
        """Log p(x), Eq. 1, or log p(x given h), Eq. 3, in nats: exact, nothing is drawn. (B, C, H, W) -> (B,)."""
        return -self.nats_of(pixel_values, self(pixel_values, **given).logits).sum((1, 2, 3))

    @torch.no_grad()
    def generate_images(
        self,
        num_images: int = 1,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        prefix_pixels: Tensor | None = None,
        labels: Tensor | None = None,
        condition: Tensor | None = None,
        spatial_condition: Tensor | None = None,
        use_cache: bool = True,
    ) -> Tensor:
        """Draw pictures value by value, in the order of their rows.

        Args:
            num_images: B.
            generator: Of the draws.
            temperature: Of the softmax: below 1, likelier pictures.
            prefix_pixels: (1 or B, C, rows, W), the first rows, which are kept.
            labels: (B,), classes to condition on.
            condition: (B, condition_size), vectors to condition on.
            spatial_condition: (B, spatial_condition_channels, H, W), a map to condition on.
            use_cache: Keep what the rows above and the pixels on the left lead to; the whole net runs anew for every
                value otherwise, and always with a single stack.

        Returns:
            (B, C, H, W), in [0, 1].

        Raises:
            ValueError: The temperature is not positive, or the first rows are not of the model's width or too many.
        """
        config, like = self.config, next(self.parameters())
        side = config.image_size
        if temperature <= 0:
            raise ValueError(f"temperature is {temperature}: it must be positive")
        picture = like.new_zeros(num_images, config.num_channels, side, side)
        start = 0
        if prefix_pixels is not None:
            start = prefix_pixels.shape[2]
            if start > side or prefix_pixels.shape[3] != side:
                raise ValueError(f"prefix_pixels: {tuple(prefix_pixels.shape)} are no first rows of {side} x {side}")
            picture[:, :, :start] = self.rounded(prefix_pixels.to(like))
        device = generator.device if generator is not None else like.device
        chance = torch.rand(picture.shape, generator=generator, device=device).to(like.device)
        added = self.conditions(labels, condition, spatial_condition)
        cached = use_cache and not config.single_stack
        reader = CachedReader(self, picture, added) if cached else WholeReader(self, picture, added)
        for row in range(side):
            reader.enter(row)
            if row < start:
                continue
            for column in range(side):
                for channel in range(config.num_channels):
                    logits = reader.read(row, column)[:, :, channel] / temperature  # B N
                    share = logits.float().softmax(1).cumsum(1)[:, :-1]  # of the levels up to each
                    level = (share < chance[:, channel, row, column, None]).sum(1)  # B
                    picture[:, channel, row, column] = level.to(like) / (config.num_levels - 1)
        return picture

    def complete(self, pixel_values: Tensor, rows: int, generator: torch.Generator | None = None) -> Tensor:
        """Keep the first rows of pictures and draw the others anew. (B, C, H, W) -> (B, C, H, W)."""
        return self.generate_images(len(pixel_values), generator, prefix_pixels=pixel_values[:, :, :rows])


class WholeReader:
    """Logits of a pixel by the whole net.

    Args:
        model: The model.
        picture: (B, C, H, W), which is written while it is read.
        added: What the model's `conditions` gives.
    """

    def __init__(self, model: PixelcnnModel, picture: Tensor, added: list[Tensor | None]) -> None:
        self.model, self.picture, self.added = model, picture, added

    def enter(self, row: int) -> None:
        """Begin a row: nothing is kept."""

    def read(self, row: int, column: int) -> Tensor:
        """(B, N, C), given all that is before the pixel, and its own channels as far as they are written."""
        return self.model.logits(self.picture, self.added)[:, :, :, row, column]


class CachedReader:
    """Logits of a pixel from what is kept: the vertical stack runs once a row, the horizontal one over its last pixels.

    Args:
        model: The model, of two stacks.
        picture: (B, C, H, W), which is written while it is read.
        added: What the model's `conditions` gives.
    """

    def __init__(self, model: PixelcnnModel, picture: Tensor, added: list[Tensor | None]) -> None:
        self.model, self.picture = model, picture
        self.layers: list[Any] = list(model.layers)
        batch, _, height, width = picture.shape
        self.added = [more.expand(-1, -1, height, width) if more is not None else None for more in added]
        # what each layer of the vertical stack reads, with the zeros around it; and the same of the horizontal one
        self.above = [
            picture.new_zeros(batch, layer.maps_before, height + layer.reach, width + 2 * layer.reach)
            for layer in self.layers
        ]
        self.left = [picture.new_zeros(batch, layer.maps_before, layer.reach + width) for layer in self.layers]
        self.from_above: list[Tensor] = []  # each B 2P W
        self.steps = [(_matrix(layer.horizontal), _matrix(layer.output)) for layer in self.layers]
        self.head = _matrix(model.hidden), _matrix(model.output)

    def enter(self, row: int) -> None:
        """Run the vertical stack over one row: what it reads of the rows above is kept."""
        width, reach = self.picture.shape[3], self.layers[0].reach
        if row:
            self.above[0][:, :, row - 1 + reach, reach : reach + width] = self.picture[:, :, row - 1]
        self.from_above = []
        for index, layer in enumerate(self.layers):
            more = self.added[index]
            to_vertical, to_horizontal = more[:, :, row : row + 1].chunk(2, dim=1) if more is not None else (0, 0)
            rows = layer.vertical.kernel_size[0]
            seen_above = layer.vertical(self.above[index][:, :, row : row + rows]) + to_vertical  # B 2P 1 W
            self.from_above.append((layer.vertical_to_horizontal(seen_above) + to_horizontal)[:, :, 0])
            if index + 1 < len(self.layers):
                reach = self.layers[index + 1].reach
                self.above[index + 1][:, :, row + reach, reach : reach + width] = gate(seen_above)[:, :, 0]

    def read(self, row: int, column: int) -> Tensor:
        """(B, N, C), given all that is before the pixel, and its own channels as far as they are written."""
        features = self.picture[:, :, row, column]  # B C
        if column:  # its last channel was drawn after it was read
            self.left[0][:, :, column - 1 + self.layers[0].reach] = self.picture[:, :, row, column - 1]
        for index, layer in enumerate(self.layers):
            end = column + layer.reach
            self.left[index][:, :, end] = features
            (horizontal, more), (output, bias) = self.steps[index]
            window = self.left[index][:, :, column : end + 1].flatten(1)  # B P*(reach + 1)
            seen = torch.addmm(more, window, horizontal) + self.from_above[index][:, :, column]  # B 2P
            out = torch.addmm(bias, gate(seen), output)  # B P
            features = out if layer.first else features + out
        (hidden, more), (output, bias) = self.head
        return self.model.spread(torch.addmm(bias, torch.addmm(more, features.relu(), hidden).relu(), output))


def _matrix(layer: MaskedConv2d) -> tuple[Tensor, Tensor]:
    """A masked convolution of one row as a matrix (inputs, outputs) and a bias, for one pixel."""
    return layer.masked_weight().flatten(1).T.contiguous(), layer.bias
