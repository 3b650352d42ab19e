"""Image-sentence ranking with a layer-normalized recurrent net (Ba, Kiros, Hinton 2016, arXiv 1607.06450, section 6.1).

A picture and a sentence are points of one orthant; the sentence says less than the picture, so it belongs below the
picture in every coordinate, and what sticks out is its violation ("Order-Embeddings of Images and Language", Vendrov,
Kiros, Fidler, Urtasun, ICLR 2016, arXiv 1511.06361). Ranking pushes the violations of wrong pairs above those of right
ones.

Axes: B batch, I pictures, T sentences, L words of a sentence, F picture features, D joint space.

| paper | here |
|---|---|
| f_i(i) = |normalize(W_i CNN(i))| | `LayerNormRankingModel.get_image_features` |
| f_c(c) = |normalize(GRU(c))| | `LayerNormRankingModel.get_text_features` |
| layer-normalized GRU | `LayerNormGRU` of `recurrence_layer_norm_ranking.py` |
| E(c, i) = ||max(0, f_c(c) - f_i(i))||^2, S = -E | `order_violations`, `LayerNormRankingModel.score` |
| sum max(0, alpha - S(c, i) + S(c', i)) + max(0, alpha - S(c, i) + S(c, i')) | `ranking_loss` |

Departures: the loss is divided by the number of pairs. A `<start>` word opens every sentence.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import normalize
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from transformers import AutoBackbone, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import can_return_tuple

from hfmm.nn.pairs import PairOutput, compare
from hfmm.nn.picture_tower import PictureTower

from .configuration_layer_norm_ranking import LayerNormRankingConfig
from .recurrence_layer_norm_ranking import RECURRENCES, LayerNormRecurrence

BLOCK = 2**20  # coordinates that are compared at once: what fits a cache


class _OrderViolations(torch.autograd.Function):
    """All pairs in blocks of pictures, whose (I, T, D) differences are never kept."""

    @staticmethod
    def forward(ctx: Any, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """(I, D) and (T, D) -> (I, T)."""
        ctx.save_for_backward(image_embeds, text_embeds)
        blocks = image_embeds.split(_pictures_at_once(text_embeds))
        return torch.cat([_sticking_out(block, text_embeds).square_().sum(2) for block in blocks])  # I T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        """What sticks out, twice, towards each side."""
        image_embeds, text_embeds = ctx.saved_tensors
        image_grads, text_grad = [], torch.zeros_like(text_embeds)
        size = _pictures_at_once(text_embeds)
        for block, block_grad in zip(image_embeds.split(size), grad.split(size), strict=True):
            pushed = _sticking_out(block, text_embeds).mul_(2 * block_grad[:, :, None])  # i T D
            image_grads.append(-pushed.sum(1))
            text_grad += pushed.sum(0)
        return torch.cat(image_grads), text_grad


def _pictures_at_once(text_embeds: Tensor) -> int:
    return max(1, BLOCK // max(1, text_embeds.numel()))


def _sticking_out(image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
    return (text_embeds[None] - image_embeds[:, None]).relu_()  # i T D


def order_violations(image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
    """How far each sentence sticks out of being below each picture. (I, D) and (T, D) -> (I, T), at least 0."""
    return _OrderViolations.apply(image_embeds, text_embeds)


def ranking_loss(scores: Tensor, margin: float) -> Tensor:
    """Hinges of all contrastive pictures and sentences of a batch against its matches, which are on the diagonal.

    Args:
        scores: (B, B), pictures by sentences.
        margin: alpha.

    Returns:
        (), the sum over a pair's contrastive terms, mean over pairs.
    """
    match = scores.diagonal()  # B
    wrong_sentence = (margin - match[:, None] + scores).clamp(min=0)  # B B
    wrong_picture = (margin - match[None, :] + scores).clamp(min=0)  # B B
    is_match = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    return (wrong_sentence + wrong_picture).masked_fill(is_match, 0).sum() / len(scores)


class LayerNormRankingPreTrainedModel(PreTrainedModel):
    """Weights and loading of the ranking model."""

    config_class = LayerNormRankingConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image", "text"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """As the released code: orthogonal blocks in the recurrence, Xavier elsewhere, words in [-0.1, 0.1]."""
        super()._init_weights(module)
        if isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
        elif isinstance(module, nn.Embedding):
            init.uniform_(module.weight, -0.1, 0.1)
        elif isinstance(module, LayerNormRecurrence):
            weight = torch.empty_like(module.recurrent_gates.weight)
            for block in weight.split(module.hidden_size):
                torch.nn.init.orthogonal_(block)
            init.copy_(module.recurrent_gates.weight, weight)


class LayerNormRankingModel(LayerNormRankingPreTrainedModel):
    """The two towers, their order and their ranking loss."""

    def __init__(self, config: LayerNormRankingConfig) -> None:
        super().__init__(config)
        self.image_tower = PictureTower(
            AutoBackbone.from_config(config.vision_config),
            config.image_map_size, config.image_pooling, config.image_pool_size, config.image_layers,
        )  # fmt: skip
        self.image_projection = nn.Linear(self.image_tower.feature_size, config.hidden_size)
        self.word_embeddings = nn.Embedding(config.vocab_size, config.word_size)
        self.sentence_encoder = RECURRENCES[config.recurrence](config.word_size, config.hidden_size, config.layer_norm)
        self.post_init()

    @can_return_tuple
    def get_image_features(
        self, pixel_values: Tensor | None = None, image_features: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Embed pictures.

        Args:
            pixel_values: (I, 3, H, W), or (I, N, 3, H, W) for the mean over N crops.
            image_features: (I, F), what a picture net gave before, in the place of the pixels.
            kwargs: Not read; what transformers passes to every model.

        Returns:
            `pooler_output` (I, D), of unit length, and at least 0 for the order.

        Raises:
            ValueError: There is no picture.
        """
        features = self.image_tower(pixel_values, image_features)  # I F
        return BaseModelOutputWithPooling(pooler_output=self._on_the_sphere(self.image_projection(features)))

    @can_return_tuple
    def get_text_features(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Embed sentences by the state after their last word.

        Args:
            input_ids: (T, L), padded on the right.
            attention_mask: (T, L), 1 for words; all are words by default.
            kwargs: Not read; what transformers passes to every model.

        Returns:
            `pooler_output` (T, D), of unit length, and at least 0 for the order.

        Raises:
            ValueError: A sentence without words.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        lengths = attention_mask.sum(1).cpu()  # T; packing wants them there
        if not lengths.all():
            raise ValueError("attention_mask is 0 for a whole sentence: every sentence needs a word")
        words = pack_padded_sequence(input_ids, lengths, batch_first=True, enforce_sorted=False)
        embedded = PackedSequence(
            self.word_embeddings(words.data), words.batch_sizes, words.sorted_indices, words.unsorted_indices
        )
        return BaseModelOutputWithPooling(pooler_output=self._on_the_sphere(self.sentence_encoder(embedded)))

    def score(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """Minus the order violation, or the cosine. (I, D) and (T, D) -> (I, T), higher where they fit better."""
        if self.config.similarity == "cosine":
            return image_embeds @ text_embeds.T
        return -order_violations(image_embeds.float(), text_embeds.float())

    def pair_loss(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """The ranking loss of pairs, mean over them. (B, D) and (B, D), row by row -> ()."""
        return ranking_loss(self.score(image_embeds, text_embeds), self.config.margin)

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
            input_ids: (T, L), words, padded on the right.
            pixel_values: (I, 3, H, W), or (I, N, 3, H, W) for the mean over N crops.
            attention_mask: (T, L), 1 for words.
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

    def _on_the_sphere(self, vectors: Tensor) -> Tensor:
        """Unit length, then for the order the orthant of coordinates at least 0. (B, D) -> (B, D)."""
        unit = normalize(vectors, dim=-1)
        return unit.abs() if self.config.similarity == "order" else unit
