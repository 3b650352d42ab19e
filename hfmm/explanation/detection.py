"""Why these objects: their boxes over the picture, with class and score."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image

from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import panels
from hfmm.explanation.media import color_of, enlarged, with_boxes

THRESHOLD = 0.2  # score of a box that a person sees; the paper's
SIDE = 320  # pixels


def boxes_over(image: Image.Image, found: Mapping[str, Sequence[Any]], side: int = SIDE) -> tuple[Image.Image, str]:
    """A picture with the boxes of objects over it, and what they are in words.

    Args:
        image: RGB.
        found: Of `find_objects`; objects of a small score are left out.
        side: Pixels of the result, at most.
    """
    seen = [number for number, score in enumerate(found["scores"]) if score > THRESHOLD]
    width, height = image.size
    parts = [
        [side / edge for side, edge in zip(found["boxes"][number], (width, height) * 2, strict=True)] for number in seen
    ]
    drawn = with_boxes(enlarged(image, side, side), parts, [color_of(found["labels"][number]) for number in seen])
    words = ", ".join(f"{_called(found, number)} {found['scores'][number]:.2f}" for number in seen)
    return drawn, words or "nothing"


def _called(found: Mapping[str, Sequence[Any]], number: int) -> str:
    """An object in words: its class, after its attribute where it has one."""
    name = found["names"][number]
    return f"{found['attribute_names'][number]} {name}" if "attribute_names" in found else name


def explain_detection(model: Any, processor: Any, image: Image.Image) -> Explanation:
    """Find the objects of a picture and draw their boxes.

    Args:
        model: A detector.
        processor: Its image processor.
        image: Any picture.

    Returns:
        The picture with the boxes, each class in a color of its own; `data` has `objects`, see `listed`.
    """
    (found,) = find_objects(model, processor, [image])
    drawn, words = boxes_over(image.convert("RGB"), found)
    return Explanation(words, panels([drawn], [words], columns=1, side=SIDE), {"objects": listed(found)})


def find_objects(
    model: Any, processor: Any, pictures: Sequence[Image.Image], threshold: float = THRESHOLD
) -> list[dict[str, Any]]:
    """Find objects in pictures.

    Args:
        model: A detector, on its device.
        processor: Its image processor.
        pictures: Any.
        threshold: Boxes with a greater score are found.

    Returns:
        Of each picture lists `boxes` ([x0, y0, x1, y1] in its pixels), `labels`, `names` and `scores`, best first; of a
        model that tells attributes also `attributes`, `attribute_names` and `attribute_scores`.
    """
    with torch.inference_mode():
        outputs = model(**processor(images=list(pictures), return_tensors="pt").to(model.device))
    sizes = [(picture.height, picture.width) for picture in pictures]
    found = processor.post_process_object_detection(outputs, threshold=threshold, target_sizes=sizes)
    orders = [row["scores"].argsort(descending=True, stable=True) for row in found]
    rows = [
        {name: values[order].tolist() for name, values in row.items()} for order, row in zip(orders, found, strict=True)
    ]
    return [row | _names(model.config, row) for row in rows]


def _names(config: Any, found: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
    """Classes and attributes of objects in words."""
    names = {"names": [config.id2label[label] for label in found["labels"]]}
    if "attributes" in found:
        names["attribute_names"] = [config.id2attribute[number] for number in found["attributes"]]
    return names


def listed(found: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Objects one by one, best first: `label` (its name), `score`, `box` in pixels and, where told, `attribute`."""
    keys = {"label": "names", "score": "scores", "box": "boxes"}
    keys |= {"attribute": "attribute_names"} if "attribute_names" in found else {}
    rows = zip(*(found[name] for name in keys.values()), strict=True)
    return [dict(zip(keys, row, strict=True)) for row in rows]
