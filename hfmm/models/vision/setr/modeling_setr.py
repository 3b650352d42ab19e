"""SETR (Zheng et al., "Rethinking Semantic Segmentation from a Sequence-to-Sequence Perspective with Transformers",
CVPR 2021, arXiv 2012.15840).

A Vision Transformer sees the whole picture at every layer and never makes it smaller than its patches; three decoders
of rising effort bring the patches back to pixels.

Axes: B batch, N patches (h rows of w), D width, C channels, K classes, H height, W width.

| paper | here |
|---|---|
| Z^m, the output of layer m | `maps`, by layer; the last one normalized, but for multi-level aggregation |
| naive upsampling, section 3.3 (1) | `SetrNaiveDecoder` |
| progressive upsampling, section 3.3 (2) | `SetrProgressiveDecoder` |
| multi-level feature aggregation, section 3.3 (3) | `SetrAggregatingDecoder` |
| auxiliary losses, section 4.1 | `auxiliary` |
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu
from transformers import AutoModel, PreTrainedModel
from transformers.modeling_outputs import SemanticSegmenterOutput
from transformers.utils import can_return_tuple

from hfmm.nn.segmentation import pixel_loss

from .configuration_setr import SetrConfig

AGGREGATED = 4  # by which multi-level aggregation enlarges its streams before it joins them


class SetrPreTrainedModel(PreTrainedModel):
    """Weights and loading of SETR."""

    config_class = SetrConfig
    base_model_prefix = "setr"
    main_input_name = "pixel_values"
    input_modalities = ["image"]
    _supports_sdpa = True
    _supports_attention_backend = True


class SetrConvolution(nn.Module):
    """A convolution, batch normalization and a ReLU. (B, C, h, w) -> (B, C', h, w)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
        self.normalization = nn.BatchNorm2d(out_channels)

    def forward(self, feature_map: Tensor) -> Tensor:
        """Convolve."""
        return relu(self.normalization(self.convolution(feature_map)))


class SetrNaiveDecoder(nn.Module):
    """Two 1 x 1 convolutions. (B, D, h, w) -> (B, K, h, w)."""

    def __init__(self, config: SetrConfig, width: int) -> None:
        super().__init__()
        self.convolution = SetrConvolution(width, config.decoder_hidden_size, kernel=1)
        self.classifier = nn.Conv2d(config.decoder_hidden_size, config.num_labels, kernel_size=1)  # type: ignore[arg-type]

    def forward(self, feature_map: Tensor) -> Tensor:
        """Classify each patch."""
        return self.classifier(self.convolution(feature_map))


class SetrProgressiveDecoder(nn.Module):
    """A convolution and a doubling, as often as it takes to reach the picture. (B, D, h, w) -> (B, K, H, W)."""

    def __init__(self, config: SetrConfig, width: int, patch_size: int) -> None:
        super().__init__()
        hidden = config.decoder_hidden_size
        doublings = patch_size.bit_length() - 1  # four for patches of 16 pixels
        self.convolutions = nn.ModuleList(
            SetrConvolution(hidden if index else width, hidden, kernel=3) for index in range(doublings)
        )
        self.classifier = nn.Conv2d(hidden, config.num_labels, kernel_size=1)  # type: ignore[arg-type]

    def forward(self, feature_map: Tensor) -> Tensor:
        """Alternate convolutions and upsampling, which keeps the noise of large steps away."""
        for convolution in self.convolutions:
            feature_map = interpolate(convolution(feature_map), scale_factor=2, mode="bilinear")  # B C 2h 2w
        return self.classifier(feature_map)


class SetrAggregatingDecoder(nn.Module):
    """Streams of several layers, summed from the last to the first and joined. (B, D, h, w) each -> (B, K, 4h, 4w)."""

    def __init__(self, config: SetrConfig, width: int) -> None:
        super().__init__()
        hidden, streams = config.decoder_hidden_size, len(config.mla_layers)
        self.reductions = nn.ModuleList(SetrConvolution(width, hidden, kernel=1) for _ in range(streams))
        self.mixing = nn.ModuleList(SetrConvolution(hidden, hidden, kernel=3) for _ in range(streams))
        self.halving = nn.ModuleList(SetrConvolution(hidden, hidden // 2, kernel=3) for _ in range(streams))
        self.classifier = nn.Conv2d(streams * hidden // 2, config.num_labels, kernel_size=1)  # type: ignore[arg-type]

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Join the maps of `mla_layers`, given in that order."""
        reduced = [reduction(feature_map) for reduction, feature_map in zip(self.reductions, maps, strict=True)]
        for index in range(len(reduced) - 2, -1, -1):  # top-down: the deeper layer is added to the one before
            reduced[index] = reduced[index] + reduced[index + 1]
        streams = []
        for mix, halve, feature_map in zip(self.mixing, self.halving, reduced, strict=True):
            streams.append(interpolate(halve(mix(feature_map)), scale_factor=AGGREGATED, mode="bilinear"))
        return self.classifier(torch.cat(streams, 1))  # B K 4h 4w


class SetrForSemanticSegmentation(SetrPreTrainedModel):
    """Encoder, decoder and the auxiliary decoders of training."""

    def __init__(self, config: SetrConfig) -> None:
        super().__init__(config)
        encoder_config: Any = config.encoder_config
        width = encoder_config.hidden_size
        self.encoder: Any = AutoModel.from_config(encoder_config, add_pooling_layer=False)
        self.decoder: nn.Module
        if config.decoder == "mla":
            self.encoder.layernorm = nn.Identity()  # its streams are not normalized
            self.decoder = SetrAggregatingDecoder(config, width)
        elif config.decoder == "pup":
            self.decoder = SetrProgressiveDecoder(config, width, encoder_config.patch_size)
        else:
            self.decoder = SetrNaiveDecoder(config, width)
        self.auxiliary = nn.ModuleList(SetrNaiveDecoder(config, width) for _ in config.auxiliary_layers)
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs: Any) -> SemanticSegmenterOutput:
        """Segment pictures.

        Args:
            pixel_values: (B, num_channels, H, W), of any size in whole patches; positions are interpolated.
            labels: (B, H, W), class of each pixel, 255 where it is not known. With them, the auxiliary decoders
                segment too, and the loss is the sum of all, theirs by `auxiliary_weight`.
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
        encoded = self.encoder(pixel_values, interpolate_pos_encoding=True, output_hidden_states=True)

        def as_map(tokens: Tensor) -> Tensor:
            patches = tokens[:, 1:].transpose(1, 2)  # B D N
            return patches.unflatten(2, (height // patch_size, width // patch_size))  # B D h w

        def enlarged(logits: Tensor) -> Tensor:
            return interpolate(logits, size=(height, width), mode="bilinear")  # B K H W

        if self.config.decoder == "mla":
            logits = self.decoder([as_map(encoded.hidden_states[layer]) for layer in self.config.mla_layers])
        else:
            logits = self.decoder(as_map(encoded.last_hidden_state))
        logits = enlarged(logits)
        loss = None
        if labels is not None:
            loss = pixel_loss(logits, labels)
            for decoder, layer in zip(self.auxiliary, self.config.auxiliary_layers, strict=True):
                guess = enlarged(decoder(as_map(encoded.hidden_states[layer])))
                loss = loss + self.config.auxiliary_weight * pixel_loss(guess, labels)
        return SemanticSegmenterOutput(loss=loss, logits=logits)
