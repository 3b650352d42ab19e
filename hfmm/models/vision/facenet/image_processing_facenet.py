"""FaceNet image processor: faces to squares, and, for training, each a little otherwise at every visit."""

from collections.abc import Sequence
from math import cos, radians, sin
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from transformers import BatchFeature, CLIPImageProcessorPil
from transformers.processing_utils import ImagesKwargs

MOST_TURN, MOST_ZOOM, MOST_SHIFT = 10.0, 0.1, 0.06  # degrees; shares of the size
MOST_LIGHT, MOST_CONTRAST = 0.15, 0.25  # shares of white, and of one


class FaceKwargs(ImagesKwargs, total=False):
    """What the image processor keeps beside the settings of all.

    Attributes:
        do_mirror: Whether training sees mirrored pictures: faces stay faces, digits do not stay digits.
    """

    do_mirror: bool


class FacenetImageProcessor(CLIPImageProcessorPil):
    """Stretches pictures to a square. Called with `seeds`, it varies them: the picture of a seed is always the same."""

    valid_kwargs = FaceKwargs
    size = {"height": 224, "width": 224}
    default_to_square = True
    do_center_crop = False
    do_mirror = True

    def preprocess(self, images: Any, *args: Any, seeds: Sequence[int] | None = None, **kwargs: Any) -> BatchFeature:
        """Prepare pictures.

        Args:
            images: One or several; of Pillow's where there are seeds.
            args: Of every image processor.
            seeds: Of each picture's variation; without, pictures are as they are.
            kwargs: Of every image processor.
        """
        mirror = kwargs.pop("do_mirror", self.do_mirror)
        if seeds is not None:
            images = [varied(image, Random(seed), mirror) for image, seed in zip(images, seeds, strict=True)]
        return super().preprocess(images, *args, **kwargs)


def varied(image: Image.Image, random: Random, mirror: bool) -> Image.Image:
    """A picture in another pose and light: mirrored, turned, zoomed, shifted, brighter or duller."""
    picture = ImageOps.mirror(image) if mirror and random.random() < 0.5 else image
    contrast = 1 + random.uniform(-MOST_CONTRAST, MOST_CONTRAST)
    light = 255 * random.uniform(-MOST_LIGHT, MOST_LIGHT)
    levels = [min(max(round((level - 127.5) * contrast + 127.5 + light), 0), 255) for level in range(256)]
    return moved(picture, random).point(levels * len(picture.getbands()))


def moved(image: Image.Image, random: Random) -> Image.Image:
    """A picture turned, zoomed and shifted; its outermost pixels go on where it ends."""
    width, height = image.size
    angle = radians(random.uniform(-MOST_TURN, MOST_TURN))
    zoom = 1 + random.uniform(-MOST_ZOOM, MOST_ZOOM)
    right, down = (side * random.uniform(-MOST_SHIFT, MOST_SHIFT) for side in image.size)
    edge = max(width, height) // 5  # more than turning and zooming can reach
    padded = Image.fromarray(np.pad(np.asarray(image), ((edge, edge), (edge, edge), (0, 0)), mode="edge"))
    across, along = cos(angle) / zoom, sin(angle) / zoom
    x, y = edge + width / 2 + right, edge + height / 2 + down  # what is seen in the middle
    left, top = x - across * width / 2 - along * height / 2, y + along * width / 2 - across * height / 2
    affine = (across, along, left, -along, across, top)
    return padded.transform((width, height), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
