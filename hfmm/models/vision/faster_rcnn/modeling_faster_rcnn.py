"""Faster R-CNN (Ren, He, Girshick, Sun, NIPS 2015, arXiv 1506.01497), with attributes and regions for others to read.

A small network slides over the feature map of a picture and proposes boxes; what lies in each is cut out of the same
map, looked at by a residual stage, and classified. Bottom-up attention (Anderson et al., CVPR 2018, arXiv 1707.07998)
adds an attribute to each box, and hands the features of the boxes on: `extract_regions`.

Axes: B batch, C channels, H height, W width of the feature map, A anchors of a picture (H * W * a cell's), N boxes of a
picture, M objects of a picture, K classes, D feature. Boxes are corners in parts of the picture.

| paper | here |
|---|---|
| anchors, section 3.1.1 | `make_anchors` |
| L of Eq. 1, p*, N_cls, N_reg, lambda | `match_anchors`, `proposal_losses` |
| t_x, t_y, t_w, t_h, Eq. 2 | `hfmm.nn.boxes.encode_boxes` |
| proposals: 6,000 boxes, suppression at 0.7 | `propose` |
| regions of a step, a quarter of them objects (Fast R-CNN, section 2.3) | `draw_regions` |
| multi-task loss (Fast R-CNN, Eq. 1) | `FasterRcnnForObjectDetection.region_losses` |
| v_i, mean-pooled convolutional feature; attributes (bottom-up attention, section 3.1) | `FasterRcnnHead` |
| boxes whose best class is surer than 0.2 | `choose_regions` |

Departures are on the card.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu, smooth_l1_loss
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoBackbone, PreTrainedModel, ResNetConfig
from transformers import initialization as init
from transformers.models.resnet.modeling_resnet import ResNetStage
from transformers.utils import ModelOutput, can_return_tuple

from hfmm.nn.boxes import box_iou, decode_boxes, encode_boxes, roi_align, roi_pool, suppress

from .configuration_faster_rcnn import FasterRcnnConfig

POSITIVE, NEGATIVE = 0.7, 0.3  # overlap of an anchor with an object, section 3.1.2
IS_OBJECT = 0.5  # overlap of a region with an object (Fast R-CNN, section 2.3)
SHARE_OF_OBJECTS = 0.25  # of the regions of a training step
DEVIATIONS = (0.1, 0.1, 0.2, 0.2)  # what offsets of regions are divided by, as in the released code
WHOLE = (0.0, 0.0, 1.0, 1.0)
CLASS_OVERLAP = 0.3  # of two regions of a class (bottom-up attention)
CLASSES_AT_ONCE = 64  # in suppression by class: what bounds its memory
IGNORED = -100  # of a loss


@dataclass
class FasterRcnnOutput(ModelOutput):
    """What [`FasterRcnnForObjectDetection`] returns; in training with labels, the losses alone.

    Attributes:
        loss: (), per picture, when labels are given.
        loss_dict: The named parts of `loss`, each ().
        logits: (B, N, K + 1), classes of the proposals; the last is the background.
        pred_boxes: (B, N, K, 4), the box of each class.
        scores: (B, N, K), probabilities; 0 where a picture has fewer proposals.
        attributes: (B, N), the likeliest attribute of each proposal, of models with attributes.
        attribute_scores: (B, N), its probability.
    """

    loss: Tensor | None = None
    loss_dict: dict[str, Tensor] | None = None
    logits: Tensor | None = None
    pred_boxes: Tensor | None = None
    scores: Tensor | None = None
    attributes: Tensor | None = None
    attribute_scores: Tensor | None = None


@dataclass
class FasterRcnnRegionsOutput(ModelOutput):
    """Regions of pictures, surest first; where a picture has fewer than others, zeros.

    Attributes:
        region_features: (B, N, D).
        boxes: (B, N, 4), corners in parts of the picture.
        scores: (B, N), probability of the class.
        labels: (B, N), class.
        attributes: (B, N), of models with attributes.
        probabilities: (B, N, K + 1), of all classes; the last is the background.
        attention_mask: (B, N), 1 for regions.
    """

    region_features: Tensor | None = None
    boxes: Tensor | None = None
    scores: Tensor | None = None
    labels: Tensor | None = None
    attributes: Tensor | None = None
    probabilities: Tensor | None = None
    attention_mask: Tensor | None = None


class Truth(NamedTuple):
    """The objects of a batch, filled up with boxes that are none.

    Attributes:
        boxes: (B, M, 4).
        classes: (B, M).
        attributes: (B, M), -1 for an object without.
        is_object: (B, M).
    """

    boxes: Tensor
    classes: Tensor
    attributes: Tensor
    is_object: Tensor


class Regions(NamedTuple):
    """What the head learns from.

    Attributes:
        boxes: (B, N, 4).
        is_region: (B, N); the others fill up.
        classes: (B, N), K for the background.
        attributes: (B, N), -1 for none.
        targets: (B, N, 4), the object's box; anything on the background.
    """

    boxes: Tensor
    is_region: Tensor
    classes: Tensor
    attributes: Tensor
    targets: Tensor


def truth_of(labels: Sequence[dict[str, Tensor]]) -> Truth:
    """The objects of pictures in one tensor each, one object a picture at least.

    Args:
        labels: Of each picture `boxes` (N, 4), `class_labels` (N,) and, where they have any, `attributes` (N,).
    """
    boxes = pad_sequence([picture["boxes"].float() for picture in labels], batch_first=True)  # B M 4
    classes = pad_sequence([picture["class_labels"] for picture in labels], batch_first=True, padding_value=IGNORED)
    attributes = pad_sequence(
        [picture.get("attributes", torch.full_like(picture["class_labels"], -1)) for picture in labels],
        batch_first=True,
    )
    if not boxes.shape[1]:
        boxes, classes = boxes.new_zeros(len(labels), 1, 4), classes.new_full((len(labels), 1), IGNORED)
        attributes = torch.zeros_like(classes)
    is_object = classes != IGNORED
    whole = boxes.new_tensor(WHOLE)
    return Truth(torch.where(is_object[..., None], boxes, whole), classes, attributes, is_object)


def make_anchors(
    sizes: Sequence[int], ratios: Sequence[float], cells: tuple[int, int], pixels: tuple[int, int]
) -> Tensor:
    """Boxes of every size and ratio around the middle of every cell.

    Args:
        sizes: In pixels, the root of an anchor's area.
        ratios: Height over width.
        cells: H and W of the feature map.
        pixels: Height and width of the picture.

    Returns:
        (A, 4); cells by rows, those of a cell beside each other.
    """
    area, root = torch.tensor(sizes, dtype=torch.float)[:, None], torch.tensor(ratios, dtype=torch.float).sqrt()
    sides = torch.stack([area / root / pixels[1], area * root / pixels[0]], -1).flatten(0, 1)  # a 2
    y, x = ((torch.arange(count) + 0.5) / count for count in cells)
    centers = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).view(-1, 1, 2)  # H*W 1 2
    return torch.cat([centers - sides / 2, centers + sides / 2], -1).flatten(0, 1)  # A 4


def choose(candidates: Tensor, count: Tensor, by_chance: bool) -> Tensor:
    """At most so many candidates of each row, by chance or from the first on.

    Args:
        candidates: (B, N), bool.
        count: (B,).
        by_chance: From torch's own generator, so that its seed decides.

    Returns:
        (B, N), bool.
    """
    size = candidates.shape[1]
    order = torch.rand(candidates.shape, device=candidates.device) if by_chance else torch.linspace(1, 0, size + 1)[:-1]
    order = order.to(candidates.device).where(candidates, -1.0)
    best = order.topk(min(size, max(1, int(count.max())))).values
    last = best.gather(1, count[:, None].clamp(1, best.shape[1]) - 1)  # B 1
    return candidates & (order >= last) & (count[:, None] > 0)


def match_anchors(anchors: Tensor, truth: Truth) -> tuple[Tensor, Tensor, Tensor]:
    """Which anchors are of an object, which are of none, and which object is nearest (section 3.1.2).

    An anchor is of an object with an overlap above 0.7, or if no other overlaps some object more; of none with less
    than 0.3 of each. Anchors that cross the edge of the picture are neither.

    Args:
        anchors: (A, 4).
        truth: Objects.

    Returns:
        Positive (B, A), negative (B, A), number of the object (B, A).
    """
    inside = ((anchors >= 0) & (anchors <= 1)).all(-1)  # A
    overlap = box_iou(anchors, truth.boxes).masked_fill(~(inside[:, None] & truth.is_object[:, None]), -1)  # B A M
    most, which = overlap.max(-1)  # B A
    best = overlap.amax(1, keepdim=True)  # B 1 M
    positive = (most > POSITIVE) | ((overlap == best) & (best > 0)).any(-1)
    return positive, inside & ~positive & (most < NEGATIVE), which


def proposal_losses(
    objectness: Tensor, offsets: Tensor, anchors: Tensor, truth: Truth, num_cells: int, config: FasterRcnnConfig,
    by_chance: bool,
) -> dict[str, Tensor]:  # fmt: skip
    """The two parts of Eq. 1, means over pictures.

    Args:
        objectness: (B, A, 2), logits of no object and of an object.
        offsets: (B, A, 4).
        anchors: (A, 4).
        truth: Objects.
        num_cells: N_reg, places of anchors.
        config: Has N_cls, of which positive anchors are half at most, and lambda.
        by_chance: Draw the anchors of the step, in place of taking the first.

    Returns:
        `rpn_objectness` and `rpn_box`, each ().
    """
    positive, negative, which = match_anchors(anchors, truth)
    half = torch.full((len(positive),), config.rpn_batch_size // 2, device=positive.device)
    positive = choose(positive, half, by_chance)
    negative = choose(negative, config.rpn_batch_size - positive.sum(1), by_chance)
    picture, anchor = positive.nonzero(as_tuple=True)
    looked_at, pictures = positive | negative, len(positive)
    log_loss = cross_entropy(objectness[looked_at], positive[looked_at].long(), reduction="sum")
    wanted = encode_boxes(truth.boxes[picture, which[picture, anchor]], anchors[anchor])
    error = smooth_l1_loss(offsets[picture, anchor], wanted, reduction="sum")
    return {
        "rpn_objectness": log_loss / config.rpn_batch_size / pictures,
        "rpn_box": config.rpn_lambda * error / num_cells / pictures,
    }


@torch.no_grad()
def propose(
    objectness: Tensor, offsets: Tensor, anchors: Tensor, config: FasterRcnnConfig, count: int
) -> tuple[Tensor, Tensor]:
    """The best boxes that overlap no better one.

    Args:
        objectness: (B, A, 2).
        offsets: (B, A, 4).
        anchors: (A, 4).
        config: Has how many boxes to look at, and how much they may overlap.
        count: N at most.

    Returns:
        Boxes (B, N, 4) inside the picture, best first, and which are proposals (B, N); the others are whole pictures.
    """
    score = objectness[..., 1] - objectness[..., 0]  # B A
    best = score.topk(min(config.pre_nms_proposals, score.shape[1])).indices
    seen = offsets.gather(1, best[..., None].expand(-1, -1, 4))
    boxes = decode_boxes(seen, anchors[best]).clamp(0, 1)
    kept = suppress(boxes, config.rpn_overlap) & (boxes[..., 2:] > boxes[..., :2]).all(-1)
    first = kept.int().argsort(dim=1, descending=True, stable=True)[:, :count]  # B N
    kept = kept.gather(1, first)
    boxes = boxes.gather(1, first[..., None].expand(-1, -1, 4))
    return torch.where(kept[..., None], boxes, boxes.new_tensor(WHOLE)), kept


@torch.no_grad()
def draw_regions(
    proposals: Tensor, is_proposal: Tensor, truth: Truth, count: int, num_labels: int, by_chance: bool
) -> Regions:
    """The regions that a step looks at, a quarter of them of objects at most; objects' own boxes are among them.

    Args:
        proposals: (B, N, 4).
        is_proposal: (B, N).
        truth: Objects.
        count: Regions of a picture.
        num_labels: K.
        by_chance: Draw them, in place of taking the first.
    """
    boxes, real = torch.cat([truth.boxes, proposals], 1), torch.cat([truth.is_object, is_proposal], 1)
    overlap = box_iou(boxes, truth.boxes).masked_fill(~truth.is_object[:, None], 0)  # B M+N M
    most, which = overlap.max(-1)
    is_object = real & (most >= IS_OBJECT)
    wanted = torch.full((len(boxes),), round(SHARE_OF_OBJECTS * count), device=boxes.device)
    is_object = choose(is_object, wanted, by_chance)
    background = choose(real & (most < IS_OBJECT), count - is_object.sum(1), by_chance)
    chosen = (2 * is_object.int() + background.int()).argsort(dim=1, descending=True, stable=True)[:, :count]  # B N

    def taken(values: Tensor, index: Tensor) -> Tensor:
        return values.gather(1, index) if values.ndim == 2 else values.gather(1, index[..., None].expand(-1, -1, 4))

    is_object, which = taken(is_object, chosen), taken(which, chosen)
    return Regions(
        boxes=taken(boxes, chosen),
        is_region=is_object | taken(background, chosen),
        classes=torch.where(is_object, taken(truth.classes, which), num_labels),
        attributes=torch.where(is_object, taken(truth.attributes, which), -1),
        targets=taken(truth.boxes, which),
    )


def sure_of(boxes: Tensor, scores: Tensor) -> Tensor:
    """How sure a detector is of boxes: the best score of a class in which no better box overlaps them.

    Args:
        boxes: (B, N, 4).
        scores: (B, N, K), without the background.

    Returns:
        (B, N), 0 for boxes that a better one overlaps in every class.
    """
    found = torch.zeros_like(scores[..., 0])
    for some in scores.transpose(1, 2).split(CLASSES_AT_ONCE, 1):  # B k N
        order = some.argsort(dim=-1, descending=True, stable=True)
        spread = boxes[:, None].expand(-1, some.shape[1], -1, -1)  # B k N 4
        kept = suppress(spread.gather(2, order[..., None].expand(-1, -1, -1, 4)), CLASS_OVERLAP)
        left = torch.zeros_like(some).scatter(-1, order, kept.to(some.dtype))
        found = torch.maximum(found, (some * left).amax(1))
    return found


def choose_regions(sure: Tensor, least: int, most: int, confidence: float) -> tuple[Tensor, Tensor]:
    """The boxes to hand on: those that are sure enough, but at least and at most so many.

    Args:
        sure: (B, N), negative for what is no box.
        least: Of a picture, where it has so many.
        most: Of a picture.
        confidence: What `sure` must reach.

    Returns:
        Positions (B, R), surest first, of which there are `least` at least, and which count (B, R).
    """
    value, order = sure.sort(dim=1, descending=True, stable=True)
    count = (value >= confidence).sum(1, keepdim=True).clamp(least, most)
    mask = (torch.arange(sure.shape[1], device=sure.device) < count) & (value >= 0)
    width = max(least, int(mask.sum(1).max()))
    return order[:, :width], mask[:, :width]


class FasterRcnnPreTrainedModel(PreTrainedModel):
    """Weights and loading of Faster R-CNN."""

    config: FasterRcnnConfig
    config_class = FasterRcnnConfig
    base_model_prefix = "faster_rcnn"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """New layers start from N(0, 0.01), as in section 3.1.3; convolutions of the residual stage as ResNet's."""
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear | nn.Embedding):
            init.normal_(module.weight, std=0.01)
        elif isinstance(module, FasterRcnnProposals):
            for layer in (module.convolution, module.objectness, module.offsets):
                init.normal_(layer.weight, std=0.01)


class FasterRcnnProposals(nn.Module):
    """The region proposal network: what each anchor is, and where its object.

    (B, C, H, W) -> objectness (B, A, 2), offsets (B, A, 4).
    """

    def __init__(self, config: FasterRcnnConfig, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, config.rpn_hidden_size, 3, padding=1)
        self.objectness = nn.Conv2d(config.rpn_hidden_size, 2 * config.num_anchors, 1)
        self.offsets = nn.Conv2d(config.rpn_hidden_size, 4 * config.num_anchors, 1)

    def forward(self, feature_map: Tensor) -> tuple[Tensor, Tensor]:
        """Slide over the map."""
        hidden = relu(self.convolution(feature_map))
        objectness = self.objectness(hidden).permute(0, 2, 3, 1)  # B H W 2a
        offsets = self.offsets(hidden).permute(0, 2, 3, 1)  # B H W 4a
        return objectness.reshape(len(hidden), -1, 2).float(), offsets.reshape(len(hidden), -1, 4).float()


class FasterRcnnHead(nn.Module):
    """What a region is: its feature, class, boxes and attribute."""

    def __init__(self, config: FasterRcnnConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        width, num_labels = config.feature_size, int(config.num_labels)  # type: ignore[arg-type]
        self.stage = ResNetStage(
            ResNetConfig(layer_type=config.head_layer_type), channels, width, config.head_stride, config.head_depth
        )
        self.classes = nn.Linear(width, num_labels + 1)
        self.boxes = nn.Linear(width, 4 if config.class_agnostic else 4 * num_labels)
        if config.num_attributes:
            self.class_embedding = nn.Embedding(num_labels + 1, config.class_embedding_size)
            self.attribute_hidden = nn.Linear(width + config.class_embedding_size, config.attribute_hidden_size)
            self.attributes = nn.Linear(config.attribute_hidden_size, config.num_attributes + 1)  # the last is none

    def pool(self, feature_map: Tensor, boxes: Tensor) -> Tensor:
        """v_i: what the residual stage makes of the bins of a region, averaged over them. (B, N, 4) -> (B, N, D)."""
        size, samples = self.config.pooled_size, self.config.pooling_samples
        feature_map, dtype = feature_map.float(), feature_map.dtype  # places need all digits
        if self.config.pooling == "align":
            bins = roi_align(feature_map, boxes, size, samples)  # B N C P P
        else:
            bins = roi_pool(feature_map, boxes, size)
        looked = self.stage(bins.flatten(0, 1).to(dtype))  # B*N D P' P'
        return looked.mean((2, 3)).unflatten(0, boxes.shape[:2])

    def offsets(self, features: Tensor) -> Tensor:
        """Where the object of each class is, as seen from the region. (B, N, D) -> (B, N, K, 4)."""
        offsets = self.boxes(features).float().unflatten(-1, (-1, 4))  # B N K 4, or B N 1 4
        return offsets.expand(-1, -1, int(self.config.num_labels), -1)  # type: ignore[arg-type]

    def told(self, features: Tensor, classes: Tensor) -> Tensor:
        """Attributes of regions of known classes. (B, N, D), (B, N) -> (B, N, attributes + 1), the last is none."""
        both = torch.cat([features, self.class_embedding(classes).to(features.dtype)], -1)
        return self.attributes(relu(self.attribute_hidden(both))).float()


class FasterRcnnForObjectDetection(FasterRcnnPreTrainedModel):
    """The detector, and the regions that it hands on."""

    def __init__(self, config: FasterRcnnConfig) -> None:
        super().__init__(config)
        self.backbone = AutoBackbone.from_config(config.backbone_config)
        channels = self.backbone.channels[-1]
        self.rpn = FasterRcnnProposals(config, channels)
        self.head = FasterRcnnHead(config, channels)
        self.num_labels: int = config.num_labels  # type: ignore[assignment]
        self.post_init()

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, labels: Sequence[dict[str, Tensor]] | None = None, **kwargs: Any
    ) -> FasterRcnnOutput:
        """Detect objects.

        Args:
            pixel_values: (B, 3, height, width).
            labels: Of each picture `class_labels` (N,), `boxes` (N, 4) and, of models with attributes and where the
                data have them, `attributes` (N,), -1 for an object without.
            kwargs: Not read; what transformers passes to every model.
        """
        feature_map = self.backbone(pixel_values).feature_maps[-1]  # B C H W
        objectness, offsets = self.rpn(feature_map)
        anchors = self.anchors(feature_map, pixel_values)
        losses: dict[str, Tensor] = {}
        if labels is not None:
            truth, num_cells = truth_of(labels), feature_map.shape[-2:].numel()
            losses = proposal_losses(objectness, offsets, anchors, truth, num_cells, self.config, self.training)
            found = propose(objectness, offsets, anchors, self.config, self.config.num_training_proposals)
            losses |= self.region_losses(feature_map, *found, truth)
        loss = torch.stack([*losses.values()]).sum() if losses else None
        if labels is not None and self.training:
            return FasterRcnnOutput(loss=loss, loss_dict=losses)
        boxes, is_box = propose(objectness, offsets, anchors, self.config, self.config.num_proposals)
        return FasterRcnnOutput(loss=loss, loss_dict=losses or None, **self.look(feature_map, boxes, is_box))

    def anchors(self, feature_map: Tensor, pixel_values: Tensor) -> Tensor:
        """The anchors of a picture, (A, 4)."""
        sizes, ratios = self.config.anchor_sizes, self.config.anchor_ratios
        cells, pixels = ((tensor.shape[-2], tensor.shape[-1]) for tensor in (feature_map, pixel_values))
        return make_anchors(sizes, ratios, cells, pixels).to(feature_map.device)

    def region_losses(
        self, feature_map: Tensor, proposals: Tensor, is_proposal: Tensor, truth: Truth
    ) -> dict[str, Tensor]:
        """The losses of the head, means over pictures of what a region of a picture loses on average.

        Attributes of a picture are averaged over its regions that have one.

        Returns:
            `class`, `box` and, of models with attributes, `attribute`, each ().
        """
        size = self.config.region_batch_size
        regions = draw_regions(proposals, is_proposal, truth, size, self.num_labels, self.training)
        features = self.head.pool(feature_map, regions.boxes)
        share = regions.is_region / regions.is_region.sum(1, keepdim=True).clamp(min=1) / len(features)  # B N
        log_loss = cross_entropy(
            self.head.classes(features).float().transpose(1, 2), regions.classes, reduction="none"
        )  # B N
        is_object = regions.classes < self.num_labels
        place = regions.classes.where(is_object, 0)[..., None, None].expand(-1, -1, 1, 4)
        offsets = self.head.offsets(features).gather(2, place)[:, :, 0]  # B N 4; those of the right class
        wanted = encode_boxes(regions.targets, regions.boxes) / offsets.new_tensor(DEVIATIONS)
        error = smooth_l1_loss(offsets, wanted, reduction="none").sum(-1)  # B N
        losses = {"class": (share * log_loss).sum(), "box": (share * is_object * error).sum()}
        if self.config.num_attributes:
            has_one = regions.attributes >= 0
            told = self.head.told(features, regions.classes).transpose(1, 2)
            log_loss = cross_entropy(told, regions.attributes.where(has_one, IGNORED), reduction="none")
            share = has_one / has_one.sum(1, keepdim=True).clamp(min=1) / len(features)
            losses["attribute"] = self.config.attribute_weight * (share * log_loss).sum()
        return losses

    def look(self, feature_map: Tensor, boxes: Tensor, is_box: Tensor) -> dict[str, Tensor]:
        """What the head finds in boxes, by the names of [`FasterRcnnOutput`]."""
        features = self.head.pool(feature_map, boxes)
        logits = self.head.classes(features)
        scores = logits.float().softmax(-1)[..., :-1] * is_box[..., None]  # B N K
        offsets = self.head.offsets(features) * logits.new_tensor(DEVIATIONS, dtype=torch.float)
        pred_boxes = decode_boxes(offsets, boxes[:, :, None]).clamp(0, 1)  # B N K 4
        found = {"logits": logits, "pred_boxes": pred_boxes, "scores": scores}
        if self.config.num_attributes:
            told = self.head.told(features, scores.argmax(-1)).softmax(-1)[..., :-1]
            found["attribute_scores"], found["attributes"] = told.max(-1)
        return found

    @torch.no_grad()
    def extract_regions(
        self,
        pixel_values: Tensor,
        boxes: Tensor | None = None,
        num_regions: int | None = None,
        whole_image: bool = False,
        least: int = 10,
        most: int = 100,
        confidence: float = 0.2,
    ) -> FasterRcnnRegionsOutput:
        """Features of the regions of pictures, as bottom-up attention takes them: of proposals, not of predicted boxes.

        Args:
            pixel_values: (B, 3, height, width).
            boxes: (B, N, 4), regions to look at in place of proposals; all are kept, in their order.
            num_regions: So many, the whole picture included; otherwise from `least` to `most`, as many as are sure. A
                picture in which less is proposed has less.
            whole_image: Put the whole picture before the others, as a region of its own.
            least: Regions of a picture, whatever their confidence.
            most: Regions of a picture.
            confidence: Of a region that counts as sure.

        Raises:
            ValueError: More regions are asked for than the model proposes.
        """
        feature_map = self.backbone(pixel_values).feature_maps[-1]
        if boxes is None:
            wanted = (num_regions, num_regions) if num_regions is not None else (least, most)
            least, most = (count - whole_image for count in wanted)
            if least > self.config.num_proposals:
                raise ValueError(f"{least} regions are asked for but num_proposals is {self.config.num_proposals}")
            boxes, mask = self._surest(feature_map, pixel_values, least, most, confidence)
        else:
            mask = torch.ones(boxes.shape[:2], dtype=torch.bool, device=boxes.device)
        if whole_image:
            whole = boxes.new_tensor(WHOLE).expand(len(boxes), 1, 4)
            boxes, mask = torch.cat([whole, boxes], 1), torch.cat([torch.ones_like(mask[:, :1]), mask], 1)
        features = self.head.pool(feature_map, boxes)
        probabilities = self.head.classes(features).float().softmax(-1)
        scores, labels = probabilities[..., :-1].max(-1)
        found = {"region_features": features, "boxes": boxes, "scores": scores, "labels": labels}
        found["probabilities"] = probabilities
        if self.config.num_attributes:
            found["attributes"] = self.head.told(features, labels)[..., :-1].argmax(-1)
        for name, values in found.items():
            found[name] = values * (mask if values.ndim == 2 else mask[..., None])
        return FasterRcnnRegionsOutput(**found, attention_mask=mask.long())

    def _surest(
        self, feature_map: Tensor, pixel_values: Tensor, least: int, most: int, confidence: float
    ) -> tuple[Tensor, Tensor]:
        """Proposals to hand on (B, R, 4), and which count (B, R)."""
        count = self.config.num_proposals
        anchors = self.anchors(feature_map, pixel_values)
        objectness, offsets = self.rpn(feature_map)
        proposals, is_proposal = propose(objectness, offsets, anchors, self.config, count)
        sure = sure_of(proposals, self.look(feature_map, proposals, is_proposal)["scores"])
        chosen, mask = choose_regions(sure.masked_fill(~is_proposal, -1), least, most, confidence)
        return proposals.gather(1, chosen[..., None].expand(-1, -1, 4)), mask
