"""Regions for the models that read them: from pictures through the detector, or from the files of bottom-up attention.

Axes: B batch, N regions, D feature.
"""

import base64
import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import BatchFeature

from .image_processing_faster_rcnn import FasterRcnnImageProcessor
from .modeling_faster_rcnn import FasterRcnnForObjectDetection, FasterRcnnRegionsOutput

TSV_COLUMNS = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
LONGEST_COLUMN = 2**31 - 1  # characters; 100 features of 2,048 numbers are a million


class StoredRegions(NamedTuple):
    """The regions of one picture, as bottom-up attention stored them.

    Attributes:
        image_id: Of the data set.
        boxes: (N, 4), corners in parts of the picture.
        features: (N, D).
    """

    image_id: str
    boxes: Tensor
    features: Tensor


def read_stored_regions(path: str | Path) -> Iterator[StoredRegions]:
    """Read a file of bottom-up attention: tab-separated, without a header, numbers as base64 of 32-bit floats.

    Raises:
        ValueError: A line has other columns, or not as many numbers as it says; the message names it.
    """
    csv.field_size_limit(LONGEST_COLUMN)
    with Path(path).open(encoding="ascii", newline="") as file:
        for number, columns in enumerate(csv.reader(file, delimiter="\t"), 1):
            if len(columns) != len(TSV_COLUMNS):
                raise ValueError(f"{path} line {number} has {len(columns)} columns, not {', '.join(TSV_COLUMNS)}")
            image_id, width, height, count, *stored = columns
            boxes, features = (torch.from_numpy(np.frombuffer(base64.b64decode(text), "<f4").copy()) for text in stored)
            if boxes.numel() != 4 * int(count) or not int(count) or features.numel() % int(count):
                raise ValueError(f"{path} line {number} says {count} boxes but has {boxes.numel()} numbers of boxes")
            sides = torch.tensor([int(width), int(height)] * 2)
            yield StoredRegions(image_id, boxes.view(-1, 4) / sides, features.view(int(count), -1))


def batch_of(stored: Sequence[StoredRegions]) -> FasterRcnnRegionsOutput:
    """Stored regions of pictures as those that the detector gives, without classes."""
    counts = torch.tensor([len(regions.boxes) for regions in stored])
    return FasterRcnnRegionsOutput(
        region_features=pad_sequence([regions.features for regions in stored], batch_first=True),
        boxes=pad_sequence([regions.boxes for regions in stored], batch_first=True),
        attention_mask=(torch.arange(int(counts.max())) < counts[:, None]).long(),
    )


def _lxmert(regions: FasterRcnnRegionsOutput) -> dict[str, Any]:
    mask = regions["attention_mask"]
    return {
        "visual_feats": regions["region_features"], "visual_pos": regions["boxes"], "visual_attention_mask": mask
    }  # fmt: skip


def _visual_bert(regions: FasterRcnnRegionsOutput) -> dict[str, Any]:
    mask = regions["attention_mask"]
    return {
        "visual_embeds": regions["region_features"], "visual_attention_mask": mask,
        "visual_token_type_ids": torch.ones_like(mask),
    }  # fmt: skip


def _vilbert(regions: FasterRcnnRegionsOutput) -> dict[str, Any]:
    boxes, mask = regions["boxes"], regions["attention_mask"]
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1, keepdim=True)
    return {
        "visual_embeds": regions["region_features"], "visual_locations": torch.cat([boxes, area], -1),
        "visual_attention_mask": mask,
    }  # fmt: skip


FORMS: dict[str, Callable[[FasterRcnnRegionsOutput], dict[str, Any]]] = {
    "regions": dict,
    "lxmert": _lxmert,
    "visual_bert": _visual_bert,
    "vilbert": _vilbert,
}


def in_form(regions: FasterRcnnRegionsOutput, form: str) -> BatchFeature:
    """Regions by the names under which models take them.

    | form | what it has |
    |---|---|
    | `regions` | all of [`FasterRcnnRegionsOutput`] |
    | `lxmert` | `visual_feats` (B, N, D), `visual_pos` (B, N, 4), `visual_attention_mask` (B, N) |
    | `visual_bert` | `visual_embeds` (B, N, D), `visual_attention_mask`, `visual_token_type_ids` (B, N), which are 1 |
    | `vilbert` | `visual_embeds`, `visual_locations` (B, N, 5), corners and area, `visual_attention_mask` |

    Raises:
        ValueError: No such form.
    """
    if form not in FORMS:
        raise ValueError(f"no form of regions is called {form!r}: there are {', '.join(FORMS)}")
    return BatchFeature(FORMS[form](regions))


class FasterRcnnRegionProcessor:
    """Pictures to the regions that other models read.

    Args:
        model: A trained detector, on its device.
        image_processor: Its image processor.
    """

    def __init__(self, model: FasterRcnnForObjectDetection, image_processor: FasterRcnnImageProcessor) -> None:
        self.model = model.eval()
        self.image_processor = image_processor

    @classmethod
    def from_pretrained(cls, where: str | Path) -> Self:
        """Load both from a run directory or a repository."""
        model = FasterRcnnForObjectDetection.from_pretrained(where)
        return cls(model, FasterRcnnImageProcessor.from_pretrained(where))

    def __call__(self, images: Any, form: str = "regions", **kwargs: Any) -> BatchFeature:
        """Find the regions of pictures.

        Args:
            images: One picture or several.
            form: By which names to give them, see `in_form`.
            kwargs: Which regions, as `extract_regions` takes them: `num_regions`, `whole_image`, `boxes`, ...
        """
        inputs = self.image_processor(images, return_tensors="pt").to(self.model.device, self.model.dtype)
        return in_form(self.model.extract_regions(**inputs, **kwargs), form)
