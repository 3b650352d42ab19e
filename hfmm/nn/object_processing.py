"""What detectors' image processors share: pictures to squares, objects to labels, and what a model found to boxes.

Objects come as upstream's detectors take them, as COCO writes them. Outputs hold `pred_boxes`, Q boxes of a picture or
Q of each class, and `scores` of every box and class.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, CLIPImageProcessorPil
from transformers.image_utils import get_image_size, make_flat_list_of_images, to_numpy_array

from hfmm.nn.boxes import nms

Annotation = Mapping[str, Any]  # `annotations`, of each object `bbox` ([x, y, w, h] in pixels) and `category_id`


class ObjectProcessor(CLIPImageProcessorPil):
    """Stretches pictures to a square, and gives boxes in parts of the picture.

    Attributes:
        of_boxes: What an output may say of each of its Q boxes besides, (B, Q) each, and what is told with them.
    """

    size = {"height": 224, "width": 224}
    default_to_square = True
    do_center_crop = False
    of_boxes: tuple[str, ...] = ()

    def preprocess(self, images: Any, annotations: Any = None, **kwargs: Any) -> BatchFeature:
        """Prepare pictures, and the objects in them for training.

        Args:
            images: One picture or several (PIL, arrays or tensors).
            annotations: Of each picture its objects, see `Annotation`; of one picture also alone.
            kwargs: As upstream's image processors take them.

        Returns:
            `pixel_values` (B, 3, height, width), and with annotations `labels`, see `label_of`.
        """
        batch = super().preprocess(images, **kwargs)
        if annotations is not None:
            pictures: Any = make_flat_list_of_images(images)
            told = [annotations] if isinstance(annotations, Mapping) else annotations
            batch["labels"] = [self.label_of(*pair) for pair in zip(pictures, told, strict=True)]
        return batch

    def label_of(self, picture: Any, annotation: Annotation) -> dict[str, Tensor]:
        """What a model learns of a picture: `class_labels` (N,) and `boxes` (N, 4), corners in parts of it."""
        height, width = get_image_size(to_numpy_array(picture))
        objects = annotation["annotations"]
        boxes = torch.tensor([thing["bbox"] for thing in objects], dtype=torch.float32).view(-1, 4)
        corners = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)  # N 4
        labels = torch.tensor([thing["category_id"] for thing in objects], dtype=torch.long)
        return {"class_labels": labels, "boxes": corners / torch.tensor([width, height, width, height])}

    def post_process_object_detection(
        self,
        outputs: Any,
        threshold: float = 0.2,
        target_sizes: Sequence[Sequence[int]] | Tensor | None = None,
        overlap: float = 0.5,
    ) -> list[dict[str, Tensor]]:
        """The boxes that a model found, without those of the same class that overlap a better one.

        Args:
            outputs: With `pred_boxes` (B, Q, 4), or (B, Q, K, 4) of each class, and `scores` (B, Q, K).
            threshold: Boxes are kept whose score is greater.
            target_sizes: Height and width of each picture in pixels; without, boxes stay in parts of the picture.
            overlap: Intersection over union that two boxes of a class may have.

        Returns:
            Of each picture `scores` (N,), falling, `labels` (N,), `boxes` (N, 4), corners inside the picture, and what
            the output has of `of_boxes`, (N,) each.
        """
        found = []
        for number, (corners, scores) in enumerate(zip(outputs["pred_boxes"], outputs["scores"], strict=True)):
            which, label = (scores > threshold).nonzero(as_tuple=True)
            boxes = (corners[which, label] if corners.ndim == 3 else corners[which]).float().clamp(0, 1)
            score = scores[which, label]
            kept = nms(boxes, score, overlap, groups=label)
            if target_sizes is not None:
                height, width = (int(side) for side in target_sizes[number])
                boxes = boxes * boxes.new_tensor([width, height, width, height])
            row = {"scores": score[kept], "labels": label[kept], "boxes": boxes[kept]}
            more = {name: outputs[name][number, which[kept]] for name in self.of_boxes if name in outputs}
            found.append(row | more)
        return found
