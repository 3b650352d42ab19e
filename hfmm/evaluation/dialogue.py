"""Scores models that converse about pictures: exact answers, over all and by kind of question, and without seeing."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from hfmm import metrics
from hfmm.data.columns import pictures_of, require
from hfmm.data.examples import Example, Examples
from hfmm.data.messages import spoken
from hfmm.errors import unknown
from hfmm.evaluation.base import Asked, Outcome
from hfmm.evaluation.reading import replies
from hfmm.explanation.dialogue import Talk, asked_of, reply

AT_ONCE = 64  # answers
MEASURED = {"vqa": "answer", "caption": "captions", "scienceqa_accuracy": "right"}  # metric -> what it compares with
DIALOGUES = 25  # read at a time
SPARE = 4  # tokens that an answer may have more than the longest right one


def score_dialogues(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Answer every turn, greedily unless told otherwise, after the right answers to the turns before it.

    `exact` is the share of answers that are the right one, letter by letter; `exact_<kind>` that of a kind of question,
    where the data tell kinds; `blind` what is right of answers about gray pictures. Where metrics are named, one of
    MEASURED each, there are these instead, of the last answer of each dialogue.

    Raises:
        UsageError: Another metric is asked for.
        DataError: The examples are no dialogues, or have not what a metric compares with.
    """
    for name in asked.metrics:
        if name not in MEASURED:
            raise unknown("metric of a model that converses", name, MEASURED)
        require(examples, (MEASURED[name],), f"the metric {name}")
    examples = spoken(examples)
    require(examples, ("messages",), "image-text-to-text")

    def answered(batch: list[Example]) -> list[list[tuple[str, str, str]]]:
        return _answer(model, processor, batch, dict(asked.generation), blind=not asked.metrics)

    found, read = replies(model, processor, examples, answered, asked.processes, DIALOGUES)
    if asked.metrics:
        last = [answers[-1][1] for answers in found]
        scores = {key: value for name in asked.metrics for key, value in _measured(name, last, read).items()}
        return Outcome(scores, last, read)
    right: dict[str, list[bool]] = defaultdict(list)
    for example, answers in zip(read, found, strict=True):
        for number, (answer, said, unseen) in enumerate(answers):
            right["exact"].append(said == answer)
            if "kinds" in example:
                right[f"exact_{example['kinds'][number]}"].append(said == answer)
            right["blind"].append(unseen == answer)
    scores = {name: sum(values) / len(values) for name, values in sorted(right.items(), key=_order)}
    return Outcome(scores, [", ".join(said for _, said, _ in answers) for answers in found], read)


def _answer(
    model: Any, processor: Any, batch: Sequence[Example], generation: dict[str, Any], blind: bool
) -> list[list[tuple[str, str, str]]]:
    """Of each dialogue its (right answer, answer, answer about gray pictures); the last is empty unless asked for."""
    questions = [asked_of(example, pictures_of(example)) for example in batch]
    flat = [question for of_one in questions for question in of_one]
    lengths = (len(processor.tokenizer(answer, add_special_tokens=False)["input_ids"]) for _, answer in flat)
    settings = {"max_new_tokens": max(lengths) + SPARE, "do_sample": False, **generation}

    def said(talks: Sequence[Talk]) -> list[str]:
        pieces = (talks[first : first + AT_ONCE] for first in range(0, len(talks), AT_ONCE))
        return [answer for piece in pieces for answer in reply(model, processor, piece, **settings)]

    talks = [talk for talk, _ in flat]
    unseen = said([talk.blind() for talk in talks]) if blind else [""] * len(talks)
    rows = iter(zip((answer for _, answer in flat), said(talks), unseen, strict=True))
    return [[next(rows) for _ in of_one] for of_one in questions]


def _measured(name: str, said: Sequence[str], examples: Sequence[Example]) -> dict[str, float]:
    """What a metric says of an answer to each example."""
    references = [example[MEASURED[name]] for example in examples]
    if name == "vqa":
        references = [example.get("answers") or [example["answer"]] for example in examples]
    options = {"tokenizer": "ptb"} if name == "caption" else {}
    scores: dict[str, float] = metrics.load(name).compute(predictions=said, references=references, **options)
    return scores


def _order(item: tuple[str, list[bool]]) -> tuple[int, str]:
    """`exact` first, kinds by name, `blind` last."""
    name = item[0]
    return (("exact", "blind").index(name) * 2 if name in ("exact", "blind") else 1), name
