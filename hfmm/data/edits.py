"""Batches for models that make a picture of a picture."""

from collections.abc import Mapping
from typing import Any

from hfmm.data.collate import PictureCollator


class EditCollator(PictureCollator):
    """Lets the processor worsen pictures, and make tensors of them (`pixel_values`) and of what they were (`labels`)."""

    settings: Mapping[str, Any] = {"with_labels": True}
