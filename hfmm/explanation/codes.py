"""Codes of pictures: what a network has made of them just before its answer, and which pictures lie near there.

The code of a picture is
- of a model with `logits`: what its last linear layer or convolution reads, AlexNet's fc7;
- of an embedding model: its `image_embeds`;
- of a backbone: the last of its `feature_maps`, or its `last_hidden_state`.
Maps and rows of tokens are averaged over their places.

Axes: N pictures, D width of a code, Q queries, K neighbors.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from transformers.utils import ModelOutput

from hfmm.errors import UsageError

BATCH_SIZE = 32
LAYERS = (nn.Linear, nn.Conv2d)


def extract_codes(model: Any, processor: Any, pictures: Iterable[Image.Image], batch_size: int = BATCH_SIZE) -> Tensor:
    """The codes of pictures, in evaluation mode.

    Args:
        model: A model that takes `pixel_values`.
        processor: Its image processor.
        pictures: One or more, read a batch at a time.
        batch_size: How many.

    Returns:
        (N, D), on the CPU.

    Raises:
        UsageError: The model has no code by the rule above.
    """
    return codes_and_logits(model, processor, pictures, batch_size)[0]


@torch.inference_mode()
def codes_and_logits(
    model: Any, processor: Any, pictures: Iterable[Image.Image], batch_size: int = BATCH_SIZE
) -> tuple[Tensor, Tensor | None]:
    """The codes of pictures as [`extract_codes`] gives them, and of a model that has them its logits.

    Returns:
        (N, D), and the logits, N first, or None; on the CPU.
    """
    was_training = model.training
    model.eval()
    found = [
        _codes(model, processor(images=batch, return_tensors="pt")["pixel_values"].to(model.device, model.dtype))
        for batch in _batches(pictures, batch_size)
    ]
    model.train(was_training)
    codes = torch.cat([code for code, _ in found]).float().cpu()  # N D
    logits = [logits for _, logits in found if logits is not None]
    return codes, torch.cat(logits).float().cpu() if logits else None


def _batches(pictures: Iterable[Image.Image], size: int) -> Iterator[list[Image.Image]]:
    waiting = iter(pictures)
    while batch := list(islice(waiting, size)):
        yield batch


def _codes(model: Any, pixel_values: Tensor) -> tuple[Tensor, Tensor | None]:
    """(B, C, H, W) to (B, D), and logits."""
    read: list[Tensor] = []  # by the layer that ran last

    def keep(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        read[:] = given[:1]

    hooks = [layer.register_forward_pre_hook(keep) for layer in model.modules() if isinstance(layer, LAYERS)]
    try:
        output = model(pixel_values=pixel_values)
    finally:
        for hook in hooks:
            hook.remove()
    code = _code_of(output, read)
    if code is None or code.ndim < 2 or len(code) != len(pixel_values):
        raise UsageError(f"{type(model).__name__} gives no code of a picture")
    return code if code.ndim == 2 else _averaged(code), output.get("logits")


def _code_of(output: ModelOutput, read: Sequence[Tensor]) -> Tensor | None:
    if output.get("logits") is not None:
        return read[0] if read else None
    if output.get("feature_maps") is not None:
        return output["feature_maps"][-1]  # B D H W
    embedding = output.get("image_embeds")
    return output.get("last_hidden_state") if embedding is None else embedding


def _averaged(code: Tensor) -> Tensor:
    """Over the places of a map (B, D, H, W), or over tokens (B, T, D)."""
    return code.mean((2, 3)) if code.ndim == 4 else code.mean(1)


def nearest_neighbors(codes: Tensor, count: int, queries: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
    """The codes that lie nearest to some of them by Euclidean distance, as they are (AlexNet's figure 4).

    Args:
        codes: (N, D).
        count: K, fewer where there are no more.
        queries: Rows of `codes`, all by default.

    Returns:
        Rows (Q, K) and their distances (Q, K), nearest first and the query itself left out.
    """
    rows = torch.arange(len(codes)) if queries is None else torch.tensor(queries)
    distances = torch.cdist(codes[rows], codes, compute_mode="donot_use_mm_for_euclid_dist")  # Q N; equal codes: 0
    distances[torch.arange(len(rows)), rows] = torch.inf
    nearest = distances.sort(dim=1, stable=True)
    count = min(count, len(codes) - 1)
    return nearest.indices[:, :count], nearest.values[:, :count]


def knn_purity(codes: Tensor, labels: Sequence[int | None], count: int) -> float | None:
    """How many of the neighbors of a code are of its class, on average.

    Args:
        codes: (N, D), or points of a map.
        labels: Class of each; those without one do not count.
        count: Neighbors of each.

    Returns:
        Between 0 and 1; None where fewer than two have a class.
    """
    known = [row for row, label in enumerate(labels) if label is not None]
    if len(known) < 2:
        return None
    classes = torch.tensor([labels[row] for row in known])
    nearest, _ = nearest_neighbors(codes[known], count)  # N K
    return float((classes[nearest] == classes[:, None]).float().mean())
