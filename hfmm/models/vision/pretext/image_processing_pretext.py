"""Image processor of the pretext tasks: pictures to exams, each drawn from a seed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import BatchFeature, CLIPImageProcessorPil
from transformers.processing_utils import ImagesKwargs

from .configuration_pretext import NUM_NEIGHBORS, maximal_hamming_set

LEAST_DEVIATION = 0.02  # of a tile's values in [0, 1]: an even tile stays even
Pixels = np.ndarray


class PretextKwargs(ImagesKwargs, total=False):
    """What the processor keeps beside the settings of all.

    Attributes:
        task: As in the configuration.
        grid_size: Cells in each direction that tiles are cut from: 3 for relative positions.
        tile_size: Side of a tile in pixels.
        tile_stride: Pixels from a cell to the next.
        jitter: A tile begins up to so many pixels after its cell, in each direction.
        color_jitter: Each channel of a tile is moved by up to so many pixels, in each direction.
        num_permutations: In how many orders the tiles of a jigsaw puzzle are shown.
        permutations: These orders; the configuration's by default.
        hole_size: Side of the square in the middle that is to be painted.
        do_normalize_tiles: Give the channels of each tile mean 0 and deviation 1; values from -1 to 1 otherwise.
        do_pretext: Give exams; whole pictures for the encoder otherwise.
    """

    task: str
    grid_size: int
    tile_size: int
    tile_stride: int
    jitter: int
    color_jitter: int
    num_permutations: int
    permutations: list[list[int]] | None
    hole_size: int
    do_normalize_tiles: bool
    do_pretext: bool


class PretextImageProcessor(CLIPImageProcessorPil):
    """Pictures to `pixel_values` (B, P, 3, h, w) and the `labels` that have to be found.

    | task | tiles | label |
    |---|---|---|
    | relative_position | the middle one and a neighbor | place of the neighbor (B,), in reading order |
    | jigsaw | all, permuted | number of the permutation (B,) |
    | same_image | one, and another of the same picture or of the next one in the batch | 1 for the same (B,) |
    | inpainting | the whole picture | what is in the hole (B, 3, hole_size, hole_size) |

    Tiles are normalized one by one, so that their light and tint tell nothing; whole pictures for the encoder are
    treated as one tile. Pictures to be painted have values from -1 to 1.
    """

    valid_kwargs = PretextKwargs
    do_normalize = False
    task = "relative_position"
    grid_size = 3
    tile_size = 96
    tile_stride = 144
    jitter = 14
    color_jitter = 0
    num_permutations = 100
    permutations = None
    hole_size = 64
    do_normalize_tiles = True
    do_pretext = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.task == "jigsaw" and self.permutations is None:
            chosen = maximal_hamming_set(self.grid_size**2, self.num_permutations)
            self.permutations = [list(order) for order in chosen]
        side = min(self.crop_size["height"], self.crop_size["width"])
        needed = self.hole_size if self.task == "inpainting" else self.extent
        if needed > side:
            raise ValueError(f"pictures of {side} pixels are too small: {self.task} needs {needed}")

    @property
    def extent(self) -> int:
        """Side of the square that all tiles are cut from."""
        return (self.grid_size - 1) * self.tile_stride + self.jitter + self.tile_size

    def preprocess(self, images: Any, *args: Any, seeds: Sequence[int] | None = None, **kwargs: Any) -> BatchFeature:
        """Make exams of pictures.

        Args:
            images: One or several.
            args: Of every image processor.
            seeds: Of each picture's crops and its question; its number in the batch by default.
            kwargs: Of every image processor, and `do_pretext`.

        Returns:
            `pixel_values` and `labels`; without `do_pretext` `pixel_values` (B, 3, H, W) alone.
        """
        wanted, exams = kwargs.pop("return_tensors", None), kwargs.pop("do_pretext", self.do_pretext)
        whole = not exams or self.task == "inpainting"
        kwargs = {"do_center_crop": whole, "do_normalize": False} | kwargs
        pictures = super().preprocess(images, *args, **kwargs)["pixel_values"]  # each 3 H W in [0, 1]
        if not exams:
            return BatchFeature({"pixel_values": list(map(self.scaled, pictures))}, tensor_type=wanted)
        randoms = [np.random.default_rng(seed) for seed in (range(len(pictures)) if seeds is None else seeds)]
        asked = {
            "relative_position": self.relative_positions,
            "jigsaw": self.puzzles,
            "same_image": self.pairs,
            "inpainting": self.holes,
        }[self.task](pictures, randoms)
        return BatchFeature({"pixel_values": asked[0], "labels": asked[1]}, tensor_type=wanted)

    def relative_positions(self, pictures: list[Pixels], randoms: list[np.random.Generator]) -> tuple[Any, Any]:
        """The middle tile and one of its neighbors; the neighbor's place."""
        middle = self.grid_size**2 // 2
        values, labels = [], []
        for picture, random in zip(pictures, randoms, strict=True):
            label = int(random.integers(NUM_NEIGHBORS))
            values.append(self.tiles(picture, (middle, neighbor_cell(label)), random))
            labels.append(label)
        return values, labels

    def puzzles(self, pictures: list[Pixels], randoms: list[np.random.Generator]) -> tuple[Any, Any]:
        """All tiles in one of the orders; its number."""
        orders: Any = self.permutations
        labels = [int(random.integers(len(orders))) for random in randoms]
        chosen = zip(pictures, labels, randoms, strict=True)
        return [self.tiles(picture, orders[label], random) for picture, label, random in chosen], labels

    def pairs(self, pictures: list[Pixels], randoms: list[np.random.Generator]) -> tuple[Any, Any]:
        """Two tiles of each picture; of every second one its first with the second tile of the next picture."""
        count = len(pictures)
        cut = []
        for picture, random in zip(pictures, randoms, strict=True):
            cells = random.choice(self.grid_size**2, 2, replace=False)
            cut.append(self.tiles(picture, cells.tolist(), random))
        labels = [int(row % 2 == 0) for row in range(count)]
        others = [cut[row if same else (row + 1) % count] for row, same in enumerate(labels)]
        return [np.stack([one[0], other[1]]) for one, other in zip(cut, others, strict=True)], labels

    def holes(self, pictures: list[Pixels], randoms: list[np.random.Generator]) -> tuple[Any, Any]:
        """Whole pictures, and what is in the middle of them; the model hides it."""
        values = list(map(centered, pictures))
        top, left = ((side - self.hole_size) // 2 for side in pictures[0].shape[1:])
        hole = np.s_[:, top : top + self.hole_size, left : left + self.hole_size]
        return [value[None] for value in values], [value[hole] for value in values]

    def tiles(self, picture: Pixels, cells: Sequence[int], random: np.random.Generator) -> Pixels:
        """Tiles of some cells of a grid that lies anywhere in the picture. (3, H, W) -> (P, 3, h, w)."""
        corner = [random.integers(side - self.extent + 1) for side in picture.shape[1:]]
        found = []
        for cell in cells:
            start = [
                first + place * self.tile_stride + random.integers(self.jitter + 1)
                for first, place in zip(corner, divmod(cell, self.grid_size), strict=True)
            ]
            found.append(self.scaled(np.stack([self._cut(channel, start, random) for channel in picture])))
        return np.stack(found)

    def scaled(self, pixels: Pixels) -> Pixels:
        """Values of a tile or a whole picture as the encoder takes them, from [0, 1]."""
        return normalized(pixels) if self.do_normalize_tiles else centered(pixels)

    def _cut(self, channel: Pixels, start: list[Any], random: np.random.Generator) -> Pixels:
        """A tile of one channel, moved by the color jitter but never out of the picture."""
        moved = random.integers(-self.color_jitter, self.color_jitter + 1, 2) if self.color_jitter else (0, 0)
        ends = (side - self.tile_size for side in channel.shape)
        top, left = (int(np.clip(at + by, 0, end)) for at, by, end in zip(start, moved, ends, strict=True))
        return channel[top : top + self.tile_size, left : left + self.tile_size]


def neighbor_cell(place: int) -> int:
    """The cell of a 3 x 3 grid that is the `place`-th around the middle, in reading order."""
    return place + (place >= NUM_NEIGHBORS // 2)


def centered(pixels: Pixels) -> Pixels:
    """From [0, 1] to [-1, 1]."""
    return 2 * pixels - 1


def normalized(tile: Pixels) -> Pixels:
    """Each channel with mean 0 and deviation 1, by the tile's own. (3, h, w)."""
    mean, deviation = tile.mean((1, 2), keepdims=True), tile.std((1, 2), keepdims=True)
    return ((tile - mean) / np.maximum(deviation, LEAST_DEVIATION)).astype(np.float32)
