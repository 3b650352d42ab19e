"""Dialogues about pictures as the tokens of a model, of which it learns the answers and what ends them."""

import re
from collections.abc import Mapping, Sequence
from random import Random
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from transformers.utils.chat_template_utils import render_jinja_template

from hfmm.data.columns import pictures_of
from hfmm.data.examples import Example, Examples
from hfmm.errors import DataError

IGNORED = -100  # label of a token that is not learned
CAPTION_REQUEST = "Describe the image concisely."
IGNORED_ANSWER = "yes"  # says nothing: only what follows it is looked at
MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")  # a chat template that says what the assistant says
_RENDERING = Lock()  # upstream shares one compiled template between threads, and its marks with it
Messages = list[dict[str, Any]]
Span = tuple[int, int]  # first character, and the one after the last


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


class DialogueCollator:
    """Makes tokens of dialogues by a processor's chat template, and labels of the answers in them."""

    def __init__(self, processor: Any) -> None:
        """Take a processor with a chat template, whose tokenizer says how long a dialogue may be."""
        self.processor = processor

    def draw(self, example: Example, random: Random) -> Example:
        """Draw whether the pictures of the first turn stand before or after its question, and make tokens.

        A dialogue that is too long loses whole turns from its end.

        Returns:
            `id`, `input_ids` (T), `labels` (T), IGNORED but at answers, and what the pictures become, if there are any.

        Raises:
            DataError: The messages do not fit the pictures, hold no answer, or are too long in their first turn.
        """
        messages = in_either_order(example["messages"], random.random() < 0.5)
        return {"id": example["id"], **encode(self.processor, messages, pictures_of(example), str(example["id"]))}

    def __call__(self, drawn: Sequence[Example]) -> dict[str, Any]:
        """Make a batch, padded on the right.

        Returns:
            `input_ids`, `attention_mask` and `labels`, each (B, T), what the pictures became, one after another
            (`pixel_values` (pictures, 3, height, width)), and `example_ids` (B strings).
        """
        padding = self.processor.tokenizer.pad_token_id
        input_ids, labels = ([example[name] for example in drawn] for name in ("input_ids", "labels"))
        return {
            "input_ids": padded(input_ids, padding),
            "attention_mask": padded([[1] * len(ids) for ids in input_ids], 0),
            "labels": padded(labels, IGNORED),
            **joined([example["pictures"] for example in drawn]),
            "example_ids": [example["id"] for example in drawn],
        }


def padded(rows: Sequence[Sequence[int]], value: int, left: bool = False) -> Tensor:
    """Rows of numbers as one tensor. (B, longest)."""
    longest = max(map(len, rows))
    return torch.tensor(
        [[value] * (longest - len(row)) + [*row] if left else [*row] + [value] * (longest - len(row)) for row in rows]
    )  # B T


def joined(pictures: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What an image processor made of the pictures of each example, one after another; nothing where there are none."""
    names = {name for made in pictures for name in made}
    return {name: torch.cat([made[name] for made in pictures if name in made]) for name in sorted(names)}


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


def encode(processor: Any, messages: Messages, pictures: Sequence[Any], name: str) -> dict[str, Any]:
    """A dialogue as tokens, with as many placeholders as its pictures have patches, and labels of its answers.

    Args:
        processor: With a chat template.
        messages: Of content parts, as [`hfmm.data.checks.check_messages`] leaves them.
        pictures: In the order of the placeholders.
        name: What errors call the dialogue.

    Returns:
        `input_ids` (T), `labels` (T) and `pictures`, by name what the image processor made.

    Raises:
        DataError: See [`DialogueCollator.draw`].
    """
    made: Mapping[str, Any] = processor.image_processor(list(pictures), return_tensors="pt") if pictures else {}
    limit = processor.tokenizer.model_max_length
    turns = messages[:-1] if messages[-1]["role"] == "user" else messages
    while len(turns) > 1:
        text, spans = rendered(processor, turns)
        input_ids, labels = _tokens(processor, text, spans, made, len(pictures), name)
        if len(input_ids) <= limit:
            return {"input_ids": input_ids, "labels": labels, "pictures": dict(made)}
        shorter = turns[:-2]
        if not any(message["role"] == "assistant" for message in shorter):
            raise DataError(f"example {name} has {len(input_ids)} tokens in its first turn, more than {limit}")
        turns = shorter
    raise DataError(f"example {name} has no answer to learn")


def length_of(processor: Any, messages: Messages, pictures: Sequence[Any], name: str) -> int:
    """How many tokens a dialogue has, its pictures among them.

    Raises:
        DataError: Its messages do not fit its pictures.
    """
    made: Mapping[str, Any] = processor.image_processor(list(pictures), return_tensors="pt") if pictures else {}
    text, _ = rendered(processor, messages)
    return len(_tokens(processor, text, (), made, len(pictures), name)[0])


def rendered(processor: Any, messages: Messages) -> tuple[str, list[Span]]:
    """A dialogue as its chat template writes it, and where in it the answers stand, with what ends them.

    Raises:
        DataError: The template writes early turns differently once later ones follow.
    """
    if MARKED.search(processor.chat_template):
        with _RENDERING:
            marked: Any = render_jinja_template(
                [messages], chat_template=processor.chat_template, return_assistant_tokens_mask=True,
                **processor.tokenizer.special_tokens_map,
            )  # fmt: skip
        texts, answers = marked
        return texts[0], [(begin, end) for begin, end in answers[0]]
    spans: list[Span] = []
    text = ""
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        asked = processor.apply_chat_template(messages[:number], add_generation_prompt=True)
        whole = processor.apply_chat_template(messages[: number + 1])
        if not (asked.startswith(text) and whole.startswith(asked)):
            raise DataError("the chat template writes early turns differently once later ones follow")
        spans, text = [*spans, (len(asked), len(whole))], whole
    return text, spans


def _tokens(
    processor: Any, text: str, spans: Sequence[Span], made: Mapping[str, Any], count: int, name: str
) -> tuple[list[int], list[int]]:
    """Ids and labels of a written dialogue, each placeholder as long as its picture."""
    tokenizer, image = processor.tokenizer, processor.image_token_id
    begins = bool(tokenizer.bos_token) and text.startswith(tokenizer.bos_token)
    found = tokenizer(text, add_special_tokens=not begins, return_offsets_mapping=True, verbose=False)
    if found["input_ids"].count(image) != count:
        raise DataError(
            f"example {name} speaks of {found['input_ids'].count(image)} pictures but has {count}: their placeholders "
            f"are {processor.image_token}"
        )
    shown = 0
    input_ids: list[int] = []
    labels: list[int] = []
    for token, (first, last) in zip(found["input_ids"], found["offset_mapping"], strict=True):
        if token == image:
            patches = placeholders(processor, made, shown)
            input_ids += patches
            labels += [IGNORED] * len(patches)
            shown += 1
            continue
        learned = last > first and any(begin <= first and last <= end for begin, end in spans)
        input_ids.append(token)
        labels.append(token if learned else IGNORED)
    return input_ids, labels


def placeholders(processor: Any, made: Mapping[str, Any], number: int) -> list[int]:
    """Ids of what stands for a picture, as many as it has patches."""
    written = processor.replace_image_token(made, number)
    ids: list[int] = processor.tokenizer(written, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def encode_prompt(
    processor: Any, messages: Messages, pictures: Sequence[Any], name: str
) -> tuple[list[int], dict[str, Any]]:
    """A conversation up to where the assistant speaks: its ids, and what the image processor made.

    Raises:
        DataError: It is too long, or its messages do not fit its pictures.
    """
    made: Mapping[str, Any] = processor.image_processor(list(pictures), return_tensors="pt") if pictures else {}
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    input_ids, _ = _tokens(processor, text, (), made, len(pictures), name)
    limit = processor.tokenizer.model_max_length
    if len(input_ids) > limit:
        raise DataError(f"example {name} has {len(input_ids)} tokens before its answer, more than {limit}")
    return input_ids, dict(made)


def ending_of(processor: Any) -> str:
    """What a chat template writes after an answer; empty where it writes nothing."""
    talk = [
        {"role": "user", "content": [{"type": "text", "text": "?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": IGNORED_ANSWER}]},
    ]
    text, spans = rendered(processor, talk)
    after = text[slice(*spans[0])].partition(IGNORED_ANSWER)[2]
    return after.strip() or after
