"""Vision models: loading them, and what they make of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from serving import name_of, place
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForObjectDetection,
    AutoModelForSemanticSegmentation,
)

from hfmm.explanation.classification import explain_class
from hfmm.explanation.codes import extract_codes, nearest_neighbors
from hfmm.explanation.detection import boxes_over, find_objects, listed
from hfmm.explanation.drawing import below
from hfmm.explanation.maps import color_key, grid, neighbor_rows
from hfmm.explanation.media import color_of, enlarged, with_mask
from hfmm.explanation.overlay import overlay, seen_by
from hfmm.explanation.tsne import grid_places, tsne

CLASSIFIER, DETECTOR, SEGMENTER, EMBEDDER = (
    "ForImageClassification",
    "ForObjectDetection",
    "ForSemanticSegmentation",
    "",
)
LOADERS = {  # by how the name of a model's class ends
    CLASSIFIER: AutoModelForImageClassification,
    DETECTOR: AutoModelForObjectDetection,
    SEGMENTER: AutoModelForSemanticSegmentation,
    EMBEDDER: AutoModel,
}
SIDE = 480  # pixels of a drawn picture
NEAREST = 4  # beside a query of a map
QUERIES = 8  # of a map, at most

Panels = list[tuple[Image.Image, str]]


@dataclass(frozen=True)
class Seer:
    """A model that looks at pictures, in evaluation mode.

    Attributes:
        name: What people choose it by.
        kind: A key of LOADERS.
        model: From that Auto class.
        processor: Its image processor.
    """

    name: str
    kind: str
    model: Any
    processor: Any


def load(where: str, own_code: bool) -> Seer:
    """Load a model by the class that its configuration names, from safetensors only; see `serving.place`."""
    name, options = place(where, own_code)
    kind = kind_of(AutoConfig.from_pretrained(name, **options))
    model = LOADERS[kind].from_pretrained(name, use_safetensors=True, **options).eval()
    return entry(model, AutoImageProcessor.from_pretrained(name, **options), name)


def kind_of(config: Any) -> str:
    """What a model does, by the class that it was saved from."""
    saved = (config.architectures or [""])[0]
    return next(ending for ending in LOADERS if saved.endswith(ending))


def entry(model: Any, processor: Any, where: str) -> Seer:
    """A model named after its architecture and place."""
    return Seer(name_of(model, where), kind_of(model.config), model, processor)


def classify(seer: Seer, picture: Image.Image) -> tuple[dict[str, float], Panels]:
    """The likeliest classes with their probabilities; what the model saw, and, of a Vision Transformer, looked at."""
    data = explain_class(seer.model, seer.processor, picture).data
    seen = seen_by(seer.processor, picture)
    panels = [(seen, "what it saw")]
    if "attention" in data:
        panels.append((overlay(seen, np.array(data["attention"])), "where it looked"))
    return dict(zip(data["labels"], data["probabilities"], strict=True)), panels


def find(seer: Seer, picture: Image.Image) -> tuple[Image.Image, list[list[Any]]]:
    """A picture with what is found drawn over it, and rows of what, how sure or how much of it, and where."""
    if seer.kind == SEGMENTER:
        return segment(seer, picture)
    (found,) = find_objects(seer.model, seer.processor, [picture])
    drawn, _ = boxes_over(picture, found, SIDE)
    return drawn, [_row(thing) for thing in listed(found)]


def _row(thing: dict[str, Any]) -> list[str]:
    """An object as cells: what (with its attribute, where the model tells one), score, box."""
    name = " ".join(filter(None, (thing.get("attribute"), thing["label"])))
    return [name, f"{thing['score']:.2f}", ", ".join(f"{side:.0f}" for side in thing["box"])]


@torch.inference_mode()
def segment(seer: Seer, picture: Image.Image) -> tuple[Image.Image, list[list[Any]]]:
    """A picture with each class tinted in a color that a key names, and how much of it each takes."""
    outputs = seer.model(**seer.processor(picture, return_tensors="pt").to(seer.model.device))
    sizes = [(picture.height, picture.width)]
    (mask,) = seer.processor.post_process_semantic_segmentation(outputs, target_sizes=sizes)
    classes, counts = np.unique(mask.cpu().numpy(), return_counts=True)
    names = {int(number): seer.model.config.id2label[int(number)] for number in classes}
    drawn = with_mask(enlarged(picture, SIDE, SIDE), mask.cpu().numpy(), hidden=None)
    order = np.argsort(-counts, kind="stable")
    rows = [[names[int(classes[at])], f"{counts[at] / counts.sum():.0%}", "of the picture"] for at in order]
    return below([drawn, color_key([(color_of(number), name) for number, name in names.items()], drawn.width)]), rows


def similarities(seer: Seer, picture: Image.Image, others: Sequence[Image.Image]) -> list[float]:
    """The cosines between the embedding of a picture and those of others."""
    codes = torch.nn.functional.normalize(extract_codes(seer.model, seer.processor, [picture, *others]), dim=-1)
    cosines: list[float] = (codes[1:] @ codes[0]).tolist()
    return cosines


def chart(seer: Seer, pictures: Sequence[Image.Image]) -> tuple[Image.Image, Image.Image]:
    """The map of pictures by their codes, and rows of some of them with those nearest to each."""
    codes = extract_codes(seer.model, seer.processor, pictures)
    places = grid_places(tsne(codes).points)
    rows, distances = nearest_neighbors(codes, NEAREST)
    asked = [int(row) for row in np.linspace(0, len(pictures) - 1, min(QUERIES, len(pictures)))]
    said = [[f"{distance:.2f}" for distance in row] for row in distances.tolist()]
    return grid(pictures, places.tolist()), neighbor_rows(pictures, asked, rows.tolist(), said)
