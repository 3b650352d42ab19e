"""What masked modeling hides: words as BERT does, and regions of pictures.

Axes: B batch, L words, N regions.
"""

import torch
from torch import Tensor

from hfmm.nn.boxes import box_iou

SHARE = 0.15  # of words and of regions that are to be predicted
MASKED, RANDOM = 0.8, 0.1  # of those words: become the mask, or any word; the others stay
HIDDEN = 0.9  # of those regions: have no features; the others keep them
OVERLAP = 0.4  # intersection over union with a hidden region, beyond which another tells what it was

IGNORED = -100  # label of what is not to be predicted


def mask_words(
    input_ids: Tensor, maskable: Tensor, mask_token_id: int, vocab_size: int, share: float = SHARE
) -> tuple[Tensor, Tensor]:
    """Choose words to predict; 80 % of them become the mask, 10 % any word, 10 % stay (Devlin et al. 2019).

    Args:
        input_ids: (B, L).
        maskable: (B, L), True where a word may be chosen.
        mask_token_id: Of the mask.
        vocab_size: Any word is one of so many.
        share: Of the words, on average.

    Returns:
        What is read and what is to be told, (B, L) each, -100 where nothing is.
    """
    chosen = (_uniform(input_ids) < share) & maskable
    fate = _uniform(input_ids)
    read = input_ids.masked_fill(chosen & (fate < MASKED), mask_token_id)
    any_word = torch.randint(vocab_size, input_ids.shape).to(input_ids.device)
    read = torch.where(chosen & (fate >= MASKED) & (fate < MASKED + RANDOM), any_word, read)
    return read, input_ids.masked_fill(~chosen, IGNORED)


def mask_regions(boxes: Tensor, is_region: Tensor, overlap: float | None = OVERLAP) -> tuple[Tensor, Tensor]:
    """Choose regions to predict; 90 % of them have their features zeroed, 10 % stay (Lu et al. 2019, section 3.1).

    Args:
        boxes: (B, N, 4), corners.
        is_region: (B, N), True for regions.
        overlap: Intersection over union with a zeroed region, beyond which a region is zeroed, too, as it tells what
            the other was (so the released code); None leaves others as they are.

    Returns:
        Which are to be predicted and which have no features, (B, N) each.
    """
    chosen = (_uniform(is_region) < SHARE) & is_region
    hidden = chosen & (_uniform(is_region) < HIDDEN)
    if overlap is not None:
        near = box_iou(boxes, boxes) > overlap  # B N N
        hidden = hidden | ((hidden[:, :, None] & near).any(1) & is_region)
    return chosen, hidden


def _uniform(like: Tensor) -> Tensor:
    """Numbers in [0, 1) of the global generator of the CPU, whatever the device."""
    return torch.rand(like.shape).to(like.device)
