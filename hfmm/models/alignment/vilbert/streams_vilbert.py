"""ViLBERT's two streams: what enters them, the layers of each, and co-attention between them.

The released code's order: the text layers before the first connection run alone; after each connection the layers up to
the next, regions first. What BERT has is BERT's.

Axes: B pairs, L words, N regions (the first is the whole picture, <IMG>), F features of a region, D a stream's width,
J joint width, H heads.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from transformers.models.bert.modeling_bert import BertIntermediate, BertLayer, BertOutput, BertSelfOutput

from .configuration_vilbert import VilbertConfig

WHOLE = (0.0, 0.0, 1.0, 1.0, 1.0)  # location of <IMG>


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
