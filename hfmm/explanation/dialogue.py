"""What a model that converses replies: prompts padded on the left, and answers cut where the template ends them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image

from hfmm.data.dialogues import batch_of, encode_prompt, ending_of
from hfmm.data.messages import Messages, pictures_in

GRAY = (128, 128, 128)  # of the pictures that a blind model sees


class Talk(NamedTuple):
    """A conversation that a model is to continue.

    Attributes:
        messages: Of content parts, a user's last.
        pictures: In the order in which the messages speak of them.
        name: What errors call it.
    """

    messages: Messages
    pictures: Sequence[Image.Image] = ()
    name: str = "of this conversation"

    def asked(self, text: str, pictures: Sequence[Image.Image] = ()) -> "Talk":
        """The same after a user has said something, with new pictures before the words."""
        content = [*({"type": "image"} for _ in pictures), {"type": "text", "text": text}]
        messages = [*self.messages, {"role": "user", "content": content}]
        return self._replace(messages=messages, pictures=[*self.pictures, *pictures])

    def answered(self, text: str) -> "Talk":
        """The same after the assistant has said something."""
        said = {"role": "assistant", "content": [{"type": "text", "text": text}]}
        return self._replace(messages=[*self.messages, said])

    def blind(self) -> "Talk":
        """The same with gray pictures."""
        return self._replace(pictures=[Image.new("RGB", picture.size, GRAY) for picture in self.pictures])


def prompts(model: Any, processor: Any, talks: Sequence[Talk]) -> dict[str, torch.Tensor]:
    """What `generate` takes: `input_ids` and what goes with them, each (B, T) padded on the left, and the pictures.

    Raises:
        DataError: A conversation is too long, or its messages do not fit its pictures.
    """
    read = [encode_prompt(processor, talk.messages, talk.pictures, talk.name) for talk in talks]
    inputs = batch_of(processor, read, left=True)
    return {name: value.to(model.device) for name, value in inputs.items()}


def stopping(model: Any, processor: Any) -> dict[str, Any]:
    """Arguments of `generate` that end a reply where the template does, fill up shorter ones, and leave placeholders of
    pictures to those who show some.
    """
    tokenizer, stop = processor.tokenizer, ending_of(processor)
    ends = model.generation_config.eos_token_id
    known = ends if isinstance(ends, list) else [ends]
    filling = {"pad_token_id": tokenizer.pad_token_id, "suppress_tokens": [processor.image_token_id]}
    if not stop or tokenizer.convert_tokens_to_ids(stop) in known:
        return filling
    return {**filling, "stop_strings": [stop], "tokenizer": tokenizer}


def text_of(processor: Any, ids: Any) -> str:
    """What was said: without special tokens and what ends a reply."""
    said: str = processor.tokenizer.decode(ids, skip_special_tokens=True)
    stop = ending_of(processor)
    return (said.partition(stop)[0] if stop else said).strip()


def reply(model: Any, processor: Any, talks: Sequence[Talk], **generation: Any) -> list[str]:
    """Continue conversations, several at a time, each as if it were alone.

    Args:
        model: In evaluation mode.
        processor: With a chat template.
        talks: What to continue.
        generation: Arguments of `generate`, over the model's own.
    """
    inputs = prompts(model, processor, talks)
    with torch.inference_mode():
        ids = model.generate(**inputs, **stopping(model, processor), **generation)
    return [text_of(processor, row) for row in ids[:, inputs["input_ids"].shape[1] :]]


def asked_of(example: Mapping[str, Any], pictures: Sequence[Image.Image]) -> list[tuple[Talk, str]]:
    """Every answer of a dialogue with the conversation before it, in which all earlier answers are the right ones."""
    found = []
    for number, message in enumerate(example["messages"]):
        if message["role"] == "assistant":
            before = example["messages"][:number]
            said = " ".join(part["text"] for part in message["content"] if part["type"] == "text")
            found.append((Talk(before, pictures[: pictures_in(before)], str(example["id"])), said))
    return found
