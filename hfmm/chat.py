"""A conversation with a model that sees: history, several pictures, answers as they are made."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

import torch
from PIL import Image
from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

from hfmm.data.dialogues import Messages, ending_of
from hfmm.data.images import as_picture
from hfmm.errors import UsageError
from hfmm.explanation.dialogue import Talk, prompts, reply, stopping
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
        self._keep(talk, answer)
        return answer

    def ask_each(self, questions: Sequence[str], images: Sequence[Sequence[Picture]], **generation: Any) -> list[str]:
        """Ask several questions at a time, each in a conversation of its own that is not kept.

        Args:
            questions: One a conversation.
            images: Of each, its pictures.
            generation: Arguments of `generate`.
        """
        talks = [
            Talk([_turn(text, len(shown))], [as_picture(picture) for picture in shown])
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
        settings = _settings(generation)
        if (settings.get("num_beams") or self.loaded.model.generation_config.num_beams or 1) > 1:
            raise UsageError("an answer of several beams cannot be streamed: leave out num_beams, or ask without")
        return self._streamed(self._continued(text, images), settings)

    def _streamed(self, talk: Talk, settings: dict[str, Any]) -> Iterator[str]:
        model, processor = self.loaded.model, self.loaded.processor
        inputs = prompts(model, processor, [talk])
        streamer = TextIteratorStreamer(processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
        gone = _Gone()
        failures: list[BaseException] = []

        def generate() -> None:
            try:
                with torch.inference_mode():
                    stops = StoppingCriteriaList([gone])
                    asked = {**stopping(model, processor), **settings}
                    model.generate(**inputs, **asked, streamer=streamer, stopping_criteria=stops)
            except BaseException as error:  # told to the reader, who waits for the streamer
                failures.append(error)
                streamer.end()

        thread = Thread(target=generate, daemon=True)
        thread.start()
        try:
            answer = yield from _before(streamer, ending_of(processor))
            thread.join()
            if failures:
                raise failures[0]
            self._keep(talk, answer)
        finally:
            gone.event.set()

    def _continued(self, text: str, images: Sequence[Picture]) -> Talk:
        shown = [as_picture(picture) for picture in images]
        return Talk([*self.messages, _turn(text, len(shown))], [*self.pictures, *shown])

    def _keep(self, talk: Talk, answer: str) -> None:
        said = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
        self.messages, self.pictures = [*talk.messages, said], list(talk.pictures)


class _Gone(StoppingCriteria):
    """Stops generation once its reader has gone."""

    def __init__(self) -> None:
        self.event = Event()

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device)  # B


def _turn(text: str, pictures: int) -> dict[str, Any]:
    """What a user says, after as many pictures."""
    return {"role": "user", "content": [{"type": "image"}] * pictures + [{"type": "text", "text": text}]}


def _settings(generation: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `generate`, greedy unless they say otherwise."""
    return {"max_new_tokens": LONGEST, "do_sample": "temperature" in generation, **generation}


def _before(pieces: Iterator[str], stop: str) -> Iterator[str]:
    """Pieces of a text as they come, up to what ends it; the text is the value of the generator.

    What may be the beginning of the end is held back.
    """
    text, given = "", 0
    for piece in pieces:
        text += piece
        whole = text.partition(stop)[0] if stop else text
        safe = len(whole) - (_overlap(whole, stop) if whole == text else 0)
        if safe > given:
            yield text[given:safe].lstrip() if not given else text[given:safe]
            given = safe
    whole = text.partition(stop)[0] if stop else text
    if len(whole) > given:
        yield whole[given:]
    return whole.strip()


def _overlap(text: str, stop: str) -> int:
    """Letters at the end of a text with which a stop may begin."""
    return next((size for size in range(len(stop) - 1, 0, -1) if text.endswith(stop[:size])), 0)
