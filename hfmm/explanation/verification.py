"""Why these two faces: what lies nearest, where a face is recognized, and what every threshold accepts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image


def embed(model: Any, processor: Any, pictures: Sequence[Image.Image]) -> NDArray[np.float64]:
    """Embeddings of pictures.

    Args:
        model: On its device, in evaluation mode.
        processor: Its image processor.
        pictures: Any.

    Returns:
        (M, D), unit length.
    """
    inputs = processor(list(pictures), return_tensors="pt").to(model.device)
    with torch.inference_mode():
        found: NDArray[np.float64] = model(**inputs).image_embeds.double().cpu().numpy()
    return found
