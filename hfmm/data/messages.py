"""Dialogues about pictures as messages of content parts, and what else can be told as one."""

from collections.abc import Mapping
from typing import Any

from hfmm.data.columns import pictures_of
from hfmm.data.examples import Example, Examples

CAPTION_REQUEST = "Describe the image concisely."
Messages = list[dict[str, Any]]


class Spoken(Examples):
    """Examples with captions, or a question and an answer, as dialogues of one turn; dialogues stay as they are."""

    def __init__(self, base: Examples) -> None:
        self.base = base
        self.name, self.split = base.name, base.split
        self.features = base.features | {"messages": "messages"}

    def __len__(self) -> int:
        return len(self.base)

    def read(self, row: int) -> Example:
        """An example and its messages."""
        example = self.base.read(row)
        return example | {"messages": _messages(example)}

    def peek(self, row: int) -> Example:
        """The same, pictures not decoded."""
        example = self.base.peek(row)
        return example | {"messages": _messages(example)}

    def where(self, row: int) -> str:
        """The place in the data."""
        return self.base.where(row)

    def sized(self, height: int, width: int) -> Examples:
        """The same dialogues about smaller pictures."""
        return Spoken(self.base.sized(height, width))


def spoken(examples: Examples) -> Examples:
    """Examples as dialogues, where they are none and can be some."""
    features = examples.features
    if "messages" in features or not ("captions" in features or {"question", "answer"} <= features.keys()):
        return examples
    return Spoken(examples)


def _messages(example: Example) -> Messages:
    asks = "question" in example
    question, answer = (example["question"], example["answer"]) if asks else (CAPTION_REQUEST, example["captions"][0])
    pictures = [{"type": "image"} for _ in pictures_of(example)]
    return [
        {"role": "user", "content": [*pictures, {"type": "text", "text": question}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]


def questions_of(example: Mapping[str, Any]) -> list[str]:
    """What a user asks in a dialogue, a text a turn."""
    asked = (message["content"] for message in example["messages"] if message["role"] == "user")
    return [" ".join(part["text"] for part in parts if part["type"] == "text") for parts in asked]


def in_either_order(messages: Messages, swap: bool) -> Messages:
    """The same messages with the pictures of the first turn after its words, or before them.

    A turn in which words stand on both sides of a picture stays as it is.
    """
    first = next(number for number, message in enumerate(messages) if message["role"] == "user")
    parts = messages[first]["content"]
    are_words = [part["type"] != "image" for part in parts]
    if not swap or are_words not in (sorted(are_words), sorted(are_words, reverse=True)):
        return messages
    turned = sorted(parts, key=lambda part: (part["type"] != "image") == are_words[0])
    return [*messages[:first], {**messages[first], "content": turned}, *messages[first + 1 :]]


def pictures_in(messages: Messages) -> int:
    """How many pictures messages show."""
    return sum(part["type"] == "image" for message in messages for part in message["content"])


def with_answers(messages: Messages, count: int) -> Messages:
    """Messages up to an answer; the first one is number 1."""
    answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    return messages[: answers[count - 1] + 1]
