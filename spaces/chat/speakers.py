"""Models that converse about pictures: loading them, and what they answer, piece by piece."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving import name_of, place
from transformers import AutoModelForImageTextToText, AutoProcessor

from hfmm.errors import UsageError
from hfmm.explanation.dialogue import Talk
from hfmm.explanation.streaming import stream


@dataclass(frozen=True)
class Speaker:
    """A model that converses, in evaluation mode.

    Attributes:
        name: What people choose it by.
        model: From AutoModelForImageTextToText, adapters over it or not.
        processor: Its processor, with a chat template.
    """

    name: str
    model: Any
    processor: Any


def load(where: str, own_code: bool) -> Speaker:
    """Load a model, from safetensors only, and over it the adapters where the place holds them; see `serving.place`."""
    name, options = place(where, own_code)
    model = AutoModelForImageTextToText.from_pretrained(name, use_safetensors=True, **options).eval()
    return entry(model, AutoProcessor.from_pretrained(name, **options), name)


def entry(model: Any, processor: Any, where: str) -> Speaker:
    """A model named after its architecture and place, and whether it has adapters.

    Raises:
        UsageError: It does not converse.
    """
    name = name_of(model, where)
    if not getattr(processor, "chat_template", None):
        raise UsageError(f"{name} does not converse: its processor has no chat template")
    return Speaker(f"{name}, adapted" if is_adapted(model, where) else name, model, processor)


def is_adapted(model: Any, where: str) -> bool:
    """Whether low-rank adapters are over a model."""
    return bool(getattr(model, "peft_config", None)) or (Path(where) / "adapter_config.json").is_file()


def answer(speaker: Speaker, talk: Talk, longest: int, temperature: float) -> Iterator[str]:
    """Continue a conversation, giving what is said so far again and again, and all of it at last.

    Args:
        speaker: Who.
        talk: What was said and shown.
        longest: Tokens of the answer, at most.
        temperature: Of the draws; 0 takes the likeliest token each time.
    """
    drawn = {"do_sample": True, "temperature": float(temperature)} if temperature else {"do_sample": False}
    pieces, said = stream(speaker.model, speaker.processor, talk, max_new_tokens=longest, **drawn), ""
    try:
        while True:
            said += next(pieces)
            yield said
    except StopIteration as end:
        yield str(end.value)
    finally:
        pieces.close()  # a visitor who has gone stops the model
