"""Questions about pictures whose answers are a closed list: each answer is a class."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from random import Random
from typing import Any

import torch

from hfmm.data.examples import Example, Examples
from hfmm.errors import DataError

MOST_ANSWERS = 3129  # of the list; so many have at least nine questions in VQA v2
MOST_EXAMPLES = 50_000  # that the answers are taken from: built-in data have no end


def answers_of(examples: Examples) -> tuple[str, ...]:
    """The answers of examples, the most frequent first, of equal ones in the order of the alphabet."""
    counts = Counter(islice(examples.column("answer"), MOST_EXAMPLES))
    return tuple(sorted(counts, key=lambda answer: (-counts[answer], answer))[:MOST_ANSWERS])


class Answered(Examples):
    """Examples whose `label` is the number of their answer in a list; None for others.

    Args:
        base: With `answer`.
        answers: The list.
    """

    def __init__(self, base: Examples, answers: Sequence[str]) -> None:
        self.base, self.label_names = base, tuple(answers)
        self.name, self.split = base.name, base.split
        self.features = base.features | {"label": "label"}
        self.numbers = {answer: number for number, answer in enumerate(answers)}

    def __len__(self) -> int:
        return len(self.base)

    def read(self, row: int) -> Example:
        """An example and the number of its answer."""
        return self._numbered(self.base.read(row))

    def peek(self, row: int) -> Example:
        """The same, pictures not decoded."""
        return self._numbered(self.base.peek(row))

    def _numbered(self, example: Example) -> Example:
        return example | {"label": self.numbers.get(example["answer"])}

    def where(self, row: int) -> str:
        """The place in the data."""
        return self.base.where(row)

    def sized(self, height: int, width: int) -> Examples:
        """The same questions about smaller pictures."""
        return Answered(self.base.sized(height, width), self.label_names or ())


class QuestionCollator:
    """Lets the processor make tensors of pictures and questions, beside the number of the answer of each."""

    def __init__(self, processor: Any) -> None:
        """Take a processor of pictures and words."""
        self.processor = processor

    def draw(self, example: Example, random: Random) -> Example:
        """Take what a model learns from.

        Returns:
            `id`, `image`, `question` and `label`.

        Raises:
            DataError: The example has no picture, or its answer is not in the list.
        """
        if example.get("image") is None:
            raise DataError(f"example {example['id']} has no image")
        if example.get("label") is None:
            raise DataError(
                f"example {example['id']} has an answer that is not in the list: leave it out, or give "
                "--on-bad-example skip"
            )
        return {key: example[key] for key in ("id", "image", "question", "label")}

    def __call__(self, drawn: Sequence[Example]) -> dict[str, Any]:
        """Make a batch.

        Returns:
            What the processor makes, `labels` (B,) and `example_ids` (B strings).
        """
        images, questions, ids = ([example[name] for example in drawn] for name in ("image", "question", "id"))
        batch = self.processor(images=images, text=questions, padding=True, truncation=True, return_tensors="pt")
        return {**batch, "labels": torch.tensor([example["label"] for example in drawn]), "example_ids": ids}
