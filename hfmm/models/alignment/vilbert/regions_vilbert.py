"""Where ViLBERT's regions come from, when they are not given.

Axes: B batch, N regions, F features of a region, C classes of the detector, H height, W width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoBackbone, AutoModelForObjectDetection

from hfmm.nn.boxes import roi_align

from .configuration_vilbert import VilbertConfig

POOLED_SIZE = 3  # bins a side of a region that is pooled from a map, whose mean are its features


class VilbertRegions(NamedTuple):
    """Regions of pictures.

    Attributes:
        visual_embeds: (B, N, F).
        visual_locations: (B, N, 5), corners in parts of the picture, and the area.
        visual_attention_mask: (B, N), 1 for regions; all are by default.
        region_targets: (B, N, C), the detector's probabilities of classes, where there is a detector.
    """

    visual_embeds: Tensor
    visual_locations: Tensor
    visual_attention_mask: Tensor | None = None
    region_targets: Tensor | None = None


def locations_of(boxes: Tensor) -> Tensor:
    """x1/W, y1/H, x2/W, y2/H and the part of the picture that they hold. (..., 4) -> (..., 5)."""
    return torch.cat([boxes, (boxes[..., 2:] - boxes[..., :2]).prod(-1, keepdim=True)], -1)


def grid_boxes(height: int, width: int, like: Tensor) -> Tensor:
    """The cells of a map as boxes in parts of the picture, row by row. -> (height*width, 4)."""
    rows, columns = (torch.arange(count, device=like.device) for count in (height, width))
    top, left = (side.flatten() for side in torch.meshgrid(rows, columns, indexing="ij"))  # height*width
    corners = torch.stack([left / width, top / height, (left + 1) / width, (top + 1) / height], -1)
    return corners.to(like.dtype)


class VilbertGridEncoder(nn.Module):
    """Every cell of a backbone's last map is a region; boxes that are given are pooled from the map instead."""

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__()
        self.backbone = AutoBackbone.from_config(config.vision_config)

    def forward(self, pixel_values: Tensor, locations: Tensor | None = None) -> VilbertRegions:
        """(B, 3, H, W), and (B, N, 5) for boxes -> regions."""
        feature_map = self.backbone(pixel_values).feature_maps[-1]
        if locations is not None:
            pooled = roi_align(feature_map, locations[..., :4].to(feature_map.dtype), POOLED_SIZE)  # B N F P P
            return VilbertRegions(pooled.mean((3, 4)), locations)
        embeds = feature_map.flatten(2).mT  # B N F
        height, width = feature_map.shape[-2:]
        cells = locations_of(grid_boxes(height, width, like=embeds))  # N 5
        return VilbertRegions(embeds, cells.expand(len(embeds), -1, -1))


class VilbertDetectedEncoder(nn.Module):
    """The regions that a detector, which is not trained, looks at, and what classes it takes them for."""

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__()
        self.num_regions = config.num_regions
        self.detector = AutoModelForObjectDetection.from_config(config.vision_config).requires_grad_(False)

    @torch.no_grad()
    def forward(self, pixel_values: Tensor, locations: Tensor | None = None) -> VilbertRegions:
        """(B, 3, H, W), and (B, N, 5) for boxes -> regions."""
        boxes = None if locations is None else locations[..., :4]
        num_regions = self.num_regions if boxes is None else None
        found = self.detector.eval().extract_regions(pixel_values, boxes=boxes, num_regions=num_regions)
        return VilbertRegions(
            found.region_features, locations_of(found.boxes), found.attention_mask, found.probabilities
        )
