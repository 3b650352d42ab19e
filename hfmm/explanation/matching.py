"""Classes by their names alone: pictures compared with sentences about each class, and what of that there is to see.

Axes: B pictures, K classes, M templates, D width.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import normalize

from hfmm.data.examples import Examples
from hfmm.data.prompts import PHOTO
from hfmm.errors import UsageError
from hfmm.explanation.base import Explanation
from hfmm.explanation.classification import LIKELIEST, bars
from hfmm.explanation.drawing import INK, MARGIN, PAPER, font, wrap
from hfmm.explanation.media import enlarged
from hfmm.explanation.overlay import seen_by
from hfmm.explanation.two_towers import EmbedsTexts, embed_pictures, embed_texts
from hfmm.explanation.word_lights import with_lights
from hfmm.nn.contrastive import temperatures
from hfmm.nn.pairs import looks_at_pairs, score_all_pairs

PAIRS = 8  # of a matrix, at most
PICTURES_AT_ONCE, TEXTS_OF_PAIRS, TEXTS_AT_ONCE = 4, 100, 256
SCALE = 100.0  # of cosines, where a model has learned none
CELL, TEXT_WIDTH = 72, 300  # pixels
COLD, WARM = (247, 249, 252), (44, 108, 176)


class ZeroShotClassifier:
    """A classifier of pictures whose weights are embedded sentences.

    Attributes:
        labels: K names.
        weights: (K, D), unit length: of each class the mean direction of its sentences.
        scale: What cosines are multiplied by: the model's learned temperature.
    """

    def __init__(self, model: Any, processor: Any, labels: Sequence[str], templates: Sequence[str] = PHOTO) -> None:
        """Embed every label in every template.

        Args:
            model: On its device, in evaluation mode.
            processor: Its processor.
            labels: Names of classes, each once.
            templates: Sentences, each with `{}` where the name goes.

        Raises:
            UsageError: The model embeds no texts, a label or a template is not one, or a sentence is too long.
        """
        if not isinstance(model, EmbedsTexts):
            raise UsageError(f"{type(model).__name__} embeds no texts: it classifies nothing by names alone")
        _check(labels, templates)
        self.model, self.processor, self.labels = model, processor, list(labels)
        learned = temperatures(model)  # type: ignore[arg-type]
        self.scale = float(learned[0].detach().exp()) if learned else SCALE
        sentences = [template.format(label) for label in labels for template in templates]
        embeds = _text_directions(model, processor, sentences).unflatten(0, (len(labels), len(templates)))  # K M D
        self.weights = normalize(embeds.mean(1), dim=-1)  # K D

    @torch.inference_mode()
    def logits(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Cosines times `scale`. B pictures -> (B, K), on the CPU."""
        return self.scale * _picture_directions(self.model, self.processor, pictures) @ self.weights.T


def _check(labels: Sequence[str], templates: Sequence[str]) -> None:
    repeated = sorted({label for label in labels if list(labels).count(label) > 1})
    if not labels or repeated:
        raise UsageError(f"labels that repeat: {', '.join(repeated)}" if repeated else "no labels: name some classes")
    for template in templates:
        if template.count("{}") != 1:
            raise UsageError(f"'{template}' is no template: write {{}} once, where the class goes")
    if not templates:
        raise UsageError("no templates: give one at least, such as 'a photo of a {}.'")


def _text_directions(model: Any, processor: Any, texts: Sequence[str]) -> Tensor:
    """(N, D), unit length, on the CPU."""
    parts = (texts[start : start + TEXTS_AT_ONCE] for start in range(0, len(texts), TEXTS_AT_ONCE))
    return normalize(torch.cat([embed_texts(model, processor, part) for part in parts]), dim=-1)


def _picture_directions(model: Any, processor: Any, pictures: Sequence[Image.Image]) -> Tensor:
    """(B, D), unit length, on the CPU."""
    return normalize(embed_pictures(model, processor, pictures), dim=-1)


@torch.inference_mode()
def pair_scores(model: Any, processor: Any, pictures: Sequence[Image.Image], texts: Sequence[str]) -> NDArray[Any]:
    """The scores of pictures with texts, by a model that looks at pairs; texts are cut to what it takes. (I, T).

    Texts of a batch are about as long, so that little of it is padding; what is made of them alone serves some
    pictures.
    """
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    scores = torch.empty(len(pictures), len(texts))
    for first in range(0, len(pictures), PICTURES_AT_ONCE):
        some = slice(first, first + PICTURES_AT_ONCE)
        for start in range(0, len(texts), TEXTS_OF_PAIRS):
            places = order[start : start + TEXTS_OF_PAIRS]
            batch = [texts[place] for place in places]
            inputs = processor(images=pictures[some], text=batch, padding=True, truncation=True, return_tensors="pt")
            scores[some, places] = score_all_pairs(model, inputs.to(model.device)).float().cpu()
    return scores.numpy()


def prediction_card(
    model: Any,
    processor: Any,
    image: Image.Image,
    labels: Sequence[str],
    templates: Sequence[str] = ("{}",),
    truth: str | None = None,
) -> Explanation:
    """A picture and the likeliest sentences about it as bars (Radford et al. 2021, figure 21).

    Args:
        model: See [`ZeroShotClassifier`].
        processor: Its processor.
        image: Any picture.
        labels: Names of classes, or whole texts.
        templates: The bars show the first; all vote.
        truth: The right label, whose bar is then green, the others red.

    Returns:
        `data` has `labels` and `probabilities`, the likeliest first, and of `truth` its `rank` among how many.
    """
    classifier = ZeroShotClassifier(model, processor, labels, templates)
    probabilities = classifier.logits([image]).softmax(-1)[0]
    return _card(seen_by(processor.image_processor, image), labels, probabilities, templates[0], truth)


def _card(
    seen: Image.Image, labels: Sequence[str], probabilities: Tensor, template: str = "{}", truth: str | None = None
) -> Explanation:
    """A picture, the likeliest labels as bars, and in `data` all."""
    order = probabilities.argsort(descending=True, stable=True).tolist()
    names = [labels[place] for place in order]
    shares = [round(float(probabilities[place]), 6) for place in order]
    told = [template.format(name) for name in names[:LIKELIEST]]
    right = None if truth is None else template.format(truth)
    data: dict[str, Any] = {"labels": names, "probabilities": shares}
    title = f"{names[0]}, {shares[0]:.3f}"
    if truth in names:
        data |= {"rank": names.index(truth) + 1, "of": len(names)}
        title = f"{truth}: {shares[names.index(truth)]:.1%}, ranked {data['rank']} of {data['of']}"
    return Explanation(title, bars([seen], told, shares[:LIKELIEST], right), data)


def cosine_matrix(model: Any, processor: Any, pictures: Sequence[Image.Image], texts: Sequence[str]) -> Explanation:
    """Cosines of all pictures with all texts as a table of colors, pictures over it and texts beside it.

    Args:
        model: With two towers that meet.
        processor: Its processor.
        pictures: Any, a column each.
        texts: A row each.

    Returns:
        `data` has `texts` and `cosines`, (texts, pictures).
    """
    if not isinstance(model, EmbedsTexts):
        raise UsageError(f"{type(model).__name__} embeds no texts: there are no cosines to show")
    cosines = (_text_directions(model, processor, texts) @ _picture_directions(model, processor, pictures).T).numpy()
    return _table(cosines, pictures, texts, "cosines")


def _table(scores: NDArray[Any], pictures: Sequence[Image.Image], texts: Sequence[str], called: str) -> Explanation:
    """Scores (texts, pictures) as colors; `data` has them under what they are called."""
    sheet = Image.new("RGB", (TEXT_WIDTH + CELL * len(pictures), CELL * (len(texts) + 1)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, picture in enumerate(pictures):
        small = enlarged(picture, CELL - 4, CELL - 4)
        sheet.paste(small, (TEXT_WIDTH + column * CELL + (CELL - small.width) // 2, (CELL - small.height) // 2))
    low, high = float(scores.min()), float(scores.max())
    for row, (text, values) in enumerate(zip(texts, scores.tolist(), strict=True), 1):
        lines = wrap(text, TEXT_WIDTH - 2 * MARGIN, 12)[: CELL // 14]
        draw.multiline_text((MARGIN, row * CELL + MARGIN), "\n".join(lines), INK, font(12))
        for column, value in enumerate(values):
            part = (value - low) / max(high - low, 1e-9)
            color = tuple(round(cold + part * (warm - cold)) for cold, warm in zip(COLD, WARM, strict=True))
            left, top = TEXT_WIDTH + column * CELL, row * CELL
            draw.rectangle((left, top, left + CELL - 2, top + CELL - 2), fill=color)
            draw.text((left + CELL // 4, top + CELL // 3), f"{value:.2f}", PAPER if part > 0.5 else INK, font())
    data = {"texts": list(texts), called: np.round(scores.astype(float), 6).tolist()}
    own = float(np.diag(scores).mean()) if len(texts) == len(pictures) else None
    title = called if own is None else f"{called}: {own:.2f} of a pair on average, {scores.mean():.2f} of any two"
    return Explanation(title, sheet, data)


def explain_match(
    model: Any, processor: Any, image: Image.Image, texts: Sequence[str] = (), **options: Any
) -> Explanation:
    """Which of some texts fits a picture; see [`prediction_card`], which takes the options.

    A model that looks at picture and text together shows where the words of the best text look, if it can tell.

    Raises:
        UsageError: There are no texts.
    """
    if not texts:
        raise UsageError("what might the picture show? Give texts to choose from with --text, several times")
    if looks_at_pairs(model):
        return pair_card(model, processor, image, texts, **options)
    return prediction_card(model, processor, image, texts, **options)


def pair_card(
    model: Any, processor: Any, image: Image.Image, texts: Sequence[str], truth: str | None = None
) -> Explanation:
    """A picture, how the scores of texts with it compare, and where the words of the best one look.

    Args:
        model: That looks at pairs.
        processor: Its processor.
        image: Any picture.
        texts: To choose from.
        truth: The right one, whose bar is then green, the others red.

    Returns:
        `data` has `labels`, `probabilities` (a softmax over the texts, the likeliest first), and those of
        [`with_lights`].
    """
    scores = torch.from_numpy(pair_scores(model, processor, [image], texts))[0]
    card = _card(seen_by(processor.image_processor, image), texts, scores.softmax(-1), truth=truth)
    return with_lights(card, model, processor, image, card.data["labels"][0])


def explain_pairs(model: Any, processor: Any, examples: Examples, count: int = PAIRS, **options: Any) -> Explanation:
    """The cosine matrix of the first captions and pictures of examples, see [`cosine_matrix`], or that of scores."""
    read = [examples[row] for row in range(min(count, len(examples)))]
    texts = [example["captions"][0] for example in read]
    pictures = [example["image"] for example in read]
    if looks_at_pairs(model):
        return _table(pair_scores(model, processor, pictures, texts).T, pictures, texts, "scores")
    return cosine_matrix(model, processor, pictures, texts, **options)
