"""Is it the same person? A face is found, straightened, embedded and compared."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from .face_detector import FaceDetector, aligned


class Verdict(NamedTuple):
    """What two pictures show.

    Attributes:
        same: Whether it is one person.
        similarity: Cosine of their embeddings; on the unit sphere a squared distance is 2 - 2 cosines.
    """

    same: bool
    similarity: float


class FaceVerifier:
    """Compares faces with a model that embeds them."""

    def __init__(self, model: Any, processor: Any, threshold: float, detector: FaceDetector | None = None) -> None:
        """Take the parts.

        Args:
            model: With `image_embeds`.
            processor: Its image processor.
            threshold: Cosine from which on two pictures show one person: `eer_threshold` of a score, for instance.
            detector: Finds the best face of each picture; without, pictures are of faces already.
        """
        self.model, self.processor, self.threshold, self.detector = model.eval(), processor, threshold, detector

    def embed(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Embed the face of each picture. -> (M, D), unit length.

        Raises:
            ValueError: A picture has no face.
        """
        faces = [self.face(picture) for picture in pictures]
        with torch.inference_mode():
            embeds: Tensor = self.model(**self.processor(faces, return_tensors="pt").to(self.model.device)).image_embeds
        return embeds

    def face(self, picture: Image.Image) -> Image.Image:
        """The best face of a picture, straightened, with a side as long as the model's pictures."""
        if self.detector is None:
            return picture
        landmarks = self.detector(picture).landmarks
        if not len(landmarks):
            raise ValueError("no face was found in the picture")
        return aligned(picture, landmarks[0], self.processor.size["height"])

    def verify(self, first: Image.Image, second: Image.Image) -> Verdict:
        """Say whether two pictures show one person."""
        embeds = self.embed([first, second])
        similarity = float(embeds[0] @ embeds[1])
        return Verdict(similarity >= self.threshold, similarity)

    def search(self, query: Image.Image, gallery: Sequence[Image.Image], count: int = 5) -> list[tuple[int, float]]:
        """Positions and cosines of the pictures of a gallery that are most like a picture, the nearest first."""
        embeds = self.embed([query, *gallery])
        found = (embeds[1:] @ embeds[0]).topk(min(count, len(gallery)))
        return list(zip(found.indices.tolist(), found.values.tolist(), strict=True))
