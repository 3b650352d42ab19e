"""What a generator draws: new pictures, what is nearest to them, and the way from one to another.

Axes: B pictures, L latents, N samples, K neighbors, P pixels.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hfmm.data.examples import Examples
from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import below, panels, pictures_of
from hfmm.explanation.latents import between
from hfmm.explanation.maps import neighbor_rows

SIDE = 72  # pixels of a panel
COLUMNS = 9
DRAWN = 256  # new pictures among which the nearest is looked for
SHOWN = 3 * COLUMNS  # of these
SAMPLES, NEAREST = 8, 6  # new pictures, and training pictures beside each
CHUNK = 1000  # pictures that are compared at a time

Array = NDArray[np.float32]


@runtime_checkable
class DrawsAgainstJudge(Protocol):
    """A model that makes pictures of noise, and says of a picture how likely it is real."""

    def draw_latents(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """(count, L)."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """(B, L) -> (B, C, H, W), in [0, 1]."""
        ...

    def judge(self, pixel_values: Tensor) -> Tensor:
        """(B, C, H, W) as the processor gives them -> (B,), probabilities."""
        ...


def as_drawn(processor: Any, pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """Real pictures in the size and colors of a generator, so that they are compared with its samples alike."""
    values = processor(pictures, do_normalize=False, do_binarize=False, return_tensors="pt")["pixel_values"]
    return pictures_of(values)


def pixels(pictures: Sequence[Image.Image]) -> Array:
    """Pictures of one size as rows of values in [0, 1], (B, P)."""
    return np.stack([np.asarray(picture, np.float32).ravel() for picture in pictures]) / np.float32(255)


def explain_samples(model: Any, processor: Any, examples: Examples) -> Explanation:
    """Show new pictures and the pictures nearest to each in pixels: none is a copy where it was trained on these.

    Args:
        model: With `generate_images`.
        processor: Its image processor.
        examples: What to look among, the training pictures; at least NEAREST.

    Returns:
        Rows of a new picture and its nearest (Goodfellow et al. 2014, figure 2). `data` has `nearest` (ids) and
        `distances`, Euclidean, of pixels in [0, 1].
    """
    with torch.inference_mode():
        samples = pictures_of(model.generate_images(SAMPLES, generator=torch.Generator().manual_seed(0)))
    own = torch.from_numpy(pixels(samples))
    far, where = torch.empty(SAMPLES, 0), torch.empty(SAMPLES, 0, dtype=torch.long)
    for start, chunk in _chunks(processor, examples):
        found = torch.cdist(own, torch.from_numpy(chunk), compute_mode="donot_use_mm_for_euclid_dist")  # N CHUNK
        far = torch.cat([far, found], 1)
        where = torch.cat([where, torch.arange(start, start + len(chunk)).expand(SAMPLES, -1)], 1)
        far, order = far.topk(min(NEAREST, far.shape[1]), largest=False)  # N K
        where = where.gather(1, order)
    rows = where.flatten().tolist()
    pictures = [*samples, *as_drawn(processor, [examples[row]["image"] for row in rows])]
    places = [[SAMPLES + place for place in range(row * NEAREST, (row + 1) * NEAREST)] for row in range(SAMPLES)]
    said = [[f"{distance:.2f}" for distance in distances] for distances in far.tolist()]
    sheet = neighbor_rows(pictures, range(SAMPLES), places, said)
    ids = [[examples.peek(row)["id"] for row in found] for found in where.tolist()]
    least, most = float(far[:, 0].min()), float(far[:, 0].max())
    title = f"{SAMPLES} new pictures; the nearest of {len(examples):,} lie at {least:.2f} to {most:.2f}"
    return Explanation(title, sheet, {"nearest": ids, "distances": far.tolist()})


def _chunks(processor: Any, examples: Examples) -> Iterator[tuple[int, Array]]:
    """Rows of pixels, CHUNK at a time, with the number of the first."""
    waiting = (example["image"] for example in examples)
    start = 0
    while batch := list(islice(waiting, CHUNK)):
        yield start, pixels(as_drawn(processor, batch))
        start += len(batch)


def explain_judged(model: Any, processor: Any, image: Image.Image) -> Explanation:
    """Show how real a picture seems to the judge, the new pictures that come nearest to it, and the way between two.

    Args:
        model: As [`DrawsAgainstJudge`].
        processor: Its image processor.
        image: Any picture.

    Returns:
        The picture as the model sees it and the nearest of DRAWN new ones in pixels; the straight way from the latents
        of the nearest to those of the farthest; and new pictures. `data` has `judged`, D(x), `distances` of the
        nearest, and `judged_on_the_way`.
    """
    with torch.inference_mode():
        pixel_values = processor([image], return_tensors="pt")["pixel_values"].to(model.device)
        latents = model.draw_latents(DRAWN, torch.Generator().manual_seed(0))  # N L
        samples = model.decode(latents)  # N C H W
        seen = as_drawn(processor, [image])
        distances = torch.from_numpy(pixels(pictures_of(samples)) - pixels(seen)).norm(dim=1)  # N
        order = distances.argsort()
        ends = latents[order[0]][None], latents[order[-1]][None]  # 1 L each
        way = model.decode(between([ends[0]], [ends[1]], COLUMNS)[0])  # COLUMNS C H W
        verdict = float(model.judge(pixel_values))
        back = processor(pictures_of(way), return_tensors="pt")["pixel_values"].to(model.device)
        on_the_way = model.judge(back).tolist()
    nearest = order[: COLUMNS - 1]
    near = distances[nearest].tolist()
    first = panels(
        [*seen, *pictures_of(samples[nearest])],
        [f"D = {verdict:.2f}", *(f"{distance:.2f}" for distance in near)], columns=COLUMNS, side=SIDE,
    )  # fmt: skip
    second = panels(pictures_of(way), [f"D = {value:.2f}" for value in on_the_way], columns=COLUMNS, side=SIDE)
    third = panels(pictures_of(samples[:SHOWN]), [""] * SHOWN, columns=COLUMNS, side=SIDE)
    title = f"D(x) = {verdict:.2f}; the nearest of {DRAWN} new pictures lies at {near[0]:.2f}"
    data = {"judged": verdict, "distances": near, "judged_on_the_way": on_the_way}
    return Explanation(title, below([first, second, third]), data)
