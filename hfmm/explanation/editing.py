"""What a model makes of a picture that was worsened, beside the truth, and how far it is from it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hfmm.errors import DataError
from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import below, panels, pictures_of

SIDE = 192  # pixels of a panel
SMALL = 96  # of a picture that belongs to no other
DRAWN = 8  # codes
MAGNIFIED = 4  # times, differences


@runtime_checkable
class HasCodes(Protocol):
    """A model with codes of pictures, from which it draws others."""

    def encode(self, pixel_values: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, L)."""
        ...

    def generate_images(self, num_images: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Pictures of codes drawn at random, (B, C, H, W) in [0, 1]."""
        ...


@runtime_checkable
class Doubts(Protocol):
    """A model that says how unsure it is in each place."""

    def doubt(self, logits: Tensor) -> Tensor:
        """Nats. (B, K, h, w) -> (B, h, w)."""
        ...


def worsened(processor: Any, pictures: Sequence[Image.Image]) -> tuple[list[Image.Image], list[Image.Image]]:
    """What a model is given in place of pictures, and what it should make of it.

    Raises:
        DataError: A picture is too small.
    """
    try:
        return processor.worsened(pictures), processor.truths(pictures)
    except ValueError as error:
        raise DataError(str(error)) from error


def edit(model: Any, processor: Any, pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """What a model makes of pictures.

    Args:
        model: On its device.
        processor: Its image processor; where it does not resize, pictures of one size go together.
        pictures: Any.
    """
    sizes = [None if processor.do_resize else picture.size for picture in pictures]
    found: dict[int, Image.Image] = {}
    for size in dict.fromkeys(sizes):
        rows = [row for row, other in enumerate(sizes) if other == size]
        chosen = [pictures[row] for row in rows]
        with torch.inference_mode():
            outputs = model(**processor(chosen, return_tensors="pt").to(model.device))
        found |= zip(rows, processor.post_process_image_to_image(outputs, chosen), strict=True)
    return [found[row] for row in range(len(pictures))]


def distance(one: Image.Image, other: Image.Image) -> float:
    """The root of the mean squared difference of two pictures of one size, in levels of 255."""
    values, others = (np.asarray(picture.convert("RGB"), float) for picture in (one, other))
    return float(np.sqrt(np.square(values - others).mean()))


def difference(one: Image.Image, other: Image.Image) -> Image.Image:
    """How far two pictures of one size are from each other, MAGNIFIED, in gray: white is far."""
    values, others = (np.asarray(picture.convert("RGB"), float) for picture in (one, other))
    far = np.abs(values - others).mean(2) * MAGNIFIED
    return Image.fromarray(far.clip(0, 255).astype(np.uint8))


def explain_edit(model: Any, processor: Any, image: Image.Image) -> Explanation:
    """Worsen a picture, let a model mend it, and compare with the picture.

    Args:
        model: Of pictures to pictures.
        processor: Its image processor.
        image: Any picture that is large enough.

    Returns:
        What it is given, the baseline's answer where there is one, its own, the truth, and the difference (white where
        it is largest); a model with codes also draws pictures of codes at random, one that doubts shows where. `data`
        has `distance`, in levels of 255, that of the baseline under its name, and `code` or `doubt`.

    Raises:
        DataError: The picture is too small.
    """
    (given,), (truth,) = worsened(processor, [image])
    (edited,) = edit(model, processor, [given])
    data: dict[str, Any] = {"distance": distance(edited, truth)}
    shown = [("given", given)]
    if processor.baseline:
        (plain,) = processor.plain([given])
        data[processor.baseline] = distance(plain, truth)
        shown.append((f"{processor.baseline}, {data[processor.baseline]:.1f} levels off", plain))
    shown.append((f"the model, {data['distance']:.1f} levels off", edited))
    shown += [("the truth", truth), (f"difference, {MAGNIFIED} times", difference(edited, truth))]
    for kind, add in MORE.items():
        if isinstance(model, kind):
            data |= add(model, processor, given, shown)
    sheet = panels([picture for _, picture in shown], [said for said, _ in shown], columns=len(shown), side=SIDE)
    if isinstance(model, HasCodes):
        drawn = pictures_of(model.generate_images(DRAWN, generator=torch.Generator().manual_seed(0)))
        sheet = below([sheet, panels(drawn, ["a code at random"] * DRAWN, columns=DRAWN, side=SMALL)])
    title = f"{data['distance']:.1f} levels of 255 from the truth"
    if processor.baseline:
        title += f", {processor.baseline} {data[processor.baseline]:.1f}"
    return Explanation(title, sheet, data)


Shown = list[tuple[str, Image.Image]]


def _code(model: Any, processor: Any, given: Image.Image, shown: Shown) -> dict[str, Any]:
    with torch.inference_mode():
        (code,) = model.encode(processor([given], return_tensors="pt")["pixel_values"].to(model.device))
    return {"code": code.tolist()}


def _doubt(model: Any, processor: Any, given: Image.Image, shown: Shown) -> dict[str, Any]:
    with torch.inference_mode():
        logits = model(**processor([given], return_tensors="pt").to(model.device)).logits
        if logits is None:  # its answers are means, not distributions
            return {}
        (doubt,) = model.doubt(logits)  # h w
    largest = float(doubt.max())
    shown.append((f"doubt, up to {largest:.1f} nats", pictures_of(doubt[None, None] / max(largest, 1e-6))[0]))
    return {"doubt": doubt.tolist()}


MORE: dict[type, Callable[[Any, Any, Image.Image, Shown], dict[str, Any]]] = {HasCodes: _code, Doubts: _doubt}
