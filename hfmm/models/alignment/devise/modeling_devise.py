"""DeViSE (Frome, Corrado, Shlens, Bengio, Dean, Ranzato, Mikolov, "A Deep Visual-Semantic Embedding Model", NIPS 2013).

A picture network says where in a space of word vectors a picture lies; the labels that lie near are its names. Labels
that no picture was seen of have vectors, too, so that the list of labels can be any, after training as well.

Axes: B batch, K labels, T words of a text, D word vectors, F features of a picture.

| paper | here |
|---|---|
| v(image), the network without its softmax | `vision_model`, `picture_features` |
| M v(image), no bias | `projection` |
| t_label, unit length, fixed | buffer `label_vectors`; of any text the mean of its words, `get_text_features` |
| t_label M v(image) | `logits_per_image` |
| sum_j max[0, margin - t_label M v(image) + t_j M v(image)] | `rank_loss` |
| the sum is cut at the first violation, labels in random order | `rank_loss`, "first_violation" |

Departures are on the card.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import can_return_tuple

from hfmm.nn.pairs import PairOutput
from hfmm.nn.word_vectors import mean_of_words

from .configuration_devise import DeviseConfig


def rank_loss(
    scores: Tensor, labels: Tensor, margin: float, negatives: str = "all", count: int = 1, shuffle: bool = False
) -> Tensor:
    """max[0, margin - s_label + s_j] over wrong labels j: their sum, the first that is positive, or some.

    Args:
        scores: (B, K); -inf for labels that are not to be pushed away.
        labels: (B,).
        margin: Of the paper, 0.1.
        negatives: "all", "first_violation" or "sampled".
        count: How many are "sampled", without repetition.
        shuffle: The first in an order drawn anew for each picture; in the order of the labels otherwise.

    Returns:
        (), mean over the batch.
    """
    hinge = (margin - scores.gather(1, labels[:, None]) + scores).clamp(min=0)  # B K
    hinge = hinge.scatter(1, labels[:, None], 0)
    if negatives == "all":
        return hinge.sum(1).mean()
    order = torch.rand_like(hinge) if shuffle else torch.arange(hinge.shape[1], device=hinge.device).expand_as(hinge)
    if negatives == "first_violation":
        first = order.where(hinge > 0, torch.inf).argmin(1, keepdim=True)  # B 1
        return hinge.gather(1, first).mean()
    is_wrong = scores.isfinite().scatter(1, labels[:, None], False)
    chosen = order.where(is_wrong, torch.inf).argsort(1)[:, :count]  # B count
    return hinge.gather(1, chosen).sum(1).mean()


class DevisePreTrainedModel(PreTrainedModel):
    """Weights and loading of DeViSE."""

    config_class = DeviseConfig
    base_model_prefix = "devise"
    main_input_name = "pixel_values"
    input_modalities = ["image", "text"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, DeviseModel):
            init.zeros_(module.word_vectors)  # type: ignore[arg-type]
            generator = torch.Generator().manual_seed(0)  # until there are vectors, the paper's random ones
            random = torch.randn(module.label_vectors.shape, generator=generator)
            init.copy_(module.label_vectors, normalize(random, dim=-1))  # type: ignore[arg-type]


class DeviseModel(DevisePreTrainedModel):
    """The picture network, M, and the vectors of words and labels."""

    word_vectors: Tensor
    label_vectors: Tensor

    def __init__(self, config: DeviseConfig) -> None:
        super().__init__(config)
        self.vision_model = AutoModel.from_config(config.vision_config)
        self.projection = nn.Linear(config.image_feature_size, config.word_size, bias=False)
        self.register_buffer("word_vectors", torch.zeros(config.vocab_size, config.word_size))
        self.register_buffer("label_vectors", torch.zeros(config.num_labels, config.word_size))  # type: ignore[arg-type]
        self.post_init()

    @torch.no_grad()
    def set_words(self, vectors: Tensor) -> None:
        """Take the vectors of the words, (vocab_size, D); zeros for words without one."""
        if vectors.shape != self.word_vectors.shape:
            raise ValueError(f"word vectors are {tuple(vectors.shape)}, not {tuple(self.word_vectors.shape)}")
        self.word_vectors.copy_(normalize(vectors, dim=-1))

    @torch.no_grad()
    def set_labels(self, names: Sequence[str], vectors: Tensor) -> None:
        """Choose among these labels from now on, also ones that no picture was seen of.

        Args:
            names: Each once.
            vectors: (K, D), of any length but zero; of texts, `get_text_features(...).pooler_output`.

        Raises:
            ValueError: A name repeats, or vectors are not one a name, of another width, or zero.
        """
        repeated = sorted({name for name in names if list(names).count(name) > 1})
        if repeated or not names:
            raise ValueError(f"label '{repeated[0]}' repeats" if repeated else "no labels: name at least one")
        if vectors.shape != (len(names), self.config.word_size):
            raise ValueError(
                f"{len(names)} labels have vectors of shape {tuple(vectors.shape)}, "
                f"not {(len(names), self.config.word_size)}"
            )
        nowhere = [name for name, vector in zip(names, vectors, strict=True) if not vector.any()]
        if nowhere:
            raise ValueError(f"label '{nowhere[0]}' has no vector: none of its words has one")
        self.label_vectors = normalize(vectors.to(self.label_vectors), dim=-1)  # K D
        self.config.id2label = dict(enumerate(names))
        self.config.label2id = {name: number for number, name in enumerate(names)}
        self.config.unseen_labels = [name for name in self.config.unseen_labels if name in names]

    def rate_labels(self, pixel_values: Tensor) -> Tensor:
        """How near the labels lie to pictures. (B, 3, height, width) -> cosines (B, K)."""
        return self.score(self.get_image_features(pixel_values).pooler_output, self.label_vectors)

    def label_hierarchy(self) -> dict[str, list[str]]:
        """A node to the nodes above it, of which labels are leaves or others; empty where there is none."""
        return self.config.label_parents or {}

    def unseen_labels(self) -> list[str]:
        """Names of the labels that no picture was seen of; a classifier has no output for them."""
        return list(self.config.unseen_labels)

    def picture_features(self, pixel_values: Tensor) -> Tensor:
        """v(image). (B, 3, height, width) -> (B, F)."""
        output = self.vision_model(pixel_values)
        if "feature_maps" in output:
            return output.feature_maps[-1].mean((2, 3))
        return output.pooler_output.flatten(1)  # that of ResNet has places, one of them

    @can_return_tuple
    def get_image_features(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """Embed pictures: `pooler_output` (B, D) is M v(image)."""
        return BaseModelOutputWithPooling(pooler_output=self.projection(self.picture_features(pixel_values)))  # type: ignore[arg-type]

    @can_return_tuple
    def get_text_features(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Embed texts by the mean of their words' vectors: `pooler_output` (B, D), unit length, zero without words.

        Args:
            input_ids: (B, T).
            attention_mask: Not read: padding has no vector, nor have the first and last words.
            kwargs: Not read.
        """
        mean = mean_of_words(input_ids, self.word_vectors)
        return BaseModelOutputWithPooling(pooler_output=normalize(mean, dim=-1))  # type: ignore[arg-type]

    def score(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """Cosines, which rank the labels of a picture as t_label M v does. (I, D), (N, D) -> (I, N)."""
        return normalize(image_embeds, dim=-1) @ normalize(text_embeds, dim=-1).T

    def label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of pictures among the labels. (B, K), (B,) -> ()."""
        config = self.config
        label2id: Any = config.label2id
        numbers = [label2id[name] for name in config.unseen_labels if name in label2id]
        unseen = torch.tensor(numbers, dtype=torch.long, device=logits.device)
        scores = logits.index_fill(1, unseen, -torch.inf)  # "restrict false labels to those of the training pictures"
        scores = scores.scatter(1, labels[:, None], logits.gather(1, labels[:, None]))
        if config.loss == "softmax":
            return cross_entropy(scores, labels)
        return rank_loss(scores, labels, config.margin, config.negatives, config.num_negatives, self.training)

    def pair_loss(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """The rank loss of pictures among the texts of a batch, row by row a pair. (B, D), (B, D) -> ()."""
        pairs = torch.arange(len(image_embeds), device=image_embeds.device)
        config = self.config
        scores = image_embeds @ text_embeds.T  # B B
        return rank_loss(scores, pairs, config.margin, config.negatives, config.num_negatives, self.training)

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_loss: bool | None = None,
        **kwargs: Any,
    ) -> PairOutput:
        """Score labels, or texts where there are some.

        Args:
            pixel_values: (B, 3, height, width).
            labels: (B,), the label of each picture, by number.
            input_ids: (N, T), texts.
            attention_mask: (N, T).
            return_loss: With texts, as many as pictures: return the loss of the pairs.
            kwargs: Not read; what transformers passes to every model.

        Returns:
            `image_embeds` (B, D), M v(image), whose length is free, `logits_per_image` (B, K) of the labels, or (B, N)
            of texts, and `loss`, mean over pictures; with texts also `text_embeds` (N, D), unit length, and
            `logits_per_text`.
        """
        image_embeds = self.get_image_features(pixel_values).pooler_output
        if input_ids is None:
            logits = image_embeds @ self.label_vectors.T  # B K
            loss = self.label_loss(logits, labels) if labels is not None else None
            return PairOutput(loss=loss, logits_per_image=logits, image_embeds=image_embeds)
        text_embeds = self.get_text_features(input_ids, attention_mask).pooler_output
        logits = image_embeds @ text_embeds.T  # B N
        return PairOutput(
            loss=self.pair_loss(image_embeds, text_embeds) if return_loss else None,
            logits_per_image=logits,
            logits_per_text=logits.T,
            image_embeds=image_embeds,
            text_embeds=text_embeds,
        )
