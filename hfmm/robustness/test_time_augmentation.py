"""Test-time augmentation: what a classifier says of several views of a picture, averaged.

p(y | x) = 1/K sum_k softmax f(T_k x), as Krizhevsky et al. (NIPS 2012, section 4.1) do with ten views. A view leaves
the class as it is: mirrored digits are other digits.

Axes: B pictures, N classes.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfmm.errors import unknown

Size = tuple[int, int]  # height, width
Views = Callable[[Tensor, Size], list[Tensor]]  # of pictures (B, C, H, W) and the size of crops, (B, C, h, w) each
PART = 224 / 256  # of the sides, a crop of pictures that are no larger than what the classifier takes
DEGREES = (-15.0, -7.5, 0.0, 7.5, 15.0)


def flip(pixel_values: Tensor, size: Size) -> list[Tensor]:
    """Pictures as they are, and mirrored left to right."""
    return [pixel_values, pixel_values.flip(-1)]


def five_crop(pixel_values: Tensor, size: Size) -> list[Tensor]:
    """The four corners and the center of pictures.

    Raises:
        ValueError: The pictures are smaller than a crop.
    """
    height, width = pixel_values.shape[-2:]
    down, right = height - size[0], width - size[1]
    if down < 0 or right < 0:
        raise ValueError(f"pictures are {height} x {width}: too small for crops of {size[0]} x {size[1]}")
    corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    return [pixel_values[..., top : top + size[0], left : left + size[1]] for top, left in corners]


def ten_crop(pixel_values: Tensor, size: Size) -> list[Tensor]:
    """The four corners and the center of pictures, and these five mirrored left to right."""
    crops = five_crop(pixel_values, size)
    return crops + [crop.flip(-1) for crop in crops]


def rotations(pixel_values: Tensor, size: Size) -> list[Tensor]:
    """Pictures turned about their center by DEGREES; what comes in at the corners is the mirrored edge."""
    return [_turned(pixel_values, math.radians(degrees)) for degrees in DEGREES]


def _turned(pixel_values: Tensor, angle: float) -> Tensor:
    """Against the clock, in radians."""
    height, width = pixel_values.shape[-2:]
    cosine, sine = math.cos(angle), math.sin(angle)
    # From where a pixel of the view is taken, in a square of -1 to 1: sides of other lengths are other units.
    back = pixel_values.new_tensor([[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]])
    grid = F.affine_grid(back.expand(len(pixel_values), 2, 3), list(pixel_values.shape), align_corners=False)
    return F.grid_sample(pixel_values, grid, padding_mode="reflection", align_corners=False)


VIEWS: dict[str, Views] = {"flip": flip, "five_crop": five_crop, "ten_crop": ten_crop, "rotations": rotations}


class TestTimeAugmentation(nn.Module):
    """A classifier asked about several views of a picture.

    Args:
        model: A classifier of pictures, in evaluation mode.
        views: A name in VIEWS, or a function from pictures (B, C, H, W) and the (height, width) of crops to views.

    Raises:
        UsageError: No views have that name.
    """

    __test__ = False  # pytest takes the name for a test's

    def __init__(self, model: Any, views: str | Views = "flip") -> None:
        super().__init__()
        if isinstance(views, str) and views not in VIEWS:
            raise unknown("views", views, VIEWS)
        self.model = model
        self.views = VIEWS[views] if isinstance(views, str) else views

    @torch.inference_mode()
    def forward(self, pixel_values: Tensor) -> Tensor:
        """Probabilities of classes, the mean of those of the views.

        Crops are of the size that the classifier takes where the pictures are larger than that, and seven eighths of
        the sides, enlarged again, where they are not.

        Args:
            pixel_values: (B, C, H, W).

        Returns:
            (B, N).
        """
        height, width = pixel_values.shape[-2:]
        side = getattr(self.model.config, "image_size", None)
        if isinstance(side, int) and side < min(height, width):
            taken = crop = (side, side)
        else:
            taken, crop = (height, width), (round(PART * height), round(PART * width))
        views = [_resized(view, taken) for view in self.views(pixel_values, crop)]
        said: list[Tensor] = [self.model(pixel_values=view).logits.float().softmax(-1) for view in views]  # B N each
        return torch.stack(said).mean(0)


def _resized(pixel_values: Tensor, size: Size) -> Tensor:
    if pixel_values.shape[-2:] == size:
        return pixel_values
    return F.interpolate(pixel_values, size, mode="bilinear", antialias=True, align_corners=False)
