"""Examples for a loader with workers, in batches."""

from typing import Any

import torch
from torch.utils.data import DataLoader

from hfmm.data.examples import Example, Examples
from hfmm.factory import picture_size


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
