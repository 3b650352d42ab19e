"""Batches for models that make a picture of a picture."""

from functools import partial
from typing import Any

from hfmm.data.collate import PictureCollator


class EditCollator(PictureCollator):
    """Lets the processor worsen pictures, and make tensors of them, `pixel_values`, and of what they were, `labels`."""

    def __init__(self, processor: Any) -> None:
        """Take an image processor that is called with pictures, `with_labels`, `seeds` and `return_tensors`."""
        super().__init__(partial(processor, with_labels=True))
