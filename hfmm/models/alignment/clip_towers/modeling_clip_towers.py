"""CLIP over any two towers (Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
ICML 2021, arXiv 2103.00020): a ResNet or a Vision Transformer beside a Transformer or a bag of words.

The Vision Transformer and the Transformer are upstream's; here are the modified ResNet, the bag of words, and the joint
space of any pair of them.

Axes: B batch, I pictures, T texts, L tokens, C channels, h and w of a map, N places of a map, D joint space.

| paper | here |
|---|---|
| three-convolution stem, section 2.4 | `ClipTowersResNet.stem` |
| anti-aliased strides, section 2.4 | `ClipTowersBottleneck.pool` and `shortcut_pool` |
| attention pooling, section 2.4 | `ClipTowersAttentionPool` |
| last gammas of 0 (the released code) | `ClipTowersLastNormalization` |
| CBOW of figure 3 | `ClipTowersBagOfWords` |
| I_e, T_e of figure 3 | `image_embeds`, `text_embeds` |
| W_i of figure 3 | `visual_projection`, or the last layer of the attention pooling |
| W_t, t of figure 3 | `text_projection`, `logit_scale` |
| the loss of figure 3 | `pair_loss` |
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, relu, scaled_dot_product_attention
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import can_return_tuple

from hfmm.nn.contrastive import contrastive_loss
from hfmm.nn.pairs import PairOutput

from .configuration_clip_towers import ClipTowersConfig

EXPANSION = 4  # of a bottleneck


class ClipTowersLastNormalization(nn.BatchNorm2d):
    """The last one of a block, whose gamma begins at 0, and the block as its shortcut."""


class ClipTowersConvolution(nn.Module):
    """A convolution and batch normalization. (B, C, h, w) -> (B, C', h', w')."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, is_last: bool = False
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)
        self.normalization = (ClipTowersLastNormalization if is_last else nn.BatchNorm2d)(out_channels)

    def forward(self, feature_map: Tensor) -> Tensor:
        """Convolve and normalize."""
        return self.normalization(self.convolution(feature_map))


class ClipTowersBottleneck(nn.Module):
    """A bottleneck whose stride is a mean over windows, before the convolution that would skip: no aliasing."""

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = EXPANSION * width
        self.reduce = ClipTowersConvolution(in_channels, width, kernel=1)
        self.spread = ClipTowersConvolution(width, width, kernel=3)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.expand = ClipTowersConvolution(width, out_channels, kernel=1, is_last=True)
        self.shortcut_pool: nn.Module = nn.Identity()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut_pool = nn.AvgPool2d(stride)
            self.shortcut = ClipTowersConvolution(in_channels, out_channels, kernel=1)

    def forward(self, feature_map: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 4 width, h / stride, w / stride)."""
        hidden = relu(self.reduce(feature_map))
        hidden = self.pool(relu(self.spread(hidden)))
        return relu(self.expand(hidden) + self.shortcut(self.shortcut_pool(feature_map)))


class ClipTowersAttentionPool(nn.Module):
    """One layer of attention, in which the mean of all places asks every place, and the mean itself."""

    def __init__(self, config: ClipTowersConfig) -> None:
        super().__init__()
        channels, places = config.stage_sizes[-1], config.map_size**2
        self.head_size = config.pool_head_size
        self.positions = nn.Parameter(torch.empty(places + 1, channels))
        self.query, self.key, self.value = (nn.Linear(channels, channels) for _ in range(3))
        self.projection = nn.Linear(channels, config.projection_dim)

    def forward(self, feature_map: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, D)."""
        tokens = feature_map.flatten(2).transpose(1, 2)  # B N C
        if tokens.shape[1] + 1 != len(self.positions):
            raise ValueError(
                f"pictures give {tokens.shape[1]} places, and there are positions of {len(self.positions) - 1}"
            )
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1) + self.positions  # B 1+N C
        query, key, value = (
            layer(part).unflatten(-1, (-1, self.head_size)).transpose(1, 2)  # B H 1+N C/H
            for layer, part in ((self.query, tokens[:, :1]), (self.key, tokens), (self.value, tokens))
        )
        pooled = scaled_dot_product_attention(query, key, value)  # B H 1 C/H
        return self.projection(pooled.transpose(1, 2).flatten(1))  # B D


class ClipTowersResNet(nn.Module):
    """CLIP's modified ResNet."""

    def __init__(self, config: ClipTowersConfig) -> None:
        super().__init__()
        vision: Any = config.vision_config
        half, width = config.stem_size // 2, config.stem_size
        self.stem = nn.ModuleList(
            [
                ClipTowersConvolution(vision.num_channels, half, kernel=3, stride=2),
                ClipTowersConvolution(half, half, kernel=3),
                ClipTowersConvolution(half, width, kernel=3),
            ]
        )
        self.pool = nn.AvgPool2d(2)
        channels = [width, *config.stage_sizes]
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    ClipTowersBottleneck(
                        channels[stage + bool(block)], width * 2**stage, stride=1 if block or not stage else 2
                    )
                    for block in range(depth)
                )
            )
            for stage, depth in enumerate(config.depths)
        )
        self.attention_pool = ClipTowersAttentionPool(config)

    def forward(self, pixel_values: Tensor) -> BaseModelOutputWithPooling:
        """Embed pictures.

        Args:
            pixel_values: (B, channels, H, W).

        Returns:
            `last_hidden_state`, (B, C, h, w), and `pooler_output`, (B, D).
        """
        feature_map = pixel_values
        for convolution in self.stem:
            feature_map = relu(convolution(feature_map))  # B C H/2 W/2
        feature_map = self.pool(feature_map)  # B C H/4 W/4
        for stage in self.stages:
            feature_map = stage(feature_map)
        pooled = self.attention_pool(feature_map)
        return BaseModelOutputWithPooling(last_hidden_state=feature_map, pooler_output=pooled)


class ClipTowersBagOfWords(nn.Module):
    """The mean of the words' embeddings, in which their order is lost."""

    def __init__(self, config: ClipTowersConfig) -> None:
        super().__init__()
        text: Any = config.text_config
        self.word_embeddings = nn.Embedding(text.vocab_size, text.hidden_size)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> BaseModelOutputWithPooling:
        """Embed texts.

        Args:
            input_ids: (B, L).
            attention_mask: (B, L), 1 for words; all are by default.

        Returns:
            `last_hidden_state`, (B, L, C), and `pooler_output`, (B, C).
        """
        embeds = self.word_embeddings(input_ids)  # B L C
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        weights = (mask / mask.sum(1, keepdim=True)).to(embeds.dtype)  # B L
        pooled = (weights[:, None] @ embeds)[:, 0]  # B C
        return BaseModelOutputWithPooling(last_hidden_state=embeds, pooler_output=pooled)


class ClipTowersPreTrainedModel(PreTrainedModel):
    """Weights and loading of CLIP over any two towers."""

    config_class = ClipTowersConfig
    base_model_prefix = "clip_towers"
    main_input_name = "pixel_values"
    input_modalities = ["image", "text"]
    _supports_sdpa = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initialize as the released code does."""
        if isinstance(module, nn.Conv2d):
            init.kaiming_uniform_(module.weight, a=5**0.5)
        elif isinstance(module, nn.BatchNorm2d):
            init.constant_(module.weight, 0.0 if isinstance(module, ClipTowersLastNormalization) else 1.0)
            init.zeros_(module.bias)
            statistics: Any = module  # which torch allows to be None
            init.zeros_(statistics.running_mean)
            init.ones_(statistics.running_var)
            init.zeros_(statistics.num_batches_tracked)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=0.02)
        elif isinstance(module, ClipTowersAttentionPool):
            scale = module.positions.shape[1] ** -0.5
            init.normal_(module.positions, std=scale)
            for layer in (module.query, module.key, module.value, module.projection):
                init.normal_(layer.weight, std=scale)
                init.zeros_(layer.bias)
        elif isinstance(module, ClipTowersModel):
            init.constant_(module.logit_scale, self.config.logit_scale_init_value)
            for projection in (module.text_projection, module.visual_projection):
                if isinstance(projection, nn.Linear):
                    init.normal_(projection.weight, std=projection.in_features**-0.5)


class ClipTowersModel(ClipTowersPreTrainedModel):
    """Two towers and the space in which they meet."""

    def __init__(self, config: ClipTowersConfig) -> None:
        super().__init__(config)
        vision: Any = config.vision_config
        text: Any = config.text_config
        self.vision_model: Any
        self.text_model: Any
        self.visual_projection: nn.Module
        if config.vision_tower == "resnet":
            self.vision_model = ClipTowersResNet(config)
            self.visual_projection = nn.Identity()  # the attention pooling ends with it
        else:
            self.vision_model = AutoModel.from_config(vision)
            self.visual_projection = nn.Linear(vision.hidden_size, config.projection_dim, bias=False)
        self.text_model = ClipTowersBagOfWords(config) if config.text_tower == "cbow" else AutoModel.from_config(text)
        self.text_projection = nn.Linear(text.hidden_size, config.projection_dim, bias=False)
        self.logit_scale = nn.Parameter(torch.empty(()))
        self.post_init()

    def get_image_features(self, pixel_values: Tensor) -> BaseModelOutputWithPooling:
        """Embed pictures. (I, channels, H, W) to an output whose `pooler_output` is (I, D), of any length."""
        output = self.vision_model(pixel_values)
        output.pooler_output = self.visual_projection(output.pooler_output)
        return output

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> BaseModelOutputWithPooling:
        """Embed texts. (T, L) and (T, L) to an output whose `pooler_output` is (T, D), of any length."""
        output = self.text_model(input_ids=input_ids, attention_mask=attention_mask)
        output.pooler_output = self.text_projection(output.pooler_output)
        return output

    def score(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """Cosines. (I, D) and (T, D) -> (I, T)."""
        return normalize(image_embeds, dim=-1) @ normalize(text_embeds, dim=-1).T

    def pair_loss(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """The loss of figure 3. (B, D) and (B, D), whose rows belong together, to (), a mean over pairs."""
        return contrastive_loss(normalize(image_embeds, dim=-1), normalize(text_embeds, dim=-1), self.logit_scale)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor,
        attention_mask: Tensor | None = None,
        return_loss: bool | None = None,
        **kwargs: Any,
    ) -> PairOutput:
        """Compare every picture with every text.

        Args:
            input_ids: (T, L), padded with the end of texts.
            pixel_values: (I, channels, H, W).
            attention_mask: (T, L), 1 for what is no padding.
            return_loss: Also return the loss, of as many texts as pictures, row by row a pair.
            kwargs: Not read; what transformers passes to every model.
        """
        images: Any = self.get_image_features(pixel_values)
        texts: Any = self.get_text_features(input_ids, attention_mask)
        image_embeds, text_embeds = (normalize(part.pooler_output, dim=-1) for part in (images, texts))  # I D, T D
        logits = image_embeds @ text_embeds.T * self.logit_scale.exp()  # I T
        loss = self.pair_loss(image_embeds, text_embeds) if return_loss else None
        return PairOutput(loss, logits, logits.T, image_embeds, text_embeds)
