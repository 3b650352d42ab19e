"""Why this answer: the likeliest answers of the list as bars, and where the words of the question look."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from hfmm.errors import UsageError
from hfmm.explanation.base import Explanation
from hfmm.explanation.classification import LIKELIEST, bars
from hfmm.explanation.overlay import seen_by
from hfmm.explanation.word_lights import with_lights


@torch.inference_mode()
def answer_scores(model: Any, processor: Any, images: Sequence[Image.Image], questions: Sequence[str]) -> Tensor:
    """Logits of the answers to questions, one a picture; long ones are cut to what the model takes. -> (B, K)."""
    inputs = processor(images=list(images), text=list(questions), padding=True, truncation=True, return_tensors="pt")
    found: Tensor = model(**inputs.to(model.device)).logits.float().cpu()
    return found


def explain_answer(
    model: Any, processor: Any, image: Image.Image, texts: Sequence[str] = (), truth: str | None = None
) -> Explanation:
    """Answer a question about a picture and show why.

    Args:
        model: With a closed list of answers.
        processor: Its processor.
        image: Any picture.
        texts: The question, alone.
        truth: The right answer, whose bar is then green, the others red.

    Returns:
        `data` has `question`, `labels` and `probabilities` (a softmax over the list), the likeliest first, and those of
        [`with_lights`].

    Raises:
        UsageError: There is no question, or several.
    """
    if len(texts) != 1:
        raise UsageError("what is asked of the picture? Give one question with --text")
    (question,) = texts
    probabilities = answer_scores(model, processor, [image], [question]).softmax(-1)[0]
    best = probabilities.topk(min(LIKELIEST, len(probabilities)))
    labels = [model.config.id2label[number] for number in best.indices.tolist()]
    shares = best.values.tolist()
    sheet = bars([seen_by(processor.image_processor, image)], labels, shares, truth)
    data = {"question": question, "labels": labels, "probabilities": [round(share, 6) for share in shares]}
    card = Explanation(f"{question} {labels[0]}, {shares[0]:.3f}", sheet, data)
    return with_lights(card, model, processor, image, question)
