"""Segmenter (Strudel, Garcia, Laptev, Schmid, "Segmenter: Transformer for Semantic Segmentation", ICCV 2021, arXiv
2105.05633).

A Vision Transformer encodes the patches of a picture; a decoder tells the class of each. The mask transformer learns a
vector for every class and lets it look at the patches, and they at it: the mask of a class is the product of its vector
with those of the patches.

Axes: B batch, N patches (h rows of w), D width, K classes, H height, W width.

| paper | here |
|---|---|
| z_L, section 3.1 | `encoder`, its last layer normalization included |
| z_lin, section 3.2, linear | `SegmenterLinearDecoder` |
| cls_1 ... cls_K | `class_embeddings` |
| z'_M, c | `patches`, `classes` |
| Masks(z'_M, c) = z'_M c^T | `SegmenterMaskDecoder.masks` |
| bilinear interpolation, softmax | `interpolate`; `logits`, whose softmax is the loss's |

As in the released code, patches are projected before the mask transformer, both factors of the masks are projected and
have unit length, and the masks are normalized over the classes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SemanticSegmenterOutput
from transformers.models.vit.modeling_vit import ViTLayer
from transformers.utils import can_return_tuple

from hfmm.nn.segmentation import pixel_loss

from .configuration_segmenter import SegmenterConfig


class SegmenterPreTrainedModel(PreTrainedModel):
    """Weights and loading of Segmenter."""

    config_class = SegmenterConfig
    base_model_prefix = "segmenter"
    main_input_name = "pixel_values"
    input_modalities = ["image"]
    _supports_sdpa = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, SegmenterMaskDecoder):
            init.trunc_normal_(module.class_embeddings, std=0.02)
            for projection in (module.patch_projection, module.class_projection):
                init.normal_(projection, std=len(projection) ** -0.5)


class SegmenterLinearDecoder(nn.Module):
    """A layer that tells the class of each patch. (B, N, D) -> (B, N, K)."""

    def __init__(self, config: SegmenterConfig, width: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, config.num_labels)  # type: ignore[arg-type]

    def forward(self, patches: Tensor) -> Tensor:
        """Classify each patch on its own."""
        return self.classifier(patches)


class SegmenterMaskDecoder(nn.Module):
    """The mask transformer. (B, N, D) -> (B, N, K)."""

    def __init__(self, config: SegmenterConfig, encoder_config: Any) -> None:
        super().__init__()
        width: int = encoder_config.hidden_size
        num_labels: Any = config.num_labels
        self.projection = nn.Linear(width, width)
        self.class_embeddings = nn.Parameter(torch.empty(1, num_labels, width))
        self.layers = nn.ModuleList(ViTLayer(encoder_config) for _ in range(config.num_decoder_layers))
        self.normalization = nn.LayerNorm(width)
        self.patch_projection = nn.Parameter(torch.empty(width, width))
        self.class_projection = nn.Parameter(torch.empty(width, width))
        self.mask_normalization = nn.LayerNorm(num_labels)

    def masks(self, patches: Tensor) -> Tensor:
        """Cosines between each patch and each class. (B, N, D) -> (B, N, K), from -1 to 1."""
        classes = self.class_embeddings.expand(len(patches), -1, -1)
        tokens = torch.cat([self.projection(patches), classes], 1)  # B N+K D
        for layer in self.layers:
            tokens = layer(tokens, None)
        tokens = self.normalization(tokens)
        patches, classes = tokens.split([patches.shape[1], classes.shape[1]], 1)
        patches = normalize(patches @ self.patch_projection, dim=-1)
        classes = normalize(classes @ self.class_projection, dim=-1)
        return patches @ classes.transpose(1, 2)

    def forward(self, patches: Tensor) -> Tensor:
        """Masks, normalized over the classes of each patch."""
        return self.mask_normalization(self.masks(patches))


class SegmenterForSemanticSegmentation(SegmenterPreTrainedModel):
    """Encoder and decoder."""

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__(config)
        encoder_config: Any = config.encoder_config
        self.encoder = AutoModel.from_config(encoder_config, add_pooling_layer=False)
        self.decoder: SegmenterLinearDecoder | SegmenterMaskDecoder
        if config.decoder == "linear":
            self.decoder = SegmenterLinearDecoder(config, encoder_config.hidden_size)
        else:
            self.decoder = SegmenterMaskDecoder(config, self.encoder.config)
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs: Any) -> SemanticSegmenterOutput:
        """Segment pictures.

        Args:
            pixel_values: (B, num_channels, H, W), of any size in whole patches; positions are interpolated.
            labels: (B, H, W), class of each pixel, 255 where it is not known.
            kwargs: Not read; what transformers passes to every model.

        Returns:
            `logits` (B, K, H, W).

        Raises:
            ValueError: A side is not a whole number of patches.
        """
        height, width = pixel_values.shape[-2:]
        patch_size = self.encoder.config.patch_size
        if height % patch_size or width % patch_size:
            raise ValueError(f"pictures are {height} x {width} but patches of {patch_size} pixels must fit their sides")
        rows, columns = height // patch_size, width // patch_size
        encoded = self.encoder(pixel_values, interpolate_pos_encoding=True).last_hidden_state  # B 1+N D
        masks = self.decoder(encoded[:, 1:])  # B N K
        masks = masks.transpose(1, 2).unflatten(2, (rows, columns))  # B K h w
        logits = interpolate(masks, size=(height, width), mode="bilinear")  # B K H W
        loss = pixel_loss(logits, labels) if labels is not None else None
        return SemanticSegmenterOutput(loss=loss, logits=logits)
