"""A conversation with a model that sees: history, several pictures, answers as they are made."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from hfmm.data.images import as_picture
from hfmm.data.messages import Messages
from hfmm.errors import UsageError
from hfmm.explanation.dialogue import Talk, reply
from hfmm.explanation.streaming import Pieces, stream
from hfmm.loading import Loaded, load

Picture = Image.Image | str | Path
LONGEST = 256  # new tokens of an answer, unless told otherwise


class LlavaChat:
    """A conversation; `clear` begins another, which knows nothing of it.

    Attributes:
        messages: What was said so far, as content parts.
        pictures: Shown so far, in the order in which the messages speak of them.
    """

    def __init__(self, model: str | Path | Loaded, device: str = "cpu", revision: str | None = None) -> None:
        """Begin a conversation.

        Args:
            model: A run directory, a repository, or what is loaded of one already.
            device: As torch names it.
            revision: Branch, tag or commit of a repository.

        Raises:
            UsageError: Nothing to load there, or a model that does not converse.
        """
        self.loaded = model if isinstance(model, Loaded) else load(model, device, revision)
        if self.loaded.row.tasks[0] != "image-text-to-text":
            raise UsageError(f"{self.loaded.where} does not converse: its task is {self.loaded.row.tasks[0]}")
        self.messages: Messages = []
        self.pictures: list[Image.Image] = []

    def clear(self) -> None:
        """Forget what was said and shown."""
        self.messages, self.pictures = [], []

    def ask(self, text: str, images: Sequence[Picture] = (), **generation: Any) -> str:
        """Say something, with pictures that stand before the words, and hear the answer.

        Args:
            text: What is said.
            images: New pictures; those of earlier turns are still seen.
            generation: Arguments of `generate`; greedy and at most LONGEST tokens by default.

        Raises:
            DataError: The conversation is longer than the model takes: `clear` it; or a picture cannot be read.
        """
        talk = self._continued(text, images)
        (answer,) = reply(self.loaded.model, self.loaded.processor, [talk], **_settings(generation))
        self._keep(talk.answered(answer))
        return answer

    def ask_each(self, questions: Sequence[str], images: Sequence[Sequence[Picture]], **generation: Any) -> list[str]:
        """Ask several questions at a time, each in a conversation of its own that is not kept.

        Args:
            questions: One a conversation.
            images: Of each, its pictures.
            generation: Arguments of `generate`.
        """
        talks = [
            Talk([]).asked(text, [as_picture(picture) for picture in shown])
            for text, shown in zip(questions, images, strict=True)
        ]
        return reply(self.loaded.model, self.loaded.processor, talks, **_settings(generation))

    def stream(self, text: str, images: Sequence[Picture] = (), **generation: Any) -> Iterator[str]:
        """Say something, and hear the answer piece by piece; it is kept once it is whole.

        A reader who stops early stops the model, too.

        Raises:
            UsageError: Beams are asked for: no word is certain before the last.
            DataError: As of [`LlavaChat.ask`].
        """
        talk = self._continued(text, images)
        return self._kept(talk, stream(self.loaded.model, self.loaded.processor, talk, **_settings(generation)))

    def _kept(self, talk: Talk, pieces: Pieces) -> Iterator[str]:
        self._keep(talk.answered((yield from pieces)))

    def _continued(self, text: str, images: Sequence[Picture]) -> Talk:
        return Talk(self.messages, self.pictures).asked(text, [as_picture(picture) for picture in images])

    def _keep(self, talk: Talk) -> None:
        self.messages, self.pictures = talk.messages, list(talk.pictures)


def _settings(generation: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `generate`, greedy unless they say otherwise."""
    return {"max_new_tokens": LONGEST, "do_sample": "temperature" in generation, **generation}
