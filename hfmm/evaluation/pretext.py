"""Scores pretext tasks: how many exams are passed, or how near what was painted is to what was hidden."""

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from hfmm import metrics
from hfmm.data.examples import Examples
from hfmm.evaluation.base import Asked, Outcome, check_metric
from hfmm.evaluation.reading import answers
from hfmm.explanation.drawing import pictures_of

HIGHEST_PSNR = 100.0  # of what was painted without any error


def psnr(found: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture in decibels, 10 log10(1 / mean squared error).

    Args:
        found: (B, C, H, W), values in [0, 1].
        truth: (B, C, H, W).

    Returns:
        (B,).
    """
    error = ((found - truth) ** 2).flatten(1).mean(1)
    return (-10 * error.log10()).clamp(max=HIGHEST_PSNR)


def hidden(picture: Tensor, overlap: int) -> Tensor:
    """The part of a hole that was not seen, in [0, 1]. (B, C, hole, hole) in [-1, 1] -> (B, C, h, w)."""
    side = picture.shape[-1]
    return (picture[..., overlap : side - overlap, overlap : side - overlap] + 1) / 2


def score_pretext(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Score exams by `classification`, and inpainting by `psnr`; each picture's exam is drawn by its row.

    Of same image the pairs are those of a batch. `psnr_of_mean` is that of painting each hole in the mean color of what
    it hides, which no model knows: the least that is worth having.

    Raises:
        UsageError: Another metric is asked for.
    """
    is_exam = model.config.task != "inpainting"
    check_metric(asked, "classification" if is_exam else "psnr", f"model of {model.config.task}")
    rows = iter(range(asked.processes[1], len(examples), asked.processes[0]))

    def sit(pictures: list[Image.Image]) -> list[Any]:
        seeds = [next(rows) for _ in pictures]
        inputs = processor(pictures, seeds=seeds, return_tensors="pt").to(model.device)
        output = model(**inputs)
        if is_exam:
            return list(zip(output.logits.float().tolist(), inputs["labels"].tolist(), strict=True))
        parts = (output.reconstruction, inputs["labels"])
        painted, truth = (hidden(part.float(), model.config.overlap) for part in parts)
        mean = truth.mean((2, 3), keepdim=True).expand_as(truth)
        both = (psnr(painted, truth).tolist(), psnr(mean, truth).tolist(), pictures_of(painted))
        return list(zip(*both, strict=True))

    found, read = answers(model, processor, examples, sit, asked.processes)
    if is_exam:
        logits, labels = ([item[part] for item in found] for part in (0, 1))
        scores = metrics.load("classification").compute(predictions=logits, references=labels)
        return Outcome(scores, [_answer(*item) for item in found], read)
    count = len(found)
    scores = {name: sum(item[part] for item in found) / count for part, name in enumerate(("psnr", "psnr_of_mean"))}
    return Outcome(scores, [item[2] for item in found], read)


def _answer(logits: list[float], label: int) -> str:
    """What was answered, in words."""
    best = torch.tensor(logits).argmax().item()
    return f"option {best}, right" if best == label else f"option {best}, not {label}"
