"""CIELAB of sRGB (D65), and the part of its plane of colors that sRGB reaches, in bins (Zhang et al., section 2.1)."""

from functools import lru_cache

import torch
from torch import Tensor

XYZ = torch.tensor(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]],
    dtype=torch.float64,
    device="cpu",
)  # of linear red, green and blue
WHITE = torch.tensor([0.95047, 1.0, 1.08883], dtype=torch.float64, device="cpu")[:, None, None]
LEVELS = 256


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Lightness from 0 to 100 and the plane of colors, a and b. (..., 3, H, W) in [0, 1] -> (..., 3, H, W)."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp(min=0.04) + 0.055) / 1.055) ** 2.4)
    xyz = torch.einsum("cd,...dhw->...chw", XYZ.to(rgb), linear) / WHITE.to(rgb)
    f = torch.where(xyz > 0.008856, xyz.clamp(min=0.008) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -3)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """The inverse of [`rgb_to_lab`]; colors that do not exist are cut off. (..., 3, H, W) -> the same, in [0, 1]."""
    lightness, a, b = lab.unbind(-3)
    y = (lightness + 16) / 116
    f = torch.stack([y + a / 500, y, (y - b / 200).clamp(min=0)], -3)
    xyz = torch.where(f > 0.2068966, f**3, (f - 16 / 116) / 7.787) * WHITE.to(lab)
    linear = torch.einsum("cd,...dhw->...chw", torch.linalg.inv(XYZ).to(lab), xyz)
    gamma = 1.055 * linear.clamp(min=0.003) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, gamma, 12.92 * linear).clamp(0, 1)


@lru_cache
def gamut_bins(grid_size: int) -> tuple[tuple[int, int], ...]:
    """The points (a, b) of a grid that are the nearest to some color of sRGB, in order.

    Along a line of constant a and b the solid of colors is left through its surface, so the six faces of the cube of
    red, green and blue reach every bin.

    Args:
        grid_size: Units between two points; 10 in the paper.
    """
    one, other = (
        levels.flatten() / (LEVELS - 1)
        for levels in torch.meshgrid(*[torch.arange(LEVELS, device="cpu").double()] * 2, indexing="ij")
    )
    found: set[tuple[int, int]] = set()
    for face in range(6):
        sides = [one, other]
        sides.insert(face // 2, torch.full_like(one, float(face % 2)))
        plane = rgb_to_lab(torch.stack(sides)[:, :, None])[1:, :, 0]  # 2 levels*levels
        a, b = (plane / grid_size).round().long() + LEVELS
        codes = (2 * LEVELS * a + b).unique().tolist()
        found |= {((code // (2 * LEVELS) - LEVELS), (code % (2 * LEVELS) - LEVELS)) for code in codes}
    return tuple((a * grid_size, b * grid_size) for a, b in sorted(found))
