"""YOLO: what the paper says, equation by equation; the shared contract comes from ModelTests."""

import math

import pytest
import torch

from hfmm import factory
from hfmm.models.vision.yolo.configuration_yolo import YoloConfig
from hfmm.models.vision.yolo.modeling_yolo import (
    YoloForObjectDetection,
    decode,
    detection_loss,
    encode_box,
    objects_of_cells,
    responsible,
    split,
)
from tests.testing import ModelTests, assert_equal_outputs, seeded
from tests.testing_hub import Bundles

TINY = {"image_size": 16, "layers": [[3, 8, 2], [2], [3, 8, 1]], "hidden_size": 12, "num_labels": 3}
CONVOLUTIONAL = {**TINY, "hidden_size": None, "batch_normalization": True}


def label(*objects):
    """Class and corners of each object."""
    return {
        "class_labels": torch.tensor([kind for kind, *_ in objects], dtype=torch.long),
        "boxes": torch.tensor([box for _, *box in objects], dtype=torch.float).view(-1, 4),
    }


def logits_for(labels, grid_size, num_labels, predictor=0):
    """What a perfect network says: one confident box in the cell of each object, nothing elsewhere."""
    logits = torch.zeros(len(labels), grid_size, grid_size, num_labels + 10)
    picture, row, column, boxes, classes = objects_of_cells(labels, grid_size)
    logits[picture, row, column, classes] = 1
    logits[picture, row, column, num_labels + predictor] = 1
    for number, at in enumerate(range(num_labels + 2 + 4 * predictor, num_labels + 6 + 4 * predictor)):
        logits[picture, row, column, at] = encode_box(boxes, grid_size)[1][:, number]
    return logits


TWO = [label((1, 0.1, 0.2, 0.5, 0.6), (0, 0.6, 0.6, 0.9, 0.9)), label((2, 0.3, 0.0, 0.9, 0.5))]


class TestYolo(ModelTests, Bundles):
    architecture = "yolo"
    model_class = YoloForObjectDetection

    def config(self):
        return YoloConfig(**TINY, dropout=0.0)

    def inputs(self):
        pictures = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        return {"pixel_values": pictures, "labels": [*TWO, label()]}


class TestYoloWithAConvolutionalHead(TestYolo):
    def config(self):
        return YoloConfig(**CONVOLUTIONAL)


def test_paper_has_24_convolutions_1470_outputs_and_its_parameters():
    with torch.device("meta"):
        model = factory.create_model("yolo", preset="paper")
        out = model(torch.empty(2, 3, 448, 448))
    assert sum(isinstance(part, torch.nn.Conv2d) for part in model.modules()) == 24
    assert out.logits.shape == (2, 7, 7, 30)
    assert out.logits[0].numel() == 1470
    assert sum(value.numel() for value in model.backbone.parameters()) == 60_155_968
    assert sum(value.numel() for value in model.parameters()) == 271_703_550


def test_at_most_98_boxes_leave_the_paper():
    with torch.device("meta"):
        out = factory.create_model("yolo", preset="paper")(torch.empty(1, 3, 448, 448))
    assert out.pred_boxes.shape == (1, 98, 4)
    assert out.scores.shape == (1, 98, 20)


def test_a_box_as_its_cell_sees_it_by_hand():
    """A box around (0.5, 0.3), 0.36 x 0.16, in a grid of four: column 2, row 1."""
    cell, target = encode_box(torch.tensor([[0.32, 0.22, 0.68, 0.38]]), 4)
    assert cell.tolist() == [[1, 2]]
    torch.testing.assert_close(target, torch.tensor([[0.0, 0.2, 0.6, 0.4]]))
    at_the_edge, _ = encode_box(torch.tensor([[0.9, 0.9, 1.1, 1.1]]), 4)
    assert at_the_edge.tolist() == [[3, 3]]


def test_decoding_undoes_encoding():
    low = torch.rand(20, 2, generator=torch.Generator().manual_seed(0)) * 0.5
    boxes = torch.cat([low, low + 0.1 + low.flip(0) / 2], 1)
    cell, target = encode_box(boxes, 7)
    torch.testing.assert_close(decode(target, cell[:, 0], cell[:, 1], 7), boxes)


def test_layout_of_a_cell():
    classes, confidence, boxes = split(torch.arange(30.0), 20)
    assert classes.tolist() == list(range(20))
    assert confidence.tolist() == [20, 21]
    assert boxes.tolist() == [[22, 23, 24, 25], [26, 27, 28, 29]]


def test_scores_are_confidence_times_class():  # Eq. 1
    with seeded():
        model = YoloForObjectDetection(YoloConfig(**TINY)).eval()
    out = model(torch.rand(1, 3, 16, 16))
    classes, confidence, _ = split(out.logits, 3)
    torch.testing.assert_close(out.scores.view(1, 4, 4, 2, 3), torch.einsum("bijp,bijk->bijpk", confidence, classes))


def test_loss_is_zero_for_a_perfect_prediction():  # Eq. 3
    for predictor in (0, 1):
        parts = detection_loss(logits_for(TWO, 4, 3, predictor), TWO, 3)
        assert list(parts) == ["center", "size", "object", "no_object", "class"]
        torch.testing.assert_close(torch.stack([*parts.values()]), torch.zeros(5), atol=1e-10, rtol=0)


def test_loss_of_a_single_box_by_hand():  # Eq. 3
    """One cell. Truth 0.4 x 0.4 around (0.5, 0.5), class 1; the predictors say a shifted square and nothing."""
    truth = [label((1, 0.3, 0.3, 0.7, 0.7))]
    side = math.sqrt(0.4)
    logits = torch.tensor([0.2, 0.7, 0.6, 0.3, 0.7, 0.5, side, side, 0.5, 0.5, 0.0, 0.0]).view(1, 1, 1, 12)
    overlap = 0.2 * 0.4 / (2 * 0.16 - 0.08)  # a third
    parts = detection_loss(logits, truth, 2)
    expected = {
        "center": 5 * 0.2**2,
        "size": 0.0,
        "object": (0.6 - overlap) ** 2,
        "no_object": 0.5 * 0.3**2,
        "class": 0.2**2 + 0.3**2,
    }
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(expected, abs=1e-6)
    logits[..., 6:8] = 0.5  # of the responsible predictor: narrower
    shrunk = detection_loss(logits, truth, 2)["size"].item()
    assert shrunk == pytest.approx(5 * 2 * (side - 0.5) ** 2, abs=1e-6)


def equation_3(logits, labels, num_labels):
    """The loss again, one cell after the other."""
    total, grid_size = 0.0, logits.shape[1]
    for picture, given in enumerate(labels):
        owner = {}
        for box, kind in zip(given["boxes"].tolist(), given["class_labels"].tolist(), strict=True):
            x, y = grid_size * (box[0] + box[2]) / 2, grid_size * (box[1] + box[3]) / 2
            owner.setdefault((int(y), int(x)), (box, kind, x, y))
        for row in range(grid_size):
            for column in range(grid_size):
                said = logits[picture, row, column].tolist()
                confidence, boxes = said[num_labels : num_labels + 2], [said[-8:-4], said[-4:]]
                best = overlap = None
                if (row, column) in owner:
                    box, kind, x, y = owner[row, column]
                    corners = [corners_of(found, row, column, grid_size) for found in boxes]
                    overlaps = [iou(found, box) for found in corners]
                    best = overlaps.index(max(overlaps)) if any(overlaps) else nearer(corners, box)
                    overlap = overlaps[best]
                    truth = [x - column, y - row, math.sqrt(box[2] - box[0]), math.sqrt(box[3] - box[1])]
                    total += 5 * sum((a - b) ** 2 for a, b in zip(boxes[best], truth, strict=True))
                    total += sum((said[k] - (k == kind)) ** 2 for k in range(num_labels))
                for j in range(2):
                    total += (confidence[j] - overlap) ** 2 if j == best else 0.5 * confidence[j] ** 2
    return total


def corners_of(found, row, column, grid_size):
    x, y, w, h = (found[0] + column) / grid_size, (found[1] + row) / grid_size, found[2] ** 2, found[3] ** 2
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(width, 0) * max(height, 0)
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)


def nearer(corners, box):
    def error(a):
        center = sum(((a[i] + a[i + 2]) - (box[i] + box[i + 2])) ** 2 / 4 for i in (0, 1))
        return center + sum(((a[i + 2] - a[i]) - (box[i + 2] - box[i])) ** 2 for i in (0, 1))

    return min((0, 1), key=lambda j: error(corners[j]))


@pytest.mark.parametrize("scale", [0.5, 0.05])  # with small boxes nothing overlaps
def test_the_loss_is_equation_3_written_again(scale):
    logits = scale * torch.randn(2, 4, 4, 13, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = [label((1, 0.1, 0.2, 0.5, 0.6), (0, 0.6, 0.6, 0.9, 0.9), (2, 0.7, 0.7, 0.8, 0.8)), TWO[1]]
    total = torch.stack([*detection_loss(logits, labels, 3).values()]).sum().item()
    assert total == pytest.approx(equation_3(logits, labels, 3), rel=1e-6)


def test_the_loss_of_a_batch_is_per_picture():
    with seeded():
        model = YoloForObjectDetection(YoloConfig(**TINY)).eval()
    pixels = torch.rand(2, 3, 16, 16)
    both, alone = model(pixels, labels=TWO), [model(pixels[i : i + 1], labels=TWO[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(both.loss, (alone[0].loss + alone[1].loss) / 2)
    torch.testing.assert_close(torch.stack([*both.loss_dict.values()]).sum(), both.loss)


def test_the_responsible_predictor_has_the_highest_overlap():
    truth = torch.tensor([[0.2, 0.2, 0.6, 0.6]])
    far, near = [0.5, 0.5, 0.9, 0.9], [0.3, 0.2, 0.7, 0.6]
    found, overlap = responsible(torch.tensor([[far, near]]), truth)
    assert found.tolist() == [1]
    assert overlap.item() == pytest.approx(0.12 / 0.2)


def test_where_nothing_overlaps_the_least_square_error_decides():
    truth = torch.tensor([[0.1, 0.1, 0.2, 0.2]])
    predicted = torch.tensor([[[0.8, 0.8, 0.9, 0.9], [0.3, 0.3, 0.4, 0.4]]])
    found, overlap = responsible(predicted, truth)
    assert (found.item(), overlap.item()) == (1, 0)
    assert responsible(predicted.flip(1), truth)[0].item() == 0


def test_one_object_a_cell_and_the_second_is_lost():
    both = [label((1, 0.1, 0.1, 0.3, 0.3), (2, 0.05, 0.05, 0.4, 0.4), (0, 0.6, 0.6, 0.9, 0.9))]
    picture, row, column, _, classes = objects_of_cells(both, 4)
    assert (picture.tolist(), row.tolist(), column.tolist(), classes.tolist()) == ([0, 0], [0, 3], [0, 3], [1, 0])
    alone = [label((1, 0.1, 0.1, 0.3, 0.3), (0, 0.6, 0.6, 0.9, 0.9))]
    logits = torch.randn(1, 4, 4, 13, generator=torch.Generator().manual_seed(0))
    assert_equal_outputs(detection_loss(logits, both, 3), detection_loss(logits, alone, 3))


def test_cells_without_objects_have_only_their_confidence_to_lose():
    logits = torch.randn(1, 4, 4, 13, generator=torch.Generator().manual_seed(0), requires_grad=True)
    parts = detection_loss(logits, [label()], 3)
    assert {name for name, part in parts.items() if part} == {"no_object"}
    parts["no_object"].backward()
    assert torch.equal(logits.grad[..., 3:5], logits.detach()[..., 3:5])  # 2 * 0.5 * C
    assert not logits.grad[..., :3].any()
    assert not logits.grad[..., 5:].any()


def test_predictors_begin_with_different_sizes():
    """Of three, a quarter, a half and three quarters of the square root of a side."""
    for head in (12, None):
        with seeded():
            model = YoloForObjectDetection(YoloConfig(**{**TINY, "hidden_size": head, "num_predictors": 3})).eval()
        assert 0.005 < model.prediction.weight.std() < 0.02
        torch.nn.init.zeros_(model.prediction.weight)
        out = model(torch.rand(1, 3, 16, 16))
        cell = out.pred_boxes.view(4, 4, 3, 4)[2, 1]
        middle, sides = (cell[:, :2] + cell[:, 2:]) / 2, cell[:, 2:] - cell[:, :2]
        torch.testing.assert_close(middle, torch.tensor([[0.375, 0.625]] * 3))
        torch.testing.assert_close(sides, torch.tensor([[0.25], [0.5], [0.75]]).expand(3, 2) ** 2)
        assert not out.scores.any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": [[3, 8]]}, "give .kernel, channels, stride., or .2. for a max-pool"),
        ({"layers": [[3, 8, 1], [2]]}, "must end with a convolution"),
        ({"image_size": 450}, "image_size is 450 but the layers divide it by 64"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        YoloConfig(**fields)


def test_pictures_of_another_size_are_refused():
    with pytest.raises(ValueError, match="pictures are 8 x 16 but the detector takes 16 x 16"):
        YoloForObjectDetection(YoloConfig(**TINY))(torch.rand(1, 3, 8, 16))
