"""YOLO image processor: pictures to squares, objects to labels, and the model's output to boxes in pixels."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, CLIPImageProcessorPil
from transformers.image_utils import get_image_size, make_flat_list_of_images, to_numpy_array

from hfmm.nn.boxes import nms


class YoloImageProcessor(CLIPImageProcessorPil):
    """Stretches pictures to a square, with values from 0 to 1, and gives boxes in parts of the picture."""

    size = {"height": 448, "width": 448}
    default_to_square = True
    do_center_crop = False
    do_normalize = False

    def preprocess(
        self, images: Any, objects: Sequence[Sequence[Mapping[str, Any]]] | None = None, **kwargs: Any
    ) -> BatchFeature:
        """Prepare pictures, and the objects in them for training.

        Args:
            images: One picture or several (PIL, arrays or tensors).
            objects: Of each picture its objects, with `box` ([x0, y0, x1, y1] in its pixels) and `label`.
            kwargs: As upstream's image processors take them.

        Returns:
            `pixel_values` (B, 3, height, width), and with objects `labels`: of each picture `class_labels` (N,) and
            `boxes` (N, 4), corners in parts of the picture.
        """
        batch = super().preprocess(images, **kwargs)
        if objects is not None:
            pictures: Any = make_flat_list_of_images(images)
            batch["labels"] = [label_of(*pair) for pair in zip(pictures, objects, strict=True)]
        return batch

    def post_process_object_detection(
        self,
        outputs: Any,
        threshold: float = 0.2,
        target_sizes: Sequence[Sequence[int]] | Tensor | None = None,
        overlap: float = 0.5,
    ) -> list[dict[str, Tensor]]:
        """The boxes that a model found, without those of the same class that overlap a better one.

        Args:
            outputs: Of [`YoloForObjectDetection`].
            threshold: Boxes are kept whose score is greater.
            target_sizes: Height and width of each picture in pixels; without, boxes stay in parts of the picture.
            overlap: Intersection over union that two boxes of a class may have.

        Returns:
            Of each picture `scores` (N,), falling, `labels` (N,) and `boxes` (N, 4), corners inside the picture.
        """
        found = []
        for number, (corners, scores) in enumerate(zip(outputs["pred_boxes"], outputs["scores"], strict=True)):
            which, label = (scores > threshold).nonzero(as_tuple=True)
            boxes, score = corners[which].float().clamp(0, 1), scores[which, label]
            kept = nms(boxes, score, overlap, groups=label)
            if target_sizes is not None:
                height, width = (int(side) for side in target_sizes[number])
                boxes = boxes * boxes.new_tensor([width, height, width, height])
            found.append({"scores": score[kept], "labels": label[kept], "boxes": boxes[kept]})
        return found


def label_of(picture: Any, objects: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """What a model learns of one picture: `class_labels` (N,) and `boxes` (N, 4) in parts of it."""
    height, width = get_image_size(to_numpy_array(picture))
    boxes = torch.tensor([thing["box"] for thing in objects], dtype=torch.float32).view(-1, 4)
    labels = torch.tensor([thing["label"] for thing in objects], dtype=torch.long)
    return {"class_labels": labels, "boxes": boxes / torch.tensor([width, height, width, height])}
