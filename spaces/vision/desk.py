"""What visitors and programs can ask the vision models."""

from collections.abc import Mapping
from typing import Any

from PIL import Image
from uploads import given, refusal, told
from vision import Seer, chart, classify, find, similarities

MOST, LEAST = 64, 4  # pictures of a map


class Desk:
    """What visitors and programs can ask for. The docstrings are what the API and MCP clients read.

    Args:
        seers: By name.
    """

    def __init__(self, seers: Mapping[str, Seer]) -> None:
        self.seers = seers

    def classify(self, picture: Image.Image | None, model: str) -> tuple[dict[str, float], Any]:
        """Say what class a picture is of, how sure the model is, and where it looked.

        Args:
            picture: The picture, an uploaded file of at most 5 MB.
            model: Name of the classifier.

        Returns:
            The likeliest classes with their probabilities; what the model saw, and of a Vision Transformer the same
            lit where it looked.
        """
        with told():
            return classify(self._seer(model), given(picture))

    def find(self, picture: Image.Image | None, model: str) -> tuple[Any, list[list[Any]]]:
        """Find the objects of a picture, or which class each of its pixels is of.

        Args:
            picture: The picture, an uploaded file of at most 5 MB.
            model: Name of the detector or segmenter.

        Returns:
            The picture with boxes or tints over it; what was found, with its score and [x0, y0, x1, y1] in pixels, or
            the share of the picture that it takes.
        """
        with told():
            return find(self._seer(model), given(picture))

    def compare(
        self, first: Image.Image | None, second: Image.Image | None, model: str, threshold: float = 0.5
    ) -> tuple[str, float]:
        """Say whether two pictures of a face each show the same person.

        Args:
            first: A face, an uploaded file of at most 5 MB.
            second: Another.
            model: Name of the model that embeds faces.
            threshold: The cosine of their embeddings from which on they are called the same person.

        Returns:
            The answer in words, and the cosine.
        """
        with told():
            (cosine,) = similarities(self._seer(model), given(first), [given(second)])
        answer = "The same person" if cosine >= threshold else "Two different persons"
        return f"{answer}: cosine {cosine:.2f}, threshold {threshold:.2f}.", round(cosine, 4)

    def search(
        self, picture: Image.Image | None, gallery: list[tuple[str, Image.Image]], model: str
    ) -> list[tuple[Image.Image, str]]:
        """Order the faces of a gallery by how much they look like a face.

        Args:
            picture: The face, an uploaded file of at most 5 MB.
            gallery: Uploaded files of other faces.
            model: Name of the model that embeds faces.

        Returns:
            The faces, the most alike first, with file name and cosine.
        """
        face = given(picture)
        if not gallery:
            raise refusal("Upload the faces to search first.")
        with told():
            cosines = similarities(self._seer(model), face, [each for _, each in gallery])
        order = sorted(range(len(gallery)), key=lambda row: -cosines[row])
        return [(gallery[row][1], f"{gallery[row][0]}: {cosines[row]:.2f}") for row in order]

    def map(self, pictures: list[tuple[str, Image.Image]], model: str) -> tuple[Any, Any]:
        """Lay pictures out so that those lie together which the model takes to be alike.

        Args:
            pictures: Uploaded files, 4 to 64.
            model: Name of any of the models.

        Returns:
            The map; and some of the pictures, each with those nearest to it and their distances.
        """
        if len(pictures) < LEAST:
            raise refusal(f"A map needs {LEAST} pictures or more: upload more.")
        with told():
            return chart(self._seer(model), [picture for _, picture in pictures])

    def _seer(self, name: str) -> Seer:
        if name not in self.seers:
            raise refusal(f"There is no model '{name}': known are {', '.join(self.seers)}.")
        return self.seers[name]
