"""YOLO image processor: pictures to squares, objects to labels, and the model's output to boxes in pixels."""

from hfmm.nn.object_processing import ObjectProcessor


class YoloImageProcessor(ObjectProcessor):
    """Stretches pictures to a square, with values from 0 to 1, and gives boxes in parts of the picture."""

    size = {"height": 448, "width": 448}
    do_normalize = False
