"""YOLO from pictures to boxes in pixels: the image processor, suppression, and the stock pipeline."""

import pytest
import torch
import transformers
from PIL import Image

import hfmm
from hfmm import metrics
from hfmm.models.vision.yolo.image_processing_yolo import YoloImageProcessor
from hfmm.models.vision.yolo.modeling_yolo import YoloOutput, decode, split
from tests.models.vision.test_yolo import TWO, logits_for
from tests.testing import seeded


def found_in(*boxes):
    """An output with these boxes: corners, then the scores of three classes."""
    rows = torch.tensor(boxes)
    return YoloOutput(pred_boxes=rows[None, :, :4], scores=rows[None, :, 4:])


def test_boxes_of_a_class_that_overlap_are_suppressed():
    outputs = found_in(
        [0.0, 0.0, 0.5, 0.5, 0.9, 0.1, 0.0],
        [0.0, 0.0, 0.5, 0.45, 0.8, 0.6, 0.0],  # of class 0 suppressed, of class 1 the only one
        [0.5, 0.5, 1.2, 1.0, 0.0, 0.0, 0.3],
    )
    (found,) = YoloImageProcessor().post_process_object_detection(outputs, target_sizes=[(20, 40)])
    assert found["labels"].tolist() == [0, 1, 2]
    torch.testing.assert_close(found["scores"], torch.tensor([0.9, 0.6, 0.3]))
    expected = [[0.0, 0, 20, 10], [0, 0, 20, 9], [20, 10, 40, 20]]  # inside the picture
    torch.testing.assert_close(found["boxes"], torch.tensor(expected))
    (found,) = YoloImageProcessor().post_process_object_detection(outputs, threshold=0.5)
    assert found["labels"].tolist() == [0, 1]


def test_mean_average_precision_of_a_perfect_toy():
    outputs = YoloOutput(pred_boxes=(logits := logits_for(TWO, 4, 3)).new_zeros(2, 32, 4))
    classes, confidence, predicted = split(logits, 3)
    cells = torch.arange(4)
    outputs["pred_boxes"] = decode(predicted, cells[:, None, None], cells[None, :, None], 4).flatten(1, 3)
    outputs["scores"] = (confidence[..., None] * classes[..., None, :]).flatten(1, 3)
    found = YoloImageProcessor().post_process_object_detection(outputs)
    truth = [{"boxes": picture["boxes"], "labels": picture["class_labels"]} for picture in TWO]
    assert metrics.load("detection").compute(predictions=found, references=truth)["map"] == pytest.approx(1)


def test_the_processor_gives_squares_from_0_to_1_and_parts_of_the_picture():
    processor = YoloImageProcessor(size={"height": 16, "width": 16})
    picture = Image.new("RGB", (40, 20), (255, 0, 51))
    told = [{"annotations": [{"bbox": [10, 5, 10, 10], "category_id": 2}]}, {"annotations": []}]
    batch = processor([picture, picture], annotations=told, return_tensors="pt")
    assert batch["pixel_values"].shape == (2, 3, 16, 16)
    torch.testing.assert_close(batch["pixel_values"][0, :, 0, 0], torch.tensor([1.0, 0.0, 0.2]))
    torch.testing.assert_close(
        batch["labels"][0], {"class_labels": torch.tensor([2]), "boxes": torch.tensor([[0.25, 0.25, 0.5, 0.75]])}
    )
    assert batch["labels"][1]["boxes"].shape == (0, 4)


def test_the_pipeline_detects(tmp_path):
    with seeded():
        model = hfmm.create_model("yolo")
    model.save_pretrained(tmp_path)
    processor = hfmm.create_processor("yolo")
    processor.save_pretrained(tmp_path)
    picture = Image.linear_gradient("L").resize((70, 80)).convert("RGB")
    pipe = transformers.pipeline("object-detection", str(tmp_path))
    assert type(pipe.image_processor) is YoloImageProcessor
    told = pipe(picture, threshold=-1.0)
    outputs = model.eval()(**processor(picture, return_tensors="pt"))
    (found,) = processor.post_process_object_detection(outputs, -1.0, [(80, 70)])
    assert [entry["score"] for entry in told] == pytest.approx(found["scores"].tolist(), abs=1e-6)
