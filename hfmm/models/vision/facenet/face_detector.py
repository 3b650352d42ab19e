"""Finds faces and five points on each: MTCNN (Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment using
Multi-task Cascaded Convolutional Networks", arXiv 1604.02878).

A cascade of three small networks: the first runs over the picture at many sizes and proposes windows, the second
rejects most of these, the third also says where eyes, nose and corners of the mouth are. Layers are named as in
facenet-pytorch, whose weights load as they are.

Axes: N windows, H height, W width.

| paper | here |
|---|---|
| P-Net, R-Net, O-Net (figure 2) | `ProposalNet`, `RefineNet`, `OutputNet` |
| image pyramid, 12 x 12 windows (section 2.1) | `pyramid`, `windows` |
| bounding box regression | `moved` |
| non-maximum suppression | `hfmm.nn.boxes.nms`, and `outermost` after the last network |
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from hfmm.nn.boxes import box_area, nms

CELL, STRIDE = 12, 2  # pixels of P-Net's window and between two windows
SHRINK = 0.709  # from one size of the pyramid to the next: half the area
THRESHOLDS = (0.6, 0.7, 0.7)  # probability of a face, of each network
REFINED, OUTPUT = 24, 48  # pixels of the windows that R-Net and O-Net look at
OVERLAP, OVERLAP_OF_A_SIZE = 0.7, 0.5  # more is suppressed: between all windows, and between those of one size
TEMPLATE = ((0.34, 0.46), (0.66, 0.46), (0.5, 0.64), (0.37, 0.82), (0.63, 0.82))  # of a crop: where the points go


class Faces(NamedTuple):
    """Faces of a picture, best first.

    Attributes:
        boxes: (N, 4), corners in pixels.
        scores: (N,), probabilities.
        landmarks: (N, 5, 2), x and y in pixels: left and right eye as seen, nose, left and right corner of the mouth.
    """

    boxes: Tensor
    scores: Tensor
    landmarks: Tensor


def pooled(feature_map: Tensor, size: int) -> Tensor:
    """Maxima at a stride of 2, the cells that lie half outside kept."""
    return max_pool2d(feature_map, size, 2, ceil_mode=True)


def flat(feature_map: Tensor) -> Tensor:
    """A map as a row, in the order of the released weights. (N, C, H, W) -> (N, W*H*C)."""
    return feature_map.permute(0, 3, 2, 1).flatten(1)


class ProposalNet(nn.Module):
    """P-Net: of every 12 x 12 window, whether it holds a face, and where in it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 3, H, W) -> probabilities (1, H', W') and offsets of corners (1, 4, H', W')."""
        x = pooled(self.prelu1(self.conv1(pixels)), 2)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).softmax(1)[:, 1], self.conv4_2(x)


class RefineNet(nn.Module):
    """R-Net: the same of windows of 24 x 24."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, 24, 24) -> probabilities (N,) and offsets of corners (N, 4)."""
        x = pooled(self.prelu1(self.conv1(pixels)), 3)
        x = pooled(self.prelu2(self.conv2(x)), 3)
        x = self.prelu4(self.dense4(flat(self.prelu3(self.conv3(x)))))  # N 128
        return self.dense5_1(x).softmax(1)[:, 1], self.dense5_2(x)


class OutputNet(nn.Module):
    """O-Net: the same of windows of 48 x 48, and five points."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2, self.dense6_3 = nn.Linear(256, 2), nn.Linear(256, 4), nn.Linear(256, 10)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3, 48, 48) -> probabilities (N,), offsets of corners (N, 4), points as parts of the box (N, 5, 2)."""
        x = pooled(self.prelu1(self.conv1(pixels)), 3)
        x = pooled(self.prelu2(self.conv2(x)), 3)
        x = pooled(self.prelu3(self.conv3(x)), 2)
        x = self.prelu5(self.dense5(flat(self.prelu4(self.conv4(x)))))  # N 256
        points = self.dense6_3(x).view(-1, 2, 5).transpose(1, 2)  # N 5 2
        return self.dense6_1(x).softmax(1)[:, 1], self.dense6_2(x), points


class FaceDetector(nn.Module):
    """The cascade.

    Args:
        smallest_face: Side in pixels of the smallest face that is looked for.
    """

    def __init__(self, smallest_face: int = 20) -> None:
        super().__init__()
        self.smallest_face = smallest_face
        self.pnet, self.rnet, self.onet = ProposalNet(), RefineNet(), OutputNet()

    @classmethod
    def from_folder(cls, folder: str | Path, smallest_face: int = 20) -> "FaceDetector":
        """Load `pnet.safetensors`, `rnet.safetensors` and `onet.safetensors`, of facenet-pytorch's layout."""
        detector = cls(smallest_face).eval()
        for name, net in detector.named_children():
            net.load_state_dict(load_file(Path(folder) / f"{name}.safetensors"))
        return detector

    @torch.inference_mode()
    def forward(self, image: Image.Image) -> Faces:
        """Find the faces of a picture."""
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float()  # 1 3 H W
        pixels = (pixels - 127.5) / 128
        boxes = self.proposals(pixels)
        scores, offsets = self.rnet(crops(pixels, boxes, REFINED))
        kept = scores > THRESHOLDS[1]
        boxes, scores, offsets = boxes[kept], scores[kept], offsets[kept]
        kept = nms(boxes, scores, OVERLAP)
        boxes = squares(moved(boxes[kept], offsets[kept]))
        scores, offsets, points = self.onet(crops(pixels, boxes, OUTPUT))
        kept = scores > THRESHOLDS[2]
        boxes, scores, offsets, points = boxes[kept], scores[kept], offsets[kept], points[kept]
        landmarks = boxes[:, None, :2] + points * (boxes[:, 2:] - boxes[:, :2])[:, None]  # N 5 2
        boxes = moved(boxes, offsets)
        kept = outermost(boxes, scores, OVERLAP)
        return Faces(boxes[kept], scores[kept], landmarks[kept])

    def proposals(self, pixels: Tensor) -> Tensor:
        """Square windows that P-Net takes for faces. (1, 3, H, W) -> (N, 4), pixels."""
        height, width = pixels.shape[2:]
        found = [torch.empty(0, 9)]
        for scale in pyramid(height, width, self.smallest_face):
            size = [int(side * scale + 1) for side in (height, width)]
            probabilities, offsets = self.pnet(interpolate(pixels, size, mode="area"))
            rows = windows(probabilities[0], offsets[0], scale)
            found.append(rows[nms(rows[:, :4], rows[:, 4], OVERLAP_OF_A_SIZE)])
        rows = torch.cat(found)  # N 9: box, probability, offsets
        rows = rows[nms(rows[:, :4], rows[:, 4], OVERLAP)]
        return squares(moved(rows[:, :4], rows[:, 5:]))


def pyramid(height: int, width: int, smallest_face: int) -> Iterator[float]:
    """Scales at which a face of each size fills P-Net's window, the smallest face first."""
    scale = CELL / smallest_face
    while min(height, width) * scale >= CELL:
        yield scale
        scale *= SHRINK


def windows(probabilities: Tensor, offsets: Tensor, scale: float) -> Tensor:
    """Boxes in the picture of the windows that may hold a face, with what P-Net says. (H, W), (4, H, W) -> (N, 9)."""
    rows, columns = (probabilities >= THRESHOLDS[0]).nonzero().unbind(1)
    corner = STRIDE * torch.stack([columns, rows], 1)  # N 2
    box = torch.cat([corner, corner + CELL], 1) / scale
    return torch.cat([box, probabilities[rows, columns, None], offsets[:, rows, columns].T], 1)


def moved(boxes: Tensor, offsets: Tensor) -> Tensor:
    """Corners moved by parts of the box's sides. (N, 4), (N, 4) -> (N, 4)."""
    return boxes + offsets * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)


def squares(boxes: Tensor) -> Tensor:
    """Boxes of the same center whose sides are the longer of the two. (N, 4) -> (N, 4)."""
    center, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True) / 2
    return torch.cat([center - half, center + half], 1)


def crops(pixels: Tensor, boxes: Tensor, size: int) -> Tensor:
    """What boxes hold of a picture; what lies outside is left out, as in the released code. -> (N, 3, size, size)."""
    height, width = pixels.shape[2:]
    cut = [torch.empty(0, 3, size, size)]
    for x0, y0, x1, y1 in boxes.round().long().tolist():
        left, top = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
        inside = pixels[:, :, top : max(y1, top + 1), left : max(x1, left + 1)]
        cut.append(interpolate(inside, (size, size), mode="area"))
    return torch.cat(cut)


def outermost(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Keep each box that no better one covers, measured by the smaller of the two: a nose is no second face."""
    kept: list[int] = []
    for row in scores.argsort(descending=True).tolist():
        others = boxes[kept]
        sides = torch.minimum(others[:, 2:], boxes[row, 2:]) - torch.maximum(others[:, :2], boxes[row, :2])
        covered = sides.clamp(min=0).prod(1) / torch.minimum(box_area(others), box_area(boxes[row]))
        if not (covered > threshold).any():
            kept.append(row)
    return torch.tensor(kept, dtype=torch.long)


def aligned(image: Image.Image, landmarks: Tensor, size: int) -> Image.Image:
    """Cut out a face, turned and scaled so that its points come to lie where those of every face do.

    The similarity (turn, scale, shift) is that of least squares; points are complex numbers, on which it is a z + b.

    Args:
        image: Any.
        landmarks: (5, 2), of the face.
        size: Side of the result in pixels.
    """
    goal = torch.view_as_complex(torch.tensor(TEMPLATE) * size)  # 5
    found = torch.view_as_complex(landmarks.float().contiguous())
    centered = goal - goal.mean()
    a = (centered.conj() * (found - found.mean())).sum() / centered.abs().square().sum()
    b = found.mean() - a * goal.mean()
    affine = (a.real, -a.imag, b.real, a.imag, a.real, b.imag)
    return image.transform(
        (size, size), Image.Transform.AFFINE, [float(value) for value in affine], Image.Resampling.BICUBIC
    )
