"""Examples in batches, and what several processes made of their shares of them."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, TypeVar

import torch
from accelerate.utils import gather_object
from torch.utils.data import DataLoader

from hfmm.data.examples import Example, Examples
from hfmm.factory import picture_size

T = TypeVar("T")


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
