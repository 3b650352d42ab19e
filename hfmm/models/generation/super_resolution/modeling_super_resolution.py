"""SRCNN (Dong, Loy, He and Tang, ECCV 2014, arXiv 1501.00092) and ESPCN (Shi et al., CVPR 2016, arXiv 1609.05158).

Three convolutions make a large picture of a small one. SRCNN first enlarges by bicubic interpolation and mends what
that blurred; ESPCN computes at the small size and lets its last layer give the r x r pixels that each one becomes.

Axes: B batch, h and w of the small picture, H and W of the large one, r times as many; one channel, luminance.

| paper | here |
|---|---|
| SRCNN Eqs. 1 to 3: F1 = max(0, W1 * Y + B1), F2 likewise, F = W3 * F2 + B3 | `forward`, `relu` between the layers |
| SRCNN section 3: bicubic interpolation is the only preprocessing | `enlarged` |
| ESPCN Eqs. 1 to 3: tanh between the layers, then PS | `forward` |
| ESPCN Eq. 4: PS(T) at (x, y, c) = T at (x // r, y // r, C r mod(y, r) + C mod(x, r) + c) | `pixel_shuffle` |
| mean squared error, SRCNN Eq. 4 and ESPCN Eq. 5 | `pixel_loss` |

Convolutions are unpadded, as in the papers; a picture is first continued by the pixels of its border, so that the
answer has its size, and pixels that see past the border do not count in the loss. Departure: training crops are drawn
at random and not cut by a stride.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss, pad, pixel_shuffle
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import ImageSuperResolutionOutput
from transformers.utils import can_return_tuple

from .configuration_super_resolution import SuperResolutionConfig


def enlarged(pixel_values: Tensor, scale: int) -> Tensor:
    """Bicubic interpolation with Pillow's and Matlab's kernel (a = -0.5). (B, C, h, w) -> (B, C, H, W)."""
    # torch takes that kernel with antialiasing, which changes nothing else in an enlargement, and a = -0.75 without
    large = interpolate(pixel_values.float(), scale_factor=scale, mode="bicubic", antialias=True)
    return large.to(pixel_values)


def pixel_loss(reconstruction: Tensor, labels: Tensor, margin: int) -> Tensor:
    """Mean squared error of what lies further than `margin` from the border. Two of (B, 1, H, W) -> ()."""
    height, width = labels.shape[-2:]
    inner = (..., slice(margin, height - margin), slice(margin, width - margin))
    return mse_loss(reconstruction[inner], labels[inner])


class SuperResolutionPreTrainedModel(PreTrainedModel):
    """Weights and loading of the super-resolution nets."""

    config_class = SuperResolutionConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            if self.config.initializer_range is None:
                init.kaiming_uniform_(module.weight, a=5**0.5)
            else:
                init.normal_(module.weight, std=self.config.initializer_range)
            init.zeros_(module.bias)


class SuperResolutionForImageToImage(SuperResolutionPreTrainedModel):
    """Either net: 8,129 parameters as SRCNN 9-1-5, 57,281 as 9-5-5, 22,729 as ESPCN for a threefold enlargement."""

    def __init__(self, config: SuperResolutionConfig) -> None:
        super().__init__(config)
        channels = [1, *config.hidden_sizes, config.scale**2 if config.network == "espcn" else 1]
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, size)
            for (before, after), size in zip(pairwise(channels), config.kernel_sizes, strict=True)
        )
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs: Any) -> ImageSuperResolutionOutput:
        """Enlarge pictures.

        Args:
            pixel_values: (B, 1, h, w), luminance from 16 / 255 to 235 / 255.
            labels: (B, 1, H, W), the truth in the same range.
            kwargs: Not read; what transformers passes to every model.

        Returns:
            `reconstruction` (B, 1, H, W), and with labels `loss`, the mean squared error.

        Raises:
            ValueError: Nothing of the labels lies within the margin.
        """
        mends = self.config.network == "srcnn"
        hidden = enlarged(pixel_values, self.config.scale) if mends else pixel_values
        hidden = pad(hidden, [self.config.reach] * 4, mode="replicate")  # what the convolutions take away
        for layer in self.layers[:-1]:
            hidden = layer(hidden).relu() if mends else layer(hidden).tanh()  # B n H W, or B n h w, with a border
        reconstruction = self.layers[-1](hidden)
        if not mends:
            reconstruction = pixel_shuffle(reconstruction, self.config.scale)  # B 1 H W
        if labels is None:
            return ImageSuperResolutionOutput(reconstruction=reconstruction)
        if min(labels.shape[-2:]) <= 2 * self.config.margin:
            sides = " x ".join(map(str, labels.shape[-2:]))
            raise ValueError(f"labels of {sides} pixels are all within {self.config.margin} of a border: larger crops")
        return ImageSuperResolutionOutput(pixel_loss(reconstruction, labels, self.config.margin), reconstruction)
