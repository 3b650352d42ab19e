"""Dialogues about pictures as the tokens of a model, of which it learns the answers and what ends them."""

import re
from collections.abc import Mapping, Sequence
from random import Random
from threading import Lock
from typing import Any

from torch import Tensor
from transformers.utils.chat_template_utils import render_jinja_template

from hfmm.data.columns import pictures_of
from hfmm.data.examples import Example
from hfmm.data.messages import Messages, in_either_order, pictures_in, with_answers
from hfmm.data.padding import joined, padded
from hfmm.errors import DataError, UsageError

IGNORED = -100  # label of a token that is not learned
IGNORED_ANSWER = "yes"  # says nothing: only what follows it is looked at
MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")  # a chat template that says what the assistant says
_RENDERING = Lock()  # upstream shares one compiled template between threads, and its marks with it
Span = tuple[int, int]  # first character, and the one after the last


class DialogueCollator:
    """Makes tokens of dialogues by a processor's chat template, and labels of the answers in them."""

    def __init__(self, processor: Any) -> None:
        """Take a processor with a chat template, whose tokenizer says how long a dialogue may be."""
        self.processor = processor

    def draw(self, example: Example, random: Random) -> Example:
        """Draw whether the pictures of the first turn stand before or after its question, and make tokens.

        A dialogue that is too long loses whole turns from its end.

        Returns:
            `id`, and what [`encode`] gives.

        Raises:
            DataError: The messages do not fit the pictures, hold no answer, or are too long in their first turn.
        """
        messages = in_either_order(example["messages"], random.random() < 0.5)
        return {"id": example["id"], **encode(self.processor, messages, pictures_of(example), str(example["id"]))}

    def __call__(self, drawn: Sequence[Example]) -> dict[str, Any]:
        """Make a batch, padded on the right.

        Returns:
            `labels`, what [`batch_of`] gives, padded on the right, and `example_ids` (B strings).
        """
        return {
            **batch_of(self.processor, drawn),
            "labels": padded([example["labels"] for example in drawn], IGNORED),
            "example_ids": [example["id"] for example in drawn],
        }


def batch_of(processor: Any, drawn: Sequence[Mapping[str, Any]], left: bool = False) -> dict[str, Tensor]:
    """Several dialogues as a model takes them.

    Args:
        processor: That read them.
        drawn: What [`encode`] or [`encode_prompt`] gives of each.
        left: Pad on the left, as `generate` wants it.

    Returns:
        `input_ids`, `attention_mask` and what else the processor says of tokens, each (B, T), and what the pictures
        became, one after another (`pixel_values` (pictures, 3, height, width)).
    """
    ids = [example["input_ids"] for example in drawn]
    marks = [example["marks"] for example in drawn]
    unmarked = [[0] * len(row) for row in ids]
    return {
        "input_ids": padded(ids, processor.tokenizer.pad_token_id, left),
        "attention_mask": padded([[1] * len(row) for row in ids], 0, left),
        **{
            name: padded([own.get(name, zeros) for own, zeros in zip(marks, unmarked, strict=True)], 0, left)
            for name in sorted({name for own in marks for name in own})
        },
        **joined([example["pictures"] for example in drawn]),
    }


def encode(processor: Any, messages: Messages, pictures: Sequence[Any], name: str) -> dict[str, Any]:
    """A dialogue as tokens, with as many placeholders as its pictures have patches, and labels of its answers.

    Args:
        processor: With a chat template.
        messages: Of content parts, as [`hfmm.data.checks.check_messages`] leaves them.
        pictures: In the order of the placeholders.
        name: What errors call the dialogue.

    Returns:
        `labels` (T), IGNORED but at answers, and what [`_read`] gives.

    Raises:
        DataError: See [`DialogueCollator.draw`].
    """
    limit = processor.tokenizer.model_max_length
    turns = messages[:-1] if messages[-1]["role"] == "user" else messages
    while len(turns) > 1:
        text, spans = rendered(processor, turns)
        dropped = pictures_in(messages[len(turns) :])
        read, places = _read(processor, text, pictures[: len(pictures) - dropped], name)
        if len(read["input_ids"]) <= limit:
            return read | {"labels": _labels(read["input_ids"], places, spans)}
        counts = [*(_tokens_until(end, places) for _, end in spans[:-1]), len(read["input_ids"])]
        answers = sum(count <= limit for count in counts)
        if not answers:
            raise DataError(f"example {name} has {counts[0]} tokens in its first turn, more than {limit}")
        turns = with_answers(turns, answers)
    raise DataError(f"example {name} has no answer to learn")


def length_of(processor: Any, messages: Messages, pictures: Sequence[Any], name: str) -> int:
    """How many tokens a dialogue has, its pictures among them.

    Raises:
        DataError: Its messages do not fit its pictures.
    """
    text, _ = rendered(processor, messages)
    return len(_read(processor, text, pictures, name)[0]["input_ids"])


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


def _read(processor: Any, text: str, pictures: Sequence[Any], name: str) -> tuple[dict[str, Any], list[Span]]:
    """A written dialogue as the processor reads it, each placeholder as long as its picture.

    Returns:
        `input_ids` (T), `marks`, what else it says of tokens, by name (T), and `pictures`, by name what it made of
        these; and of each token its place in the text, with no length where it stands for a picture.

    Raises:
        DataError: The text does not fit the pictures.
        UsageError: The processor does not tell where it put them.
    """
    tokenizer = processor.tokenizer
    shown = text.count(processor.image_token)
    if shown != len(pictures):
        raise DataError(
            f"example {name} speaks of {shown} pictures but has {len(pictures)}: their placeholders are "
            f"{processor.image_token}"
        )
    begins = bool(tokenizer.bos_token) and text.startswith(tokenizer.bos_token)
    words = {"add_special_tokens": not begins, "return_offsets_mapping": True, "verbose": False}
    read = processor(
        text=[text], images=list(pictures) or None, text_kwargs=words, images_kwargs={"return_tensors": "pt"},
        return_text_replacement_offsets=True,
    )  # fmt: skip
    (places,), (replaced,) = read.pop("offset_mapping"), read.pop("text_replacement_offsets", [[]])
    if len(replaced) != len(pictures):
        raise UsageError(f"a {type(processor).__name__} does not tell where in a text pictures stand, and is not taken")
    (input_ids,) = read.pop("input_ids")
    del read["attention_mask"]
    marks = {key: values[0] for key, values in read.items() if key.endswith("token_type_ids")}
    made = {key: values for key, values in read.items() if key not in marks}
    return {"input_ids": input_ids, "marks": marks, "pictures": made}, _before(places, replaced)


def _before(places: Sequence[Span], replaced: Sequence[Mapping[str, Any]]) -> list[Span]:
    """Places in a text before placeholders were replaced by longer ones, of those after it."""
    moved = []
    ahead = iter(replaced)
    coming, gained = next(ahead, None), 0
    for first, last in places:
        while coming is not None and first >= coming["new_span"][1]:
            gained = coming["new_span"][1] - coming["span"][1]
            coming = next(ahead, None)
        inside = coming is not None and last > coming["new_span"][0]
        moved.append((first - gained, first - gained if inside else last - gained))
    return moved


def _tokens_until(end: int, places: Sequence[Span]) -> int:
    """How many tokens lead up to a place in the text; those of pictures have no length."""
    return max(number for number, (first, last) in enumerate(places, 1) if first < last <= end)


def _labels(input_ids: Sequence[int], places: Sequence[Span], spans: Sequence[Span]) -> list[int]:
    """The tokens that stand in one of these spans of the text, IGNORED for others."""
    return [
        token if last > first and any(begin <= first and last <= end for begin, end in spans) else IGNORED
        for token, (first, last) in zip(input_ids, places, strict=True)
    ]


def encode_prompt(processor: Any, messages: Messages, pictures: Sequence[Any], name: str) -> dict[str, Any]:
    """A conversation up to where the assistant speaks, as [`_read`] gives it.

    Raises:
        DataError: It is too long, or its messages do not fit its pictures.
    """
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    read, _ = _read(processor, text, pictures, name)
    count, limit = len(read["input_ids"]), processor.tokenizer.model_max_length
    if count > limit:
        raise DataError(f"example {name} has {count} tokens before its answer, more than {limit}")
    return read


def ending_of(processor: Any) -> str:
    """What a chat template writes after an answer; empty where it writes nothing."""
    talk = [
        {"role": "user", "content": [{"type": "text", "text": "?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": IGNORED_ANSWER}]},
    ]
    text, spans = rendered(processor, talk)
    after = text[slice(*spans[0])].partition(IGNORED_ANSWER)[2]
    return after.strip() or after
