"""ViLBERT (Lu, Batra, Parikh, Lee, NeurIPS 2019, arXiv 1908.02265): two streams that attend to each other.

Axes: B pairs, I pictures, T texts, L words, N regions (the first is the whole picture, <IMG>), F features of a region,
D a stream's width, J joint width, H heads, V vocabulary, C classes of regions, K answers.

| paper | here |
|---|---|
| co-attentional transformer layer, figure 2b | `VilbertConnection`, `VilbertCoAttention` |
| the two streams, figure 1 | `VilbertEncoder` |
| image representations, section 2.2 | `VilbertVisualEmbeddings` |
| masked multi-modal modelling | `VilbertPreTrainingHeads`, `masked_region_loss` |
| multi-modal alignment prediction, h_IMG * h_CLS | `VilbertModel.fuse`, `alignment_scores` |
| caption-based image retrieval | `VilbertForImageAndTextRetrieval` |
| visual question answering | `VilbertForQuestionAnswering` |

The order of layers, the poolers' rectifiers and the two-way alignment head (0 is aligned) are the released code's.
Departures: see the card.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, gelu
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.bert.modeling_bert import (
    BertEmbeddings,
    BertIntermediate,
    BertLayer,
    BertOutput,
    BertPredictionHeadTransform,
    BertSelfOutput,
)
from transformers.utils import ModelOutput, can_return_tuple

from hfmm.nn.contrastive import matching_loss
from hfmm.nn.pairs import every_pair, spread

from .configuration_vilbert import VilbertConfig
from .regions_vilbert import VilbertDetectedEncoder, VilbertGridEncoder, VilbertRegions

ALIGNED, NOT_ALIGNED = 0, 1  # of the alignment head
WHOLE = (0.0, 0.0, 1.0, 1.0, 1.0)  # location of <IMG>


@dataclass
class VilbertModelOutput(ModelOutput):
    """What [`VilbertModel`] returns.

    Attributes:
        last_hidden_state: (B, L, D) of the text stream.
        visual_hidden_state: (B, N, D) of the visual stream, <IMG> first.
        pooler_output: (B, J), h_CLS.
        visual_pooler_output: (B, J), h_IMG.
        text_attentions: Of each connection (B, H, L, N), how words look at regions, with `output_attentions`.
        visual_attentions: Of each connection (B, H, N, L), how regions look at words, with `output_attentions`.
    """

    last_hidden_state: Tensor | None = None
    visual_hidden_state: Tensor | None = None
    pooler_output: Tensor | None = None
    visual_pooler_output: Tensor | None = None
    text_attentions: tuple[Tensor, ...] | None = None
    visual_attentions: tuple[Tensor, ...] | None = None


@dataclass
class VilbertForPreTrainingOutput(ModelOutput):
    """What [`VilbertForPreTraining`] returns.

    Attributes:
        loss: (), the sum of `losses`.
        losses: Means by name: `words`, `regions`, `alignment`, those that there are labels of.
        logits: (B, L, V), words.
        region_logits: (B, N, C), classes of regions, <IMG> left out.
        alignment_logits: (B, 2).
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    logits: Tensor | None = None
    region_logits: Tensor | None = None
    alignment_logits: Tensor | None = None


@dataclass
class VilbertRetrievalOutput(ModelOutput):
    """What [`VilbertForImageAndTextRetrieval`] returns.

    Attributes:
        loss: (), per pair, with `return_loss`.
        logits_per_image: (I, T), scores; higher where they fit better.
        logits_per_text: (T, I), the same.
    """

    loss: Tensor | None = None
    logits_per_image: Tensor | None = None
    logits_per_text: Tensor | None = None


def additive(mask: Tensor, like: Tensor) -> Tensor:
    """0 where a mask is 1, and the lowest number where it is 0. (B, L) -> (B, 1, 1, L)."""
    return (1 - mask[:, None, None].to(like.dtype)) * torch.finfo(like.dtype).min


class VilbertCoAttention(nn.Module):
    """Attention of each stream to the other: queries of one, keys and values of the other."""

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__()
        self.num_heads = config.joint_num_heads
        self.head_size = config.joint_size // config.joint_num_heads
        self.visual_query, self.visual_key, self.visual_value = (
            nn.Linear(config.visual_hidden_size, config.joint_size) for _ in range(3)
        )
        self.text_query, self.text_key, self.text_value = (
            nn.Linear(config.hidden_size, config.joint_size) for _ in range(3)
        )
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def forward(
        self, text: Tensor, visual: Tensor, text_mask: Tensor, visual_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What words see in regions (B, L, J), regions in words (B, N, J), and both attentions."""
        seen_by_words, text_attention = self._attend(
            self.text_query(text), self.visual_key(visual), self.visual_value(visual), visual_mask
        )
        seen_by_regions, visual_attention = self._attend(
            self.visual_query(visual), self.text_key(text), self.text_value(text), text_mask
        )
        return seen_by_words, seen_by_regions, text_attention, visual_attention

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        query, key, value = (
            states.unflatten(2, (self.num_heads, self.head_size)).transpose(1, 2) for states in (query, key, value)
        )  # B H L J/H
        logits = query @ key.mT * self.head_size**-0.5 + mask  # B H L N
        attention = logits.softmax(-1, dtype=torch.float32).to(query.dtype)
        return (self.dropout(attention) @ value).transpose(1, 2).flatten(2), attention  # B L J, B H L N


class VilbertConnection(nn.Module):
    """Co-attention, then each stream's own residual, norm and feed-forward layer (figure 2b)."""

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__()
        text, visual = config.of_text(), config.of_regions()
        self.attention = VilbertCoAttention(config)
        self.text_attention_output = self._from_joint(BertSelfOutput(text), config.joint_size)
        self.visual_attention_output = self._from_joint(BertSelfOutput(visual), config.joint_size)
        self.text_intermediate, self.text_output = BertIntermediate(text), BertOutput(text)
        self.visual_intermediate, self.visual_output = BertIntermediate(visual), BertOutput(visual)

    @staticmethod
    def _from_joint(output: BertSelfOutput, joint_size: int) -> BertSelfOutput:
        """BERT's output of attention for what has the joint width."""
        output.dense = nn.Linear(joint_size, output.dense.out_features)
        return output

    def forward(
        self, text: Tensor, visual: Tensor, text_mask: Tensor, visual_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, L, D) and (B, N, D) -> the same, and both attentions."""
        seen_by_words, seen_by_regions, *attentions = self.attention(text, visual, text_mask, visual_mask)
        text = self.text_attention_output(seen_by_words, text)
        visual = self.visual_attention_output(seen_by_regions, visual)
        text = self.text_output(self.text_intermediate(text), text)
        visual = self.visual_output(self.visual_intermediate(visual), visual)
        return text, visual, *attentions


class VilbertVisualEmbeddings(nn.Module):
    """Features and places of regions, <IMG> in front: the mean of the regions, as large as the picture."""

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__()
        self.features = nn.Linear(config.region_size, config.visual_hidden_size)
        self.locations = nn.Linear(len(WHOLE), config.visual_hidden_size)
        self.norm = nn.LayerNorm(config.visual_hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, embeds: Tensor, locations: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N-1, F), (B, N-1, 5), (B, N-1) -> states (B, N, D) and mask (B, N)."""
        weights = mask[..., None].to(embeds.dtype)
        whole = (embeds * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp(min=1)  # B 1 F
        embeds = torch.cat([whole, embeds], 1)
        place = locations.new_tensor(WHOLE).expand(len(locations), 1, -1)
        locations = torch.cat([place, locations], 1).to(embeds.dtype)
        mask = torch.cat([torch.ones_like(mask[:, :1]), mask], 1)
        return self.dropout(self.norm(self.features(embeds) + self.locations(locations))), mask


class VilbertEncoder(nn.Module):
    """The layers of both streams and what connects them, in the order of the released code."""

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__()
        text, visual = config.of_text(), config.of_regions()
        self.text_layers = nn.ModuleList(BertLayer(text) for _ in range(config.num_hidden_layers))
        self.visual_layers = nn.ModuleList(BertLayer(visual) for _ in range(config.visual_num_layers))
        self.connections = nn.ModuleList(VilbertConnection(config) for _ in config.text_connections or ())
        text_places = [*(config.text_connections or ()), config.num_hidden_layers]
        visual_places = [*(config.visual_connections or ()), config.visual_num_layers]
        self.text_alone, self.visual_alone = range(text_places[0]), range(visual_places[0])
        self.text_between = [range(*places) for places in pairwise(text_places)]
        self.visual_between = [range(*places) for places in pairwise(visual_places)]

    def read(self, text: Tensor, mask: Tensor) -> Tensor:
        """The text layers before the first connection. (B, L, D), (B, 1, 1, L) -> (B, L, D)."""
        for index in self.text_alone:
            text = self.text_layers[index](text, mask)
        return text

    def look(self, visual: Tensor, mask: Tensor) -> Tensor:
        """The visual layers before the first connection. (B, N, D), (B, 1, 1, N) -> (B, N, D)."""
        for index in self.visual_alone:
            visual = self.visual_layers[index](visual, mask)
        return visual

    def connect(
        self, text: Tensor, visual: Tensor, text_mask: Tensor, visual_mask: Tensor
    ) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """The connections and the layers after each: both streams, and of each connection both attentions."""
        attentions = []
        for connection, visual_layers, text_layers in zip(
            self.connections, self.visual_between, self.text_between, strict=True
        ):
            text, visual, *both = connection(text, visual, text_mask, visual_mask)
            attentions.append(tuple(both))
            for index in visual_layers:
                visual = self.visual_layers[index](visual, visual_mask)
            for index in text_layers:
                text = self.text_layers[index](text, text_mask)
        return text, visual, attentions


class VilbertPooler(nn.Module):
    """The first state through a layer with a rectifier. (B, L, D) -> (B, J)."""

    def __init__(self, size: int, joint_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(size, joint_size)

    def forward(self, states: Tensor) -> Tensor:
        """Pool."""
        return self.dense(states[:, 0]).relu()


class VilbertPreTrainedModel(PreTrainedModel):
    """Weights and loading shared by the ViLBERT models."""

    config_class = VilbertConfig
    base_model_prefix = "vilbert"
    main_input_name = "pixel_values"
    input_modalities = ["image", "text"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, BertEmbeddings):  # buffers that are not saved
            init.copy_(module.position_ids, torch.arange(module.position_ids.shape[-1]).expand((1, -1)))
            init.zeros_(module.token_type_ids)

    @torch.no_grad()
    def attended_regions(self, **inputs: Any) -> tuple[Tensor, Tensor]:
        """How the words of pairs look at regions in the last connection, a mean over heads, <IMG> left out.

        Args:
            inputs: Of [`VilbertModel`].

        Returns:
            Weights (B, L, N) and boxes (B, N, 4), corners in parts of the picture.
        """
        trunk: Any = self.base_model
        output = trunk(**inputs, output_attentions=True)
        places = {name: inputs.get(name) for name in ("pixel_values", "visual_embeds", "visual_locations")}
        boxes = trunk.regions_of(**places).visual_locations[..., :4]
        return output.text_attentions[-1].mean(1)[..., 1:], boxes


class VilbertModel(VilbertPreTrainedModel):
    """The trunk: regions, words, both streams and their pooled states."""

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__(config)
        self.region_encoder: VilbertGridEncoder | VilbertDetectedEncoder | None = None
        if config.regions != "given":
            kind = VilbertGridEncoder if config.regions == "grid" else VilbertDetectedEncoder
            self.region_encoder = kind(config)
        self.embeddings = BertEmbeddings(config.of_text())
        self.visual_embeddings = VilbertVisualEmbeddings(config)
        self.encoder = VilbertEncoder(config)
        self.text_pooler = VilbertPooler(config.hidden_size, config.joint_size)
        self.visual_pooler = VilbertPooler(config.visual_hidden_size, config.joint_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Those of words."""
        return self.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace those of words."""
        self.embeddings.word_embeddings = value

    def read(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Texts before they meet a picture: states (T, L, D) and what is added to attention to them (T, 1, 1, L).

        Args:
            input_ids: (T, L), padded on the right.
            attention_mask: (T, L), 1 for words; all are by default.
            token_type_ids: (T, L), 0 by default.

        Raises:
            ValueError: There are no texts, or they are longer than the model takes.
        """
        if input_ids is None:
            raise ValueError("input_ids is missing: give the texts")
        if input_ids.shape[1] > self.config.max_position_embeddings:
            raise ValueError(
                f"a text has {input_ids.shape[1]} words but max_position_embeddings is "
                f"{self.config.max_position_embeddings}"
            )
        states = self.embeddings(input_ids, token_type_ids)
        mask = additive(torch.ones_like(input_ids) if attention_mask is None else attention_mask, states)
        return self.encoder.read(states, mask), mask

    def regions_of(
        self,
        pixel_values: Tensor | None = None,
        visual_embeds: Tensor | None = None,
        visual_locations: Tensor | None = None,
        visual_attention_mask: Tensor | None = None,
    ) -> VilbertRegions:
        """The regions of pictures: given, or those of the grid, of boxes that are given, or of the detector.

        Args:
            pixel_values: (I, 3, height, width), in the place of `visual_embeds`.
            visual_embeds: (I, N, F), features of regions.
            visual_locations: (I, N, 5), corners in parts of the picture and area; with pixels, where to look.
            visual_attention_mask: (I, N), 1 for regions; all are by default.

        Raises:
            ValueError: There is no picture, or nothing that finds regions in it.
        """
        if visual_embeds is not None and visual_locations is not None:
            return VilbertRegions(visual_embeds, visual_locations, visual_attention_mask)
        if pixel_values is None or visual_embeds is not None:
            raise ValueError(
                "pixel_values or visual_embeds with visual_locations are missing: give the pictures or their regions"
            )
        if self.region_encoder is None:
            raise ValueError("regions is 'given', so pixel_values are not looked at: give visual_embeds")
        found = self.region_encoder(pixel_values, visual_locations)
        return found if visual_attention_mask is None else found._replace(visual_attention_mask=visual_attention_mask)

    def look(self, regions: VilbertRegions, hidden_regions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Pictures before they meet a text: states (I, N, D), <IMG> first, and what is added to attention to them.

        Args:
            regions: Of pictures.
            hidden_regions: (I, N-1), True where features are zeroed.
        """
        embeds, locations, mask, _ = regions
        if hidden_regions is not None:
            embeds = embeds.masked_fill(hidden_regions[..., None], 0)
        mask = torch.ones_like(embeds[..., 0]) if mask is None else mask
        states, mask = self.visual_embeddings(embeds, locations, mask)
        mask = additive(mask, states)
        return self.encoder.look(states, mask), mask

    def join(
        self,
        text: tuple[Tensor, Tensor],
        visual: tuple[Tensor, Tensor],
        output_attentions: bool = False,
    ) -> VilbertModelOutput:
        """Let B texts and B pictures meet, what [`read`] and [`look`] give of them."""
        (words, text_mask), (regions, visual_mask) = text, visual
        words, regions, attentions = self.encoder.connect(words, regions, text_mask, visual_mask)
        of_words, of_regions = zip(*attentions, strict=True) if output_attentions else (None, None)
        pooled = self.text_pooler(words), self.visual_pooler(regions)
        return VilbertModelOutput(words, regions, *pooled, of_words, of_regions)

    def fuse(self, output: VilbertModelOutput) -> Tensor:
        """h_IMG * h_CLS, (B, J)."""
        return self.dropout(output.visual_pooler_output * output.pooler_output)

    @can_return_tuple
    def forward(  # noqa: PLR0913  two forms of a picture, and what is read of a text
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        visual_embeds: Tensor | None = None,
        visual_locations: Tensor | None = None,
        visual_attention_mask: Tensor | None = None,
        hidden_regions: Tensor | None = None,
        output_attentions: bool | None = None,
        **kwargs: Any,
    ) -> VilbertModelOutput:
        """Pairs of texts and pictures, row by row.

        Args:
            input_ids: (B, L), padded on the right.
            pixel_values: (B, 3, height, width), in the place of `visual_embeds`.
            attention_mask: (B, L), 1 for words.
            token_type_ids: (B, L), 0 by default.
            visual_embeds: (B, N, F), features of regions.
            visual_locations: (B, N, 5), corners in parts of the picture and area.
            visual_attention_mask: (B, N), 1 for regions.
            hidden_regions: (B, N), True where features are zeroed.
            output_attentions: Return the attentions of the connections, too.
            kwargs: Not read; what transformers passes to every model.

        Raises:
            ValueError: There is no picture or no text.
        """
        text = self.read(input_ids, attention_mask, token_type_ids)
        regions = self.regions_of(pixel_values, visual_embeds, visual_locations, visual_attention_mask)
        return self.join(text, self.look(regions, hidden_regions), bool(output_attentions))


def alignment_scores(logits: Tensor) -> Tensor:
    """How much likelier aligned is than not, as logits. (..., 2) -> (...)."""
    return logits[..., ALIGNED] - logits[..., NOT_ALIGNED]


def masked_region_loss(logits: Tensor, targets: Tensor, asked: Tensor) -> Tensor:
    """KL divergence of what is predicted from the detector's classes, mean over masked regions; 0 without one.

    Args:
        logits: (B, N, C).
        targets: (B, N, C), probabilities.
        asked: (B, N), True where a region is masked.
    """
    targets, predicted = targets[asked].float(), logits[asked].float().log_softmax(-1)  # M C
    divergence = torch.xlogy(targets, targets).sum() - (targets * predicted).sum()
    return divergence / asked.sum().clamp(min=1)


class VilbertPreTrainingHeads(nn.Module):
    """What masked words and masked regions were. The decoder of words is their embedding."""

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__()
        self.text_transform = BertPredictionHeadTransform(config.of_text())
        self.text_decoder = nn.Linear(config.hidden_size, config.vocab_size)
        self.visual_transform = BertPredictionHeadTransform(config.of_regions())
        self.visual_decoder = nn.Linear(config.visual_hidden_size, config.num_region_classes)

    def forward(self, output: VilbertModelOutput) -> tuple[Tensor, Tensor]:
        """(B, L, V) and, of regions without <IMG>, (B, N, C)."""
        words = self.text_decoder(self.text_transform(output.last_hidden_state))
        regions = self.visual_decoder(self.visual_transform(output.visual_hidden_state[:, 1:]))
        return words, regions


class VilbertAligns:
    """Scores of the alignment head, of models with `vilbert` and `alignment`."""

    vilbert: VilbertModel
    alignment: nn.Linear

    def score_pairs(self, **inputs: Any) -> Tensor:
        """Scores of B pairs, row by row, inputs as [`VilbertModel`] takes them. -> (B,)."""
        return alignment_scores(self.alignment(self.vilbert.fuse(self.vilbert(**inputs))))

    def score_all(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pairs: Tensor | None = None,
        **inputs: Any,
    ) -> Tensor:
        """Scores of pictures with texts, each looked at or read once before the first connection.

        Args:
            input_ids: (T, L).
            pixel_values: (I, 3, height, width), or regions.
            attention_mask: (T, L), 1 for words.
            pairs: (2, P), numbers of pictures and of texts that meet; all do by default.
            inputs: Of regions, see [`VilbertModel.regions_of`].

        Returns:
            (I, T), minus infinity where a picture and a text do not meet.
        """
        words, text_mask = self.vilbert.read(input_ids, attention_mask)
        regions, visual_mask = self.vilbert.look(self.vilbert.regions_of(pixel_values, **inputs))
        images, texts = every_pair(len(regions), len(words), words.device) if pairs is None else pairs  # P each
        output = self.vilbert.join((words[texts], text_mask[texts]), (regions[images], visual_mask[images]))
        scores = alignment_scores(self.alignment(self.vilbert.fuse(output)))  # P
        return spread(scores, images, texts, (len(regions), len(words)))


class VilbertForPreTraining(VilbertAligns, VilbertPreTrainedModel):
    """Masked words, masked regions and alignment (figure 3)."""

    _tied_weights_keys = {"masked.text_decoder.weight": "vilbert.embeddings.word_embeddings.weight"}

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__(config)
        self.vilbert = VilbertModel(config)
        self.masked = VilbertPreTrainingHeads(config)
        self.alignment = nn.Linear(config.joint_size, 2)
        self.post_init()

    @torch.no_grad()
    def detect(self, pixel_values: Tensor) -> dict[str, Tensor]:
        """Regions as [`forward`] takes them, with the classes that a detector sees; nothing where there is none."""
        if self.config.regions != "detected":
            return {}
        regions = self.vilbert.regions_of(pixel_values)._asdict()
        return {name: values for name, values in regions.items() if values is not None}

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        region_targets: Tensor | None = None,
        masked_regions: Tensor | None = None,
        hidden_regions: Tensor | None = None,
        alignment_labels: Tensor | None = None,
        **inputs: Any,
    ) -> VilbertForPreTrainingOutput:
        """Predict what was masked, and whether pairs belong together.

        Args:
            input_ids: (B, L), some of them masked.
            pixel_values: (B, 3, height, width), or regions.
            attention_mask: (B, L), 1 for words.
            labels: (B, L), words that were masked, -100 elsewhere.
            region_targets: (B, N, C), the detector's probabilities of classes.
            masked_regions: (B, N), True where a region is to be predicted.
            hidden_regions: (B, N), True where its features are zeroed.
            alignment_labels: (B,), 0 where a pair is aligned, 1 where it is not.
            inputs: Others of [`VilbertModel`].
        """
        output = self.vilbert(input_ids, pixel_values, attention_mask, hidden_regions=hidden_regions, **inputs)
        words, regions = self.masked(output)
        alignment = self.alignment(self.vilbert.fuse(output))
        losses = {}
        if labels is not None:
            total = cross_entropy(words.float().flatten(0, 1), labels.flatten(), reduction="sum")
            losses["words"] = total / (labels >= 0).sum().clamp(min=1)
        if region_targets is not None and masked_regions is not None:
            losses["regions"] = masked_region_loss(regions, region_targets, masked_regions)
        if alignment_labels is not None:
            losses["alignment"] = cross_entropy(alignment.float(), alignment_labels)
        loss = torch.stack(list(losses.values())).sum() if losses else None
        return VilbertForPreTrainingOutput(loss, losses or None, words, regions, alignment)


class VilbertForImageAndTextRetrieval(VilbertAligns, VilbertPreTrainedModel):
    """Whether pictures and texts belong together, by the alignment head of pre-training."""

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__(config)
        self.vilbert = VilbertModel(config)
        self.alignment = nn.Linear(config.joint_size, 2)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_loss: bool | None = None,
        pairs: Tensor | None = None,
        visual_embeds: Tensor | None = None,
        visual_locations: Tensor | None = None,
        visual_attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> VilbertRetrievalOutput:
        """Compare every picture with every text.

        Args:
            input_ids: (T, L), padded on the right.
            pixel_values: (I, 3, height, width), or regions.
            attention_mask: (T, L), 1 for words.
            return_loss: Also return the loss; row i of the texts then belongs to row i of the pictures.
            pairs: (2, P), see [`score_all`].
            visual_embeds: (I, N, F), features of regions.
            visual_locations: (I, N, 5), corners in parts of the picture and area.
            visual_attention_mask: (I, N), 1 for regions.
            kwargs: Not read; what transformers passes to every model.

        Raises:
            ValueError: There is no picture or no text.
        """
        scores = self.score_all(
            input_ids, pixel_values, attention_mask, pairs,
            visual_embeds=visual_embeds, visual_locations=visual_locations,
            visual_attention_mask=visual_attention_mask,
        )  # fmt: skip
        loss = matching_loss(scores) if return_loss else None
        return VilbertRetrievalOutput(loss, scores, scores.T)


class VilbertForQuestionAnswering(VilbertPreTrainedModel):
    """A question about a picture, answered from a closed list."""

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__(config)
        self.vilbert = VilbertModel(config)
        self.hidden = nn.Linear(config.joint_size, 2 * config.joint_size)
        self.norm = nn.LayerNorm(2 * config.joint_size, eps=config.layer_norm_eps)
        self.classifier = nn.Linear(2 * config.joint_size, config.num_labels)  # type: ignore[arg-type]
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **inputs: Any,
    ) -> SequenceClassifierOutput:
        """Score answers.

        Args:
            input_ids: (B, L), questions.
            pixel_values: (B, 3, height, width), or regions.
            attention_mask: (B, L), 1 for words.
            labels: (B, K), how right each answer is, 0 to 1.
            inputs: Others of [`VilbertModel`].

        Returns:
            `logits` (B, K); the loss is the binary cross-entropy, summed over answers, as in the released code.
        """
        fused = self.vilbert.fuse(self.vilbert(input_ids, pixel_values, attention_mask, **inputs))
        logits = self.classifier(self.norm(gelu(self.hidden(fused))))
        loss = None
        if labels is not None:
            loss = binary_cross_entropy_with_logits(logits.float(), labels.float()) * labels.shape[1]
        return SequenceClassifierOutput(loss=loss, logits=logits)
