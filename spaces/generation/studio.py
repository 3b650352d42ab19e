"""What visitors and programs can ask the models that make pictures."""

from collections.abc import Mapping

from generation import Maker, draw, edit, interpolate, mend
from PIL import Image
from uploads import given, refusal, told

MOST = 16  # pictures that are drawn at once
LONGEST = 200  # letters of a text
HIGHEST_SEED = 2**31 - 1
Shown = list[tuple[Image.Image, str]]
Uploads = list[tuple[str, Image.Image]]


class Studio:
    """What visitors and programs can ask for. The docstrings are what the API and MCP clients read.

    Args:
        makers: By name.
    """

    def __init__(self, makers: Mapping[str, Maker]) -> None:
        self.makers = makers

    def sample(self, models: list[str], count: float, seed: float) -> Shown:
        """Draw new pictures with one model or several, all from the same seed.

        Args:
            models: Names of the models.
            count: Pictures of each, 1 to 16.
            seed: Of the noise; the same seed draws the same pictures.

        Returns:
            The pictures, those of a model together, with its name at the first.
        """
        return self._drawn(models, count, seed)

    def say(self, words: str, models: list[str], count: float, seed: float) -> Shown:
        """Draw what a text says with one model or several, all from the same seed.

        Args:
            words: What to draw.
            models: Names of the models.
            count: Pictures of each, 1 to 16.
            seed: Of the noise.

        Returns:
            The pictures, those of a model together, with its name at the first.
        """
        if not words or not words.strip():
            raise refusal("Write what to draw first.")
        if len(words) > LONGEST:
            raise refusal(f"This is too long: {LONGEST} letters are the limit.")
        return self._drawn(models, count, seed, words)

    def mend(self, picture: Image.Image | None, model: str) -> Shown:
        """Color a gray picture, enlarge a small one, or give it back from a code: what the model was made for.

        Args:
            picture: An uploaded file of at most 5 MB, from which the model first takes what it is to give back.
            model: Name of the model.

        Returns:
            What the model was given, an answer without a model where there is one, the model's, and the picture.
        """
        with told():
            return mend(self._maker(model), given(picture))

    def interpolate(
        self, first: Image.Image | None, second: Image.Image | None, model: str, seed: float = 0
    ) -> list[Image.Image]:
        """Show the way from one picture to another through the codes that a model makes of them.

        Args:
            first: An uploaded file of at most 5 MB; without one the model draws it.
            second: The same.
            model: Name of the model.
            seed: Of what the model draws.

        Returns:
            The pictures on the way, both ends as the model gives them back.
        """
        maker = self._maker(model)
        with told():
            if first is None or second is None:
                drawn = draw(maker, 2, within(seed))
                first, second = first or drawn[0], second or drawn[1]
            return interpolate(maker, first, second)

    def edit(
        self, picture: Image.Image | None, having: Uploads, lacking: Uploads, model: str, strength: float = 1
    ) -> Shown:
        """Give a picture less and more of what some pictures have and others lack.

        Args:
            picture: An uploaded file of at most 5 MB.
            having: Uploaded files, 1 to 32.
            lacking: Uploaded files, 1 to 32.
            model: Name of the model.
            strength: Times the mean difference of their codes, at most.

        Returns:
            The picture, less to more, with how much was added.
        """
        if not having or not lacking:
            raise refusal("Upload pictures that have it and pictures that lack it first, or take the example.")
        has, lacks = ([each for _, each in group] for group in (having, lacking))
        with told():
            changed = edit(self._maker(model), given(picture), has, lacks, strength)
        return [(each, f"{added:+.1f}") for each, added in changed]

    def _drawn(self, models: list[str], count: float, seed: float, words: str | None = None) -> Shown:
        if not models:
            raise refusal("Choose a model first.")
        if not 1 <= count <= MOST:
            raise refusal(f"This draws 1 to {MOST} pictures at once.")
        with told():
            drawn = [(name, draw(self._maker(name), int(count), within(seed), words)) for name in models]
        return [(picture, "" if row else name) for name, pictures in drawn for row, picture in enumerate(pictures)]

    def _maker(self, name: str) -> Maker:
        if name not in self.makers:
            raise refusal(f"There is no model '{name}': known are {', '.join(self.makers)}.")
        return self.makers[name]


def within(seed: float) -> int:
    """A seed that torch takes."""
    if seed is None or not 0 <= seed <= HIGHEST_SEED:
        raise refusal(f"A seed is a number from 0 to {HIGHEST_SEED}.")
    return int(seed)
