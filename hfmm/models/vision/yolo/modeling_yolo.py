"""YOLO, version 1 (Redmon, Divvala, Girshick, Farhadi, "You Only Look Once", CVPR 2016, arXiv 1506.02640).

One network looks at the picture once and tells, for every cell of a grid, which class is there and B boxes with a
confidence each. The cell in which the center of an object falls is the one to find it, so that of two objects in one
cell the second is lost.

Axes: B batch, C channels, H height, W width, S cells a side, P predictors a cell (the paper's B), K classes,
M objects that a cell has to find, over the whole batch.

| paper | here |
|---|---|
| figure 3, 24 convolutions | `YoloBackbone` |
| S x S x (B * 5 + C) tensor, section 2 | `logits`: of a cell the classes, the confidences, then the boxes |
| x and y in the cell, square roots of w and h of the picture | `encode_box`, `decode` |
| Pr(Class | Object) * Pr(Object) * IOU, Eq. 1 | `scores` |
| responsible predictor, section 2.2 | `responsible` |
| loss, Eq. 3 | `detection_loss` |

Departures are on the card; batch normalization and the convolutional head are of the preset `tiny` alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu, one_hot
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from hfmm.nn.boxes import box_iou

from .configuration_yolo import POOL, YoloConfig

LAMBDA_COORD, LAMBDA_NOOBJ = 5.0, 0.5  # of Eq. 3
SLOPE = 0.1  # of the leaky ReLU, Eq. 2


@dataclass
class YoloOutput(ModelOutput):
    """What [`YoloForObjectDetection`] returns.

    Attributes:
        loss: (), per picture, when labels are given.
        loss_dict: The named parts of `loss`, each (), adding up to it.
        logits: (B, S, S, K + 5P), as the last layer gives them.
        pred_boxes: (B, S*S*P, 4), corners in parts of the picture.
        scores: (B, S*S*P, K), confidence of each box times the cell's probability of each class.
    """

    loss: Tensor | None = None
    loss_dict: dict[str, Tensor] | None = None
    logits: Tensor | None = None
    pred_boxes: Tensor | None = None
    scores: Tensor | None = None


def encode_box(boxes: Tensor, grid_size: int) -> tuple[Tensor, Tensor]:
    """The cell that has to find each box, and the box as that cell sees it (section 2).

    Args:
        boxes: (M, 4), corners in parts of the picture.
        grid_size: S.

    Returns:
        Row and column (M, 2), and x, y in the cell with the square roots of width and height (M, 4).
    """
    center = (boxes[:, :2] + boxes[:, 2:]) / 2 * grid_size  # M 2
    cell = center.floor().clamp(0, grid_size - 1)
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).sqrt()
    return cell.long().flip(1), torch.cat([center - cell, sides], 1)


def decode(predicted: Tensor, rows: Tensor, columns: Tensor, grid_size: int) -> Tensor:
    """Corners of boxes that cells predict; inverse of `encode_box`.

    Args:
        predicted: (..., 4), x, y, square roots of w and h.
        rows: (...), of the cells.
        columns: (...), of the cells.
        grid_size: S.
    """
    center = torch.stack([predicted[..., 0] + columns, predicted[..., 1] + rows], -1) / grid_size
    half = predicted[..., 2:] ** 2 / 2
    return torch.cat([center - half, center + half], -1)


def responsible(predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Which predictor of each cell is nearest to its object, and how near.

    The nearest has the highest intersection over union; where all of these are zero, the least root mean square error
    of center and sides, as in the released code.

    Args:
        predicted: (M, P, 4), corners.
        truth: (M, 4), corners.

    Returns:
        Predictor (M,) and its intersection over union (M,).
    """
    overlap = box_iou(predicted, truth[:, None])[..., 0]  # M P
    difference = predicted - truth[:, None]
    center, sides = (difference[..., :2] + difference[..., 2:]) / 2, difference[..., 2:] - difference[..., :2]
    error = (center**2 + sides**2).sum(-1)  # M P
    nearest = torch.where(overlap.any(1), overlap.argmax(1), error.argmin(1))  # M
    return nearest, overlap.gather(1, nearest[:, None])[:, 0]


def objects_of_cells(
    labels: Sequence[dict[str, Tensor]], grid_size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The object that each cell has to find; of several in one cell the first.

    Args:
        labels: Of each picture `boxes` (N, 4), corners in parts of the picture, and `class_labels` (N,).
        grid_size: S.

    Returns:
        Picture (M,), row (M,), column (M,), box (M, 4) and class (M,) of each object.
    """
    boxes = torch.cat([picture["boxes"] for picture in labels])
    classes = torch.cat([picture["class_labels"] for picture in labels])
    counts = torch.tensor([len(picture["boxes"]) for picture in labels], device=boxes.device)
    picture = torch.arange(len(labels), device=boxes.device).repeat_interleave(counts)
    row, column = encode_box(boxes, grid_size)[0].unbind(1)
    number = (picture * grid_size + row) * grid_size + column
    is_lost = (number[:, None] == number).tril(-1).any(1)  # an earlier one is in the same cell
    return picture[~is_lost], row[~is_lost], column[~is_lost], boxes[~is_lost], classes[~is_lost]


def detection_loss(logits: Tensor, labels: Sequence[dict[str, Tensor]], num_labels: int) -> dict[str, Tensor]:
    """The parts of Eq. 3, each summed over cells, predictors and pictures.

    Args:
        logits: (B, S, S, K + 5P).
        labels: See `objects_of_cells`.
        num_labels: K.

    Returns:
        `center`, `size`, `object`, `no_object` and `class`, each ().
    """
    grid_size = logits.shape[1]
    picture, row, column, boxes, classes = objects_of_cells(labels, grid_size)
    class_scores, confidence, predicted = split(logits, num_labels)
    here = (picture, row, column)
    with torch.no_grad():
        found = decode(predicted[here], row[:, None], column[:, None], grid_size)  # M P 4
        nearest, overlap = responsible(found, boxes.to(found.dtype))
    _, target = encode_box(boxes, grid_size)
    error = (predicted[(*here, nearest)] - target) ** 2  # M 4
    is_object = torch.zeros_like(confidence, dtype=torch.bool)
    is_object[(*here, nearest)] = True
    return {
        "center": LAMBDA_COORD * error[:, :2].sum(),
        "size": LAMBDA_COORD * error[:, 2:].sum(),
        "object": ((confidence[(*here, nearest)] - overlap) ** 2).sum(),
        "no_object": LAMBDA_NOOBJ * (confidence.masked_fill(is_object, 0) ** 2).sum(),
        "class": ((class_scores[here] - one_hot(classes, num_labels)) ** 2).sum(),
    }


def split(logits: Tensor, num_labels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Classes (..., K), confidences (..., P) and boxes (..., P, 4) of the cells. (..., K + 5P)."""
    num_predictors = (logits.shape[-1] - num_labels) // 5
    classes, confidence, boxes = logits.split([num_labels, num_predictors, 4 * num_predictors], -1)
    return classes, confidence, boxes.unflatten(-1, (num_predictors, 4))


class YoloPreTrainedModel(PreTrainedModel):
    """Weights and loading of YOLO."""

    config_class = YoloConfig
    base_model_prefix = "backbone"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d | nn.Linear):
            init.kaiming_normal_(module.weight, a=SLOPE)


class YoloConvolution(nn.Module):
    """A convolution and a leaky ReLU. (B, C, H, W) -> (B, C', H / stride, W / stride)."""

    def __init__(self, in_channels: int, layer: Sequence[int], normalized: bool) -> None:
        super().__init__()
        kernel, channels, stride = layer
        self.convolution = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, bias=not normalized)
        self.normalization = nn.BatchNorm2d(channels) if normalized else nn.Identity()

    def forward(self, feature_map: Tensor) -> Tensor:
        """Convolve."""
        return leaky_relu(self.normalization(self.convolution(feature_map)), SLOPE)


class YoloBackbone(nn.Module):
    """The convolutions and max-pools. (B, num_channels, image_size, image_size) -> (B, C, S, S)."""

    def __init__(self, config: YoloConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        self.num_features = config.num_channels
        for layer in config.layers:
            if len(layer) == len(POOL):
                self.layers.append(nn.MaxPool2d(*layer))
            else:
                self.layers.append(YoloConvolution(self.num_features, layer, config.batch_normalization))
                self.num_features = layer[1]

    def forward(self, feature_map: Tensor) -> Tensor:
        """Look once."""
        for layer in self.layers:
            feature_map = layer(feature_map)
        return feature_map


class YoloForObjectDetection(YoloPreTrainedModel):
    """The detector: 271,703,550 parameters as in the paper, for 20 classes."""

    def __init__(self, config: YoloConfig) -> None:
        super().__init__(config)
        self.backbone = YoloBackbone(config)
        channels, cells = self.backbone.num_features, config.grid_size**2
        self.num_labels: int = config.num_labels  # type: ignore[assignment]
        outputs = self.num_labels + 5 * config.num_predictors
        if config.hidden_size is None:
            self.hidden = None
            self.prediction: nn.Conv2d | nn.Linear = nn.Conv2d(channels, outputs, 1)
        else:
            self.hidden = nn.Linear(channels * cells, config.hidden_size)
            self.prediction = nn.Linear(config.hidden_size, cells * outputs)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module is self.prediction:
            bias: Any = self.prediction.bias
            init.normal_(self.prediction.weight, std=0.01)
            init.copy_(bias, self.first_guess())

    def first_guess(self) -> Tensor:
        """What cells say before training: nothing is there, and boxes around their middle, one predictor's larger.

        Predictors of one size would share the objects by chance; so each specializes from the start.

        Returns:
            The bias of the last layer, (outputs,).
        """
        config = self.config
        cell = torch.zeros(self.num_labels + 5 * config.num_predictors)
        _, _, boxes = split(cell, self.num_labels)  # a view: P 4
        boxes[:, :2] = 0.5
        boxes[:, 2:] = (torch.arange(config.num_predictors)[:, None] + 1) / (config.num_predictors + 1)
        return cell if config.hidden_size is None else cell.repeat(config.grid_size**2)

    def predict(self, feature_map: Tensor) -> Tensor:
        """What each cell says. (B, C, S, S) -> (B, S, S, K + 5P)."""
        if self.hidden is None:
            return self.prediction(feature_map).permute(0, 2, 3, 1)
        hidden = leaky_relu(self.hidden(feature_map.flatten(1)), SLOPE)
        hidden = dropout(hidden, self.config.dropout, self.training)
        return self.prediction(hidden).unflatten(1, (self.config.grid_size, self.config.grid_size, -1))

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Sequence[dict[str, Tensor]] | None = None,
        **kwargs: Any,
    ) -> YoloOutput:
        """Detect objects.

        Args:
            pixel_values: (B, num_channels, image_size, image_size).
            labels: Of each picture `class_labels` (N,) and `boxes` (N, 4), corners in parts of the picture.
            kwargs: Not read; what transformers passes to every model.

        Raises:
            ValueError: The pictures are not of `image_size`.
        """
        size = self.config.image_size
        if pixel_values.shape[-2:] != (size, size):
            height, width = pixel_values.shape[-2:]
            raise ValueError(f"pictures are {height} x {width} but the detector takes {size} x {size} (image_size)")
        logits = self.predict(self.backbone(pixel_values))  # B S S K+5P
        classes, confidence, predicted = split(logits, self.num_labels)
        cells = torch.arange(self.config.grid_size, device=logits.device)
        boxes = decode(predicted, cells[:, None, None], cells[None, :, None], self.config.grid_size)  # B S S P 4
        scores = confidence[..., None] * classes[..., None, :]  # B S S P K
        losses = None
        if labels is not None:
            parts = detection_loss(logits.float(), labels, self.num_labels)
            losses = {name: part / len(logits) for name, part in parts.items()}
        return YoloOutput(
            loss=None if losses is None else torch.stack(list(losses.values())).sum(),
            loss_dict=losses,
            logits=logits,
            pred_boxes=boxes.flatten(1, 3),
            scores=scores.flatten(1, 3),
        )
