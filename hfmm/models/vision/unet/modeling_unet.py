"""U-Net (Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015,
arXiv 1505.04597).

A contracting path sees ever more of the picture in ever fewer places; an expansive path brings what it saw back to
every pixel, and takes from the contracting path, level by level, what was still sharp there.

Axes: B batch, C channels, H height, W width, K classes.

| paper | here |
|---|---|
| figure 1, two 3 x 3 convolutions, ReLU | `UnetConvolutions` |
| max pool 2 x 2; up-conv 2 x 2 | `max_pool2d`; `upconvolutions` |
| copy and crop | `center_crop` |
| conv 1 x 1 | `classifier` |
| energy E of section 3 with weights w(x) | `pixel_weights`; the weights themselves, Eq. 2, are in `weighting_unet.py` |
| N(0, sqrt(2 / N)), section 3 | `_init_weights` |

Batch normalization and "same" padding are not the paper's.
"""

from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, max_pool2d, relu
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SemanticSegmenterOutput
from transformers.utils import can_return_tuple

from hfmm.nn.segmentation import center_crop, pixel_loss

from .configuration_unet import UnetConfig


class UnetPreTrainedModel(PreTrainedModel):
    """Weights and loading of U-Net."""

    config_class = UnetConfig
    base_model_prefix = "unet"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            weight = module.weight  # C' C h w; of a transposed one C C' h w, of which each pixel meets one tap
            incoming = len(weight) if isinstance(module, nn.ConvTranspose2d) else weight[0].numel()
            init.normal_(weight, std=(2 / incoming) ** 0.5)


class UnetConvolutions(nn.Module):
    """Two 3 x 3 convolutions. (B, C, H, W) -> (B, C', H - 4, W - 4), or (B, C', H, W) with "same" padding."""

    def __init__(self, in_channels: int, out_channels: int, config: UnetConfig) -> None:
        super().__init__()
        normalized, padding = config.batch_normalization, config.padding
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, out_channels, kernel_size=3, padding=padding, bias=not normalized)
            for channels in (in_channels, out_channels)
        )
        self.normalizations = nn.ModuleList(
            nn.BatchNorm2d(out_channels) if normalized else nn.Identity() for _ in range(2)
        )

    def forward(self, feature_map: Tensor) -> Tensor:
        """Convolve twice."""
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            feature_map = relu(normalization(convolution(feature_map)))
        return feature_map


class UnetForSemanticSegmentation(UnetPreTrainedModel):
    """The whole net: 31,030,658 parameters for one channel and two classes."""

    def __init__(self, config: UnetConfig) -> None:
        super().__init__(config)
        widths = [config.hidden_size * 2**level for level in range(config.depth + 1)]
        above = [config.num_channels, *widths]
        self.contracting = nn.ModuleList(
            UnetConvolutions(before, width, config) for before, width in zip(above[:-2], widths[:-1], strict=True)
        )
        self.bottom = UnetConvolutions(widths[-2], widths[-1], config)
        upwards = widths[-2::-1]
        self.upconvolutions = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, kernel_size=2, stride=2) for width in upwards
        )
        self.expansive = nn.ModuleList(UnetConvolutions(2 * width, width, config) for width in upwards)
        self.classifier = nn.Conv2d(widths[0], config.num_labels, kernel_size=1)  # type: ignore[arg-type]
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        pixel_weights: Tensor | None = None,
        **kwargs: Any,
    ) -> SemanticSegmenterOutput:
        """Segment pictures.

        Args:
            pixel_values: (B, num_channels, H, W).
            labels: (B, H', W'), class of each pixel that is segmented, 255 where it is not known. H' is H - 2 * margin
                with "valid" padding (184 less in the paper's network) and H with "same"; W' likewise.
            pixel_weights: (B, H', W'), the paper's w(x); 1 by default.
            kwargs: Not read; what transformers passes to every model.

        Returns:
            `logits` (B, K, H', W').

        Raises:
            ValueError: A max-pool would not see an even number of pixels.
        """
        self.check_size(*pixel_values.shape[-2:])
        feature_map = pixel_values.contiguous(memory_format=torch.channels_last)  # a step is a fifth faster on a CPU
        skips: list[Tensor] = []
        for convolutions in self.contracting:
            skips.append(convolutions(feature_map))  # B C H W
            feature_map = max_pool2d(skips[-1], kernel_size=2)  # B C H/2 W/2
        feature_map = dropout(self.bottom(feature_map), self.config.dropout, self.training)
        for upconvolution, convolutions in zip(self.upconvolutions, self.expansive, strict=True):
            feature_map = upconvolution(feature_map)  # B C/2 2H 2W
            skip = center_crop(skips.pop(), *feature_map.shape[-2:])
            feature_map = convolutions(torch.cat([skip, feature_map], 1))
        logits = self.classifier(feature_map)  # B K H' W'
        loss = pixel_loss(logits, labels, pixel_weights) if labels is not None else None
        return SemanticSegmenterOutput(loss=loss, logits=logits)

    def check_size(self, height: int, width: int) -> None:
        """Raise ValueError where a max-pool would see an odd number of pixels (the end of section 2)."""
        config = self.config
        for side in (height, width):
            if not config.fits(side):
                fitting = next(larger for larger in count(side) if config.fits(larger))
                raise ValueError(
                    f"pictures are {height} x {width} but {config.depth} max-pools with '{config.padding}' padding need"
                    f" other sides: in place of {side}, {fitting}"
                )
