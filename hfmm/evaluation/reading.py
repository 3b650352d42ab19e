"""Examples in batches, and what several processes made of their shares of them."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

import torch
from accelerate.utils import gather_object
from PIL import Image
from torch.utils.data import DataLoader

from hfmm.data.examples import Example, Examples
from hfmm.factory import picture_size

T = TypeVar("T")
BATCH_SIZE = 100


class _Rows(torch.utils.data.Dataset[Example]):
    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, row: int) -> Example:
        return self.examples[row]


def batches(examples: Examples, processor: Any, batch_size: int) -> DataLoader[Example]:
    """Lists of examples in order, read by one worker where they fill more than a batch.

    Args:
        examples: With an `image` column.
        processor: What will resize the pictures.
        batch_size: Examples at a time.
    """
    sized = examples.sized(*picture_size(processor))
    workers = 1 if len(sized) > batch_size else 0
    return DataLoader(_Rows(sized), batch_size, collate_fn=list, num_workers=workers)


def gathered(found: Sequence[T], num_examples: int, processes: tuple[int, int]) -> list[T]:
    """What each process found for its share of the examples, in their order, on every process.

    Args:
        found: For rows `index`, `index + count`, ...
        num_examples: Of all processes together.
        processes: (count, index).
    """
    count, index = processes
    if count == 1:
        return list(found)
    rows = range(index, num_examples, count)
    return [item for _, item in sorted(gather_object(list(zip(rows, found, strict=True))), key=itemgetter(0))]


def answers(
    model: Any,
    processor: Any,
    examples: Examples,
    answer: Callable[[list[Image.Image]], Sequence[T]],
    processes: tuple[int, int] = (1, 0),
    batch_size: int | None = None,
) -> tuple[list[T], list[Example]]:
    """What a model answers to each picture, once, each process its share; the whole list on every process.

    Args:
        model: Is put into evaluation mode meanwhile.
        processor: What resizes the pictures.
        examples: With an `image` column.
        answer: From pictures to an answer each.
        processes: (how many share the work, which one this is).
        batch_size: Pictures at a time; BATCH_SIZE by default.

    Returns:
        Answers and examples (without pictures), in the order of `examples`.
    """

    def of_examples(batch: list[Example]) -> Sequence[T]:
        return answer([example["image"] for example in batch])

    return replies(model, processor, examples, of_examples, processes, batch_size)


def replies(
    model: Any,
    processor: Any,
    examples: Examples,
    reply: Callable[[list[Example]], Sequence[T]],
    processes: tuple[int, int] = (1, 0),
    batch_size: int | None = None,
) -> tuple[list[T], list[Example]]:
    """What a model replies to each example, as [`answers`] does to each picture."""
    was_training = model.training
    model.eval()
    both: list[tuple[T, Example]] = []
    for batch in batches(examples.shard(*processes), processor, batch_size or BATCH_SIZE):
        with torch.inference_mode():
            found = reply(batch)
        read = ({key: value for key, value in example.items() if key != "image"} for example in batch)
        both += zip(found, read, strict=True)
    model.train(was_training)
    both = gathered(both, len(examples), processes)
    return [found for found, _ in both], [example for _, example in both]
