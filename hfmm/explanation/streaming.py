"""What a model that converses replies, piece by piece while it is made."""

from collections.abc import Generator, Iterator
from threading import Event, Thread
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

from hfmm.data.dialogues import ending_of
from hfmm.errors import UsageError
from hfmm.explanation.dialogue import Talk, prompts, stopping

Pieces = Generator[str, None, str]


def stream(model: Any, processor: Any, talk: Talk, **generation: Any) -> Pieces:
    """Continue a conversation; the whole reply is the value of the generator.

    A reader who stops early stops the model, too.

    Args:
        model: In evaluation mode.
        processor: With a chat template.
        talk: What to continue.
        generation: Arguments of `generate`, over the model's own.

    Raises:
        UsageError: Beams are asked for: no word is certain before the last.
        DataError: The conversation is too long, or its messages do not fit its pictures.
    """
    if (generation.get("num_beams") or model.generation_config.num_beams or 1) > 1:
        raise UsageError("an answer of several beams cannot be streamed: leave out num_beams, or ask without")
    settings = {**prompts(model, processor, [talk]), **stopping(model, processor), **generation}
    return _streamed(model, processor.tokenizer, settings, ending_of(processor))


def _streamed(model: Any, tokenizer: Any, settings: dict[str, Any], ending: str) -> Pieces:
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    gone = _Gone()
    failures: list[BaseException] = []

    def generate() -> None:
        try:
            with torch.inference_mode():
                model.generate(**settings, streamer=streamer, stopping_criteria=StoppingCriteriaList([gone]))
        except BaseException as error:  # told to the reader, who waits for the streamer
            failures.append(error)
            streamer.end()

    thread = Thread(target=generate, daemon=True)
    thread.start()
    try:
        reply = yield from _before(streamer, ending)
        thread.join()
        if failures:
            raise failures[0]
        return reply
    finally:
        gone.event.set()


class _Gone(StoppingCriteria):
    """Stops generation once its reader has gone."""

    def __init__(self) -> None:
        self.event = Event()

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device)  # B


def _before(pieces: Iterator[str], stop: str) -> Pieces:
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
