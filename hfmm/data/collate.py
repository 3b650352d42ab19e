"""From drawn examples to the batches that models take."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import torch

from hfmm.data.augmentation import Augmentation
from hfmm.data.examples import Example
from hfmm.errors import DataError, unknown

CHOICES = ("first", "random", "all")


class CaptionCollator:
    """Chooses captions and lets the processor make tensors of them and of the pictures."""

    def __init__(self, processor: Any, captions: str = "first") -> None:
        """Take a processor of a captioner.

        Args:
            processor: Called with `images`, `text_target` and `return_tensors`.
            captions: Which of an example's captions to learn: the `first`, a `random` one at each visit, or `all`, each
                in a row of its own beside its picture.
        """
        if captions not in CHOICES:
            raise unknown("choice of captions", captions, CHOICES)
        self.processor = processor
        self.captions = captions

    def draw(self, example: Example, random: Random) -> Example:
        """Choose the captions of an example.

        Returns:
            `id`, `image` and `captions`, the chosen ones.

        Raises:
            DataError: The example has no picture or no captions.
        """
        captions = example.get("captions")
        if not captions or example.get("image") is None:
            raise DataError(f"example {example['id']} has no {'image' if captions else 'captions'}")
        if self.captions == "first":
            captions = captions[:1]
        elif self.captions == "random":
            captions = [random.choice(captions)]
        return {"id": example["id"], "image": example["image"], "captions": captions}

    def __call__(self, drawn: Sequence[Example]) -> dict[str, Any]:
        """Make a batch.

        Returns:
            `pixel_values` (B, 3, height, width), `labels` (B, T) padded with -100, `example_ids` (B strings), where B
            counts captions.
        """
        batch = self.processor(
            images=[example["image"] for example in drawn],
            text_target=[caption for example in drawn for caption in example["captions"]],
            return_tensors="pt",
        )
        counts = [len(example["captions"]) for example in drawn]
        pixel_values = batch["pixel_values"]  # pictures 3 height width
        if max(counts) > 1:  # a picture is prepared once, however many captions it has
            pixel_values = pixel_values.repeat_interleave(torch.tensor(counts), dim=0)  # B 3 height width
        ids = [example["id"] for example in drawn for _ in example["captions"]]
        return {"pixel_values": pixel_values, "labels": batch["labels"], "example_ids": ids}


class PictureCollator:
    """Lets the processor make tensors of pictures alone; binary pixels and exams are drawn anew at each visit."""

    def __init__(self, processor: Any) -> None:
        """Take an image processor that is called with pictures, `seeds` and `return_tensors`."""
        self.processor = processor

    def draw(self, example: Example, random: Random) -> Example:
        """Draw the seed of what the processor draws.

        Returns:
            `id`, `image`, `seed` and, where the example has one, `label`.

        Raises:
            DataError: The example has no picture.
        """
        if example.get("image") is None:
            raise DataError(f"example {example['id']} has no image")
        label = {} if example.get("label") is None else {"label": example["label"]}
        return {"id": example["id"], "image": example["image"], "seed": random.getrandbits(63), **label}

    def __call__(self, drawn: Sequence[Example]) -> dict[str, Any]:
        """Make a batch.

        Returns:
            What the processor makes, `pixel_values` and with exams their `labels`, `class_labels` (B,) where all
            examples have a class, and `example_ids` (B strings).
        """
        seeds = [example["seed"] for example in drawn]
        batch = self.processor([example["image"] for example in drawn], seeds=seeds, return_tensors="pt")
        if all("label" in example for example in drawn):
            batch["class_labels"] = torch.tensor([example["label"] for example in drawn])
        return {**batch, "example_ids": [example["id"] for example in drawn]}


class ClassCollator:
    """Lets the processor make tensors of pictures, beside the number of the class of each."""

    def __init__(self, processor: Any) -> None:
        """Take the image processor of a classifier."""
        self.processor = processor

    def draw(self, example: Example, random: Random) -> Example:
        """Take what a classifier learns from.

        Returns:
            `id`, `image` and `label`.

        Raises:
            DataError: The example has no picture or no class.
        """
        if example.get("image") is None:
            raise DataError(f"example {example['id']} has no image")
        if example.get("label") is None:
            raise DataError(f"example {example['id']} has no class: leave it out, or give --on-bad-example skip")
        return {key: example[key] for key in ("id", "image", "label")}

    def __call__(self, drawn: Sequence[Example]) -> dict[str, Any]:
        """Make a batch.

        Returns:
            `pixel_values` (B, channels, height, width), `labels` (B,) and `example_ids` (B strings).
        """
        batch = self.processor([example["image"] for example in drawn], return_tensors="pt")
        labels = torch.tensor([example["label"] for example in drawn])
        ids = [example["id"] for example in drawn]
        return {"pixel_values": batch["pixel_values"], "labels": labels, "example_ids": ids}


class ObjectCollator:
    """Lets the processor make tensors of pictures and of the objects in them."""

    def __init__(self, processor: Any) -> None:
        """Take the image processor of a detector, called with pictures, `annotations` and `return_tensors`."""
        self.processor = processor

    def draw(self, example: Example, random: Random) -> Example:
        """Take an example as it is.

        Returns:
            `id`, `image` and `objects`.

        Raises:
            DataError: The example has no picture, or an object has no class number.
        """
        if example.get("image") is None:
            raise DataError(f"example {example['id']} has no image")
        for thing in example["objects"]:
            label = thing.get("label")
            if not isinstance(label, int):
                raise DataError(f"example {example['id']} has an object whose label is {label!r}: give class numbers")
        return {name: example[name] for name in ("id", "image", "objects")}

    def __call__(self, drawn: Sequence[Example]) -> dict[str, Any]:
        """Make a batch.

        Returns:
            `pixel_values` (B, 3, height, width), `labels` (of each picture `class_labels` and `boxes`), `example_ids`.
        """
        images = [example["image"] for example in drawn]
        annotations = [coco_annotation(number, example["objects"]) for number, example in enumerate(drawn)]
        batch = self.processor(images, annotations=annotations, return_tensors="pt")
        labels = [dict(label) for label in batch["labels"]]
        ids = [example["id"] for example in drawn]
        return {"pixel_values": batch["pixel_values"], "labels": labels, "example_ids": ids}


def coco_annotation(number: int, objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The objects of a picture as COCO writes them: [x, y, width, height] in pixels, and a class number.

    Args:
        number: Of the picture.
        objects: Each with `box`, its corners in pixels, `label`, and perhaps `attributes`, numbers.
    """
    found = []
    for thing in objects:
        x0, y0, x1, y1 = thing["box"]
        place = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0}
        found.append({"category_id": thing["label"], "attributes": thing.get("attributes") or [], **place})
    return {"image_id": number, "annotations": found}


class IdentityCollator:
    """Lets the processor make tensors of several pictures of each person, drawn and varied anew at each visit."""

    def __init__(self, processor: Any) -> None:
        """Take the image processor of a model that compares, called with pictures, `seeds` and `return_tensors`."""
        self.processor = processor

    def draw(self, example: Example, random: Random) -> Example:
        """Draw pictures of a person, and the seed of each one's variation.

        Args:
            example: Of [`Identities`]; a person with fewer pictures than `count` shows all.
            random: Of the choice.

        Returns:
            `label`, `pictures` (each `id`, `image` and `seed`).

        Raises:
            DataError: A picture cannot be read.
        """
        members = example["members"]
        rows = random.sample(range(len(members)), min(example["count"], len(members)))
        pictures = [{**members[row], "seed": random.getrandbits(63)} for row in rows]
        return {"label": example["label"], "pictures": pictures}

    def __call__(self, drawn: Sequence[Example]) -> dict[str, Any]:
        """Make a batch.

        Returns:
            `pixel_values` (B, 3, height, width), `labels` (B,) and `example_ids` (B strings), where B counts pictures.
        """
        pictures = [picture for person in drawn for picture in person["pictures"]]
        images, seeds = ([picture[name] for picture in pictures] for name in ("image", "seed"))
        batch = self.processor(images, seeds=seeds, return_tensors="pt")
        labels = torch.tensor([person["label"] for person in drawn for _ in person["pictures"]])
        ids = [picture["id"] for picture in pictures]
        return {"pixel_values": batch["pixel_values"], "labels": labels, "example_ids": ids}


class MaskCollator:
    """Lets the processor make tensors of pictures and of the class of each of their pixels."""

    def __init__(self, processor: Any) -> None:
        """Take the image processor of a segmenter, called with pictures, `segmentation_maps` and `return_tensors`."""
        self.processor = processor

    def draw(self, example: Example, random: Random) -> Example:
        """Take an example as it is.

        Returns:
            `id`, `image` and `mask`.

        Raises:
            DataError: The example has no picture or no mask, or one of another size.
        """
        for name in ("image", "mask"):
            if example.get(name) is None:
                raise DataError(f"example {example['id']} has no {name}")
        (height, width), picture = example["mask"].shape, example["image"]
        if (width, height) != picture.size:
            raise DataError(
                f"example {example['id']} has a mask of {width} x {height} pixels for a picture of "
                f"{picture.width} x {picture.height}"
            )
        return {name: example[name] for name in ("id", "image", "mask")}

    def __call__(self, drawn: Sequence[Example]) -> dict[str, Any]:
        """Make a batch.

        Returns:
            `pixel_values` (B, channels, height, width), `labels` (B, height, width), 255 where no class is known, and
            `example_ids` (B strings).
        """
        images, masks = ([example[name] for example in drawn] for name in ("image", "mask"))
        batch = self.processor(images, segmentation_maps=masks, return_tensors="pt")
        ids = [example["id"] for example in drawn]
        return {"pixel_values": batch["pixel_values"], "labels": batch["labels"], "example_ids": ids}


class AugmentedCollator:
    """Another collator, whose examples are changed before it draws from them."""

    def __init__(self, collator: "Collator", augmentation: Augmentation) -> None:
        self.collator, self.augmentation = collator, augmentation

    def draw(self, example: Example, random: Random) -> Example:
        """Change an example, then draw; of a label's pictures those that were drawn are changed."""
        if "members" in example:
            drawn = self.collator.draw(example, random)
            return drawn | {"pictures": [self.augmentation(picture, random) for picture in drawn["pictures"]]}
        return self.collator.draw(self.augmentation(example, random), random)

    def __call__(self, drawn: Sequence[Example]) -> dict[str, Any]:
        """Make a batch, as the other one does."""
        return self.collator(drawn)


Collator = (
    AugmentedCollator
    | CaptionCollator
    | PictureCollator
    | ClassCollator
    | ObjectCollator
    | MaskCollator
    | IdentityCollator
)
