"""Faster R-CNN image processor: as detectors' are, with the attributes of objects."""

from typing import Any

import torch
from torch import Tensor

from hfmm.nn.object_processing import Annotation, ObjectProcessor


class FasterRcnnImageProcessor(ObjectProcessor):
    """Stretches pictures to a square, and gives boxes in parts of the picture with classes and attributes."""

    size = {"height": 600, "width": 600}
    of_boxes = ("attributes", "attribute_scores")

    def label_of(self, picture: Any, annotation: Annotation) -> dict[str, Tensor]:
        """What the model learns of a picture: classes, boxes, and `attributes` (N,), -1 for an object without.

        Of an object with several `attributes`, numbers, the first is learned: there is one softmax a box.
        """
        attributes = [(thing.get("attributes") or [-1])[0] for thing in annotation["annotations"]]
        return super().label_of(picture, annotation) | {"attributes": torch.tensor(attributes, dtype=torch.long)}
