"""ViLBERT (Lu, Batra, Parikh, Lee, NeurIPS 2019, arXiv 1908.02265): two streams that attend to each other.

Axes: B pairs, I pictures, T texts, L words, N regions (the first is the whole picture, <IMG>), F features of a region,
D a stream's width, J joint width, H heads, V vocabulary, C classes of regions, K answers.

| paper | here |
|---|---|
| the two streams and co-attention, figures 1 and 2b | `streams_vilbert.py` |
| image representations, section 2.2 | `VilbertVisualEmbeddings` there, `regions_vilbert.py` |
| masked multi-modal modelling | `VilbertPreTrainingHeads`, `masked_region_loss` |
| multi-modal alignment prediction, h_IMG * h_CLS | `VilbertModel.fuse`, `alignment_scores` |
| caption-based image retrieval | `VilbertForImageAndTextRetrieval` |
| visual question answering | `VilbertForQuestionAnswering` |

The order of layers, the poolers' rectifiers and the two-way alignment head (0 is aligned) are the released code's.
Departures: see the card.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, gelu
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.bert.modeling_bert import BertEmbeddings, BertPredictionHeadTransform
from transformers.utils import ModelOutput, can_return_tuple

from hfmm.nn.contrastive import matching_loss
from hfmm.nn.pairs import every_pair, spread

from .configuration_vilbert import VilbertConfig
from .regions_vilbert import VilbertDetectedEncoder, VilbertGridEncoder, VilbertRegions
from .streams_vilbert import VilbertEncoder, VilbertPooler, VilbertVisualEmbeddings, additive

ALIGNED, NOT_ALIGNED = 0, 1  # of the alignment head


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
        self.embeddings.word_embeddings = value  # type: ignore[assignment]

    def read(
        self, input_ids: Tensor | None, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
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
        pooled: Any = output.visual_pooler_output
        return self.dropout(pooled * output.pooler_output)

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

    def forward(self, text: Tensor, visual: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L, D) -> (B, L, V), and (B, N, D) of regions without <IMG> -> (B, N, C)."""
        return self.text_decoder(self.text_transform(text)), self.visual_decoder(self.visual_transform(visual))


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
        words, regions = self.masked(output.last_hidden_state, output.visual_hidden_state[:, 1:])
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

    _keys_to_ignore_on_load_unexpected = [r"^masked\."]  # of pre-training

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

    _keys_to_ignore_on_load_unexpected = [r"^masked\.", r"^alignment\."]  # of pre-training

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
