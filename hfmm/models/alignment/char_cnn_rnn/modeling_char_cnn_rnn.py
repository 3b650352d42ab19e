"""Structured joint embedding of pictures and sentences ("Learning Deep Representations of Fine-Grained Visual
Descriptions", Reed, Akata, Lee, Schiele, CVPR 2016, arXiv 1605.05395); the text encoder phi of GAN-CLS and StackGAN.

A sentence is a row of one-hot characters that convolutions and a recurrent net read. A picture goes to the class whose
sentences fit it best on average, a sentence to the class of such pictures; both are trained through a hinge.

Axes: B batch, I pictures, T sentences, L characters, S steps of the recurrent net, V vocabulary, C channels, D joint
space, K classes, N encodings.

| paper | here |
|---|---|
| F(v, t) = theta(v)^T phi(t) | `CharCnnRnnModel.score` |
| phi(t) | `CharCnnRnnTextEncoder` |
| f_v(v) = argmax_y E_{t~T(y)} F(v, t), f_t(t) = argmax_y E_{v~V(y)} F(v, t) | `class_means`, `classify` |
| l_v + l_t with the 0-1 loss under a hinge of margin 1 | `structured_loss` |

Departures: none in `paper`; a character outside the alphabet is a column of zeros, as in the released code, and padding
ends the sentence.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool1d, pad, relu
from transformers import AutoBackbone, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import can_return_tuple

from hfmm.nn.pairs import PairOutput, compare
from hfmm.nn.picture_tower import PictureTower

from .configuration_char_cnn_rnn import POOL_SIZE, CharCnnRnnConfig


def structured_loss(scores: Tensor, surrogate: str = "sum", symmetric: bool = True) -> Tensor:
    """Hinges of wrong classes over the right one, whose pairs are on the diagonal; an upper bound of the 0-1 loss.

    Args:
        scores: (B, B), pictures by sentences of B different classes.
        surrogate: "sum" of the hinges over classes, divided by B as in the released code, or their "max" (the paper).
        symmetric: Both directions, added.

    Returns:
        (), mean over pairs.
    """
    is_match = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    match = scores.diagonal()  # B
    losses = []
    for direction in (scores, scores.T)[: 1 + symmetric]:
        hinges = (1 + direction - match[:, None]).clamp(min=0).masked_fill(is_match, 0)  # B B
        of_pair = hinges.mean(1) if surrogate == "sum" else hinges.amax(1)  # B
        losses.append(of_pair.mean())
    return torch.stack(losses).sum()


def class_means(embeds: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """The average encoding of each class; by linearity, its score is the average of scores.

    Args:
        embeds: (N, D), of sentences or of pictures.
        labels: (N,), the class of each.
        num_classes: K.

    Returns:
        (K, D).

    Raises:
        ValueError: A class of which there is none.
    """
    counts = torch.bincount(labels, minlength=num_classes)  # K
    if not counts.all():
        raise ValueError(f"class {int(counts.argmin())} has no encoding to average")
    sums = embeds.new_zeros(num_classes, embeds.shape[1]).index_add(0, labels, embeds)  # K D
    return sums / counts[:, None]


def classify(embeds: Tensor, means: Tensor) -> Tensor:
    """The class that each fits best on average (f_v and f_t). (N, D) and (K, D) -> (N,)."""
    return (embeds @ means.T).argmax(1)


class CharCnnRnnCell(nn.Module):
    """What the recurrent nets share: a linear layer for inputs and one for states, each with a bias.

    The first step has neither a state nor its bias, as in the released code.
    """

    def __init__(self, size: int, input_gates: int = 1, recurrent_gates: int = 1) -> None:
        super().__init__()
        self.input_gates = nn.Linear(size, input_gates * size)
        self.recurrent_gates = nn.Linear(size, recurrent_gates * size)

    def forward(self, found: Tensor) -> Tensor:
        """Run over what was found. (B, S, C) -> (B, S, C), the state after each step."""
        given = self.input_gates(found)  # B S G*C
        states = [self.first(given[:, 0])]
        for step in range(1, found.shape[1]):
            states.append(self.step(given[:, step], states[-1]))
        return torch.stack(states, 1)  # B S C

    def first(self, given: Tensor) -> Tensor:
        """h_1. (B, G*C) -> (B, C)."""
        return relu(given)

    def step(self, given: Tensor, state: Tensor) -> Tensor:
        """h_t = relu(W_x x_t + b + W_h h_{t-1} + b'). (B, G*C) and (B, C) -> (B, C)."""
        return relu(given + self.recurrent_gates(state))


class CharCnnRnnGatedCell(CharCnnRnnCell):
    """h_t = u h' + (1 - u) h_{t-1}, h' = tanh(W x_t + U (r h_{t-1})): the reset gate acts before the product."""

    def __init__(self, size: int) -> None:
        super().__init__(size, input_gates=3, recurrent_gates=2)
        self.recurrent_candidate = nn.Linear(size, size)

    def first(self, given: Tensor) -> Tensor:
        """h_1 = tanh(W x_1). (B, 3C) -> (B, C)."""
        return given.chunk(3, 1)[2].tanh()

    def step(self, given: Tensor, state: Tensor) -> Tensor:
        """One step. (B, 3C) and (B, C) -> (B, C)."""
        size = state.shape[1]
        update, reset = (given[:, : 2 * size] + self.recurrent_gates(state)).sigmoid().chunk(2, 1)
        candidate = (given[:, 2 * size :] + self.recurrent_candidate(reset * state)).tanh()
        return torch.lerp(state, candidate, update)


class CharCnnRnnTextEncoder(nn.Module):
    """phi: convolutions over one-hot columns, a recurrent net over what they find, the mean of its states."""

    def __init__(self, config: CharCnnRnnConfig) -> None:
        super().__init__()
        self.config = config
        is_character = config.reads == "characters"
        num_symbols = config.vocab_size - 2 if is_character else config.vocab_size  # <pad> and <unk> have no column
        self.symbols = slice(1, -1) if is_character else slice(None)
        sizes = [num_symbols, *config.conv_channels]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, config.conv_kernel_size)
            for before, after in zip(sizes, config.conv_channels, strict=False)
        )
        self.recurrent = (CharCnnRnnCell if config.cell == "rnn" else CharCnnRnnGatedCell)(sizes[-1])
        self.projection = nn.Linear(sizes[-1], config.projection_size)

    def forward(self, columns: Tensor) -> Tensor:
        """Encode sentences. (B, V, L) -> (B, D)."""
        found = columns[:, self.symbols]
        for index, convolution in enumerate(self.convolutions):
            found = relu(convolution(found))
            if index < len(self.config.pool_strides):
                found = max_pool1d(found, POOL_SIZE, self.config.pool_strides[index])
        states = self.recurrent(found.mT)  # B S C
        return self.projection(states.mean(1) if self.config.time_pooling == "mean" else states[:, -1])


class CharCnnRnnBagOfWords(nn.Module):
    """The baseline: a linear layer over the counts of words."""

    def __init__(self, config: CharCnnRnnConfig) -> None:
        super().__init__()
        self.projection = nn.Linear(config.vocab_size, config.projection_size)

    def forward(self, columns: Tensor) -> Tensor:
        """Encode sentences. (B, V, L) -> (B, D)."""
        return self.projection(columns.sum(2))


class CharCnnRnnPreTrainedModel(PreTrainedModel):
    """Weights and loading of the structured joint embedding."""

    config_class = CharCnnRnnConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image", "text"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """All weights and biases uniform, as in the released code."""
        super()._init_weights(module)
        if isinstance(module, nn.Linear | nn.Conv1d):
            limit = self.config.initializer_range
            for values in module.parameters(recurse=False):
                init.uniform_(values, -limit, limit)


class CharCnnRnnModel(CharCnnRnnPreTrainedModel):
    """The two towers and their structured loss."""

    def __init__(self, config: CharCnnRnnConfig) -> None:
        super().__init__(config)
        self.image_tower = PictureTower(
            AutoBackbone.from_config(config.vision_config),
            config.image_map_size, config.image_pooling, layers=config.image_layers,
        )  # fmt: skip
        features = self.image_tower.feature_size
        self.image_projection = nn.Linear(features, config.projection_size) if config.project_image else nn.Identity()
        kind = CharCnnRnnBagOfWords if config.reads == "bag_of_words" else CharCnnRnnTextEncoder
        self.text_encoder = kind(config)
        self.post_init()

    @can_return_tuple
    def get_image_features(
        self, pixel_values: Tensor | None = None, image_features: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Embed pictures (theta).

        Args:
            pixel_values: (I, 3, H, W), or (I, N, 3, H, W) for the mean over N crops.
            image_features: (I, F), what a picture net gave before, in the place of the pixels.
            kwargs: Not read; what transformers passes to every model.

        Returns:
            `pooler_output` (I, D), of any length.

        Raises:
            ValueError: There is no picture.
        """
        features = self.image_tower(pixel_values, image_features)  # I F
        return BaseModelOutputWithPooling(pooler_output=self.image_projection(features))

    @can_return_tuple
    def get_text_features(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Embed sentences (phi).

        Args:
            input_ids: (T, L), characters or words; what is beyond `max_length` is not read, padding ends a sentence.
            attention_mask: (T, L), 0 for padding, which `pad_token_id` tells as well.
            kwargs: Not read; what transformers passes to every model.

        Returns:
            `pooler_output` (T, D), of any length.
        """
        return BaseModelOutputWithPooling(pooler_output=self.text_encoder(self._columns(input_ids, attention_mask)))

    def _columns(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        """One-hot columns, zeros from the first padding on. (T, L) -> (T, V, max_length)."""
        is_symbol = input_ids != self.config.pad_token_id
        if attention_mask is not None:
            is_symbol = is_symbol & (attention_mask != 0)
        is_read = is_symbol.cumprod(1)[:, : self.config.max_length].to(self.dtype)  # T L
        ids = input_ids[:, : self.config.max_length]
        columns = is_read.new_zeros(len(ids), self.config.vocab_size, ids.shape[1])  # T V L
        columns.scatter_(1, ids[:, None], is_read[:, None])
        return pad(columns, (0, self.config.max_length - ids.shape[1]))  # T V max_length

    def score(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """Compatibility F. (I, D) and (T, D) -> (I, T), higher where they fit better."""
        return image_embeds @ text_embeds.T

    def pair_loss(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """The structured loss of pairs of different classes, mean over them. (B, D) and (B, D), row by row -> ()."""
        return structured_loss(self.score(image_embeds, text_embeds), self.config.surrogate, self.config.symmetric)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_loss: bool | None = None,
        image_features: Tensor | None = None,
        **kwargs: Any,
    ) -> PairOutput:
        """Compare every picture with every sentence.

        Args:
            input_ids: (T, L), characters or words, padded on the right.
            pixel_values: (I, 3, H, W), or (I, N, 3, H, W) for the mean over N crops.
            attention_mask: (T, L), 0 for padding.
            return_loss: Also return the loss; row i of the sentences then belongs to row i of the pictures.
            image_features: (I, F), in the place of the pixels.
            kwargs: Not read; what transformers passes to every model.

        Raises:
            ValueError: There is no picture or no sentence.
        """
        if input_ids is None:
            raise ValueError("input_ids is missing: give the sentences")
        image_embeds = self.get_image_features(pixel_values, image_features).pooler_output  # I D
        text_embeds = self.get_text_features(input_ids, attention_mask).pooler_output  # T D
        return compare(self, image_embeds, text_embeds, return_loss)
