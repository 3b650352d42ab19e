"""Predictions for pictures on disk, and new pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from hfmm.chat import LlavaChat
from hfmm.data.images import decode
from hfmm.data.tables import list_pictures
from hfmm.errors import DataError, UsageError
from hfmm.evaluation.generation import draw
from hfmm.evaluation.retrieval import match
from hfmm.evaluation.text_to_image import draw_texts
from hfmm.explanation.answering import explain_answer
from hfmm.explanation.classification import explain_class
from hfmm.explanation.detection import find_objects, listed
from hfmm.explanation.editing import edit
from hfmm.explanation.segmentation import segment, shares
from hfmm.explanation.verification import embed
from hfmm.explanation.zero_shot import nearest_labels
from hfmm.loading import Loaded, load

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Wanted:
    """What is to be predicted.

    Attributes:
        images: Pictures, and folders of pictures.
        texts: How each caption starts, one; a question, one; what a model for retrieval compares the pictures with, or
            what a model draws, any number.
        count: Captions a picture, best first; pictures that a generator draws.
        num_beams: The model's own by default, at least as many as captions.
        output: The folder that pictures which are drawn or made of others, or masks, are written to.
        seed: Of what a generator draws.
    """

    images: Sequence[Path] = ()
    texts: Sequence[str] = ()
    count: int = 1
    num_beams: int | None = None
    output: Path | None = None
    seed: int = 0


def predict(where: str | Path, wanted: Wanted, device: str = "cpu") -> Rows:
    """Caption, classify, answer, search, segment, match, compare, encode or edit pictures, or draw: what the task is.

    Args:
        where: Run directory or repository.
        wanted: Of what, and how much.
        device: As torch names it.

    Returns:
        A row a picture: `image` and, of captioners and classifiers, `predictions` and `scores` (log-probabilities, None
        without beams; or probabilities), of models for retrieval the texts and their scores, of verifiers the other
        pictures and their cosines, of detectors `objects`, of segmenters `classes` (and `mask`, the file that was
        written), of encoders `code`, of models that edit `edited`, the file; of a generator, `image` is the file that
        was written, and `text` what it shows.

    Raises:
        UsageError: The task has no predictions, or what it needs is not named.
        DataError: A picture cannot be read.
    """
    loaded = load(where, device)
    task = loaded.row.tasks[0]
    if task not in PREDICTORS:
        raise UsageError(f"{loaded.row.name} has no predictions: its task is {task}")
    return PREDICTORS[task](loaded, wanted)


def _pictures(loaded: Loaded, wanted: Wanted) -> list[Path]:
    """Every picture that is named, those of folders included.

    Raises:
        UsageError: No pictures are named.
        DataError: There are none in the folders.
    """
    if not wanted.images:
        raise UsageError(f"{loaded.row.name} looks at pictures: name them with --image")
    paths = [inside for path in wanted.images for inside in (list_pictures(path) if path.is_dir() else [path])]
    if not paths:
        raise DataError(f"no picture in {', '.join(map(str, wanted.images))}")
    return paths


def _captioned(loaded: Loaded, wanted: Wanted) -> Rows:
    beams = max(wanted.num_beams or loaded.model.generation_config.num_beams or 1, wanted.count)
    if len(wanted.texts) > 1:
        raise UsageError(f"{loaded.row.name} starts its captions in one way: give one --text")
    start = next(iter(wanted.texts), None)
    rows = []
    for path in _pictures(loaded, wanted):
        inputs = loaded.processor(images=_read(path), text=start).to(loaded.model.device)
        with torch.inference_mode():
            found = loaded.model.generate(  # type: ignore[operator]
                **inputs,
                num_beams=beams,
                num_return_sequences=wanted.count,
                return_dict_in_generate=True,
                output_scores=True,
            )
        captions = loaded.processor.post_process_image_text_to_text(found.sequences)
        scores = found.sequences_scores.tolist() if beams > 1 else [None]
        rows.append({"image": str(path), "predictions": captions, "scores": scores})
    return rows


def _classified(loaded: Loaded, wanted: Wanted) -> Rows:
    rows = []
    for path in _pictures(loaded, wanted):
        data = explain_class(loaded.model, loaded.processor, _read(path)).data
        count = wanted.count
        rows.append(
            {"image": str(path), "predictions": data["labels"][:count], "scores": data["probabilities"][:count]}
        )
    return rows


def _named(loaded: Loaded, wanted: Wanted) -> Rows:
    """Of each picture the labels that lie nearest, with their cosines."""
    rows = []
    for path in _pictures(loaded, wanted):
        labels, cosines = nearest_labels(loaded.model, loaded.processor, _read(path), wanted.count)
        rows.append({"image": str(path), "predictions": labels, "scores": cosines})
    return rows


def _compared(loaded: Loaded, wanted: Wanted) -> Rows:
    """Of each picture the others, the most alike first, with their cosines."""
    paths = _pictures(loaded, wanted)
    if len(paths) < 2:
        raise UsageError(f"{loaded.row.name} compares pictures: name two or more, or a folder, with --image")
    embeds = embed(loaded.model, loaded.processor, [_read(path) for path in paths])
    rows = []
    for row, (path, similarities) in enumerate(zip(paths, embeds @ embeds.T, strict=True)):
        others = [other for other in similarities.argsort()[::-1].tolist() if other != row][: wanted.count]
        names, scores = [str(paths[other]) for other in others], [float(similarities[other]) for other in others]
        rows.append({"image": str(path), "predictions": names, "scores": scores})
    return rows


def _matched(loaded: Loaded, wanted: Wanted) -> Rows:
    """Of each picture the texts, the best first, with their scores."""
    if not wanted.texts:
        raise UsageError(
            f"{loaded.row.name} tells which text fits a picture: give some with --text, or search a collection of "
            "pictures with `hfmm index` and `hfmm search`"
        )
    rows = []
    for path in _pictures(loaded, wanted):
        (scores,) = match(loaded.model, loaded.processor, [_read(path)], wanted.texts)
        order = (-scores).argsort(kind="stable")[: max(wanted.count, 1)].tolist()
        names = [wanted.texts[place] for place in order]
        rows.append({"image": str(path), "predictions": names, "scores": scores[order].tolist()})
    return rows


def _answered(loaded: Loaded, wanted: Wanted) -> Rows:
    """Of each picture the likeliest answers to one question, with their probabilities."""
    rows = []
    for path in _pictures(loaded, wanted):
        data = explain_answer(loaded.model, loaded.processor, _read(path), wanted.texts).data
        count = wanted.count
        rows.append(
            {"image": str(path), "predictions": data["labels"][:count], "scores": data["probabilities"][:count]}
        )
    return rows


def _conversed(loaded: Loaded, wanted: Wanted) -> Rows:
    """Of each picture, or of none, the answers to questions, one turn after another."""
    if not wanted.texts:
        raise UsageError(f"{loaded.row.name} answers: ask something with --text, one question a turn")
    settings = {} if wanted.num_beams is None else {"num_beams": wanted.num_beams}
    rows: Rows = []
    for path in _pictures(loaded, wanted) if wanted.images else [None]:
        chat = LlavaChat(loaded)
        for number, text in enumerate(wanted.texts):
            answer = chat.ask(text, [] if path is None or number else [_read(path)], **settings)
            rows.append({"image": str(path or ""), "text": text, "predictions": [answer], "scores": [None]})
    return rows


def _searched(loaded: Loaded, wanted: Wanted) -> Rows:
    paths = _pictures(loaded, wanted)
    found = [find_objects(loaded.model, loaded.processor, [_read(path)])[0] for path in paths]
    return [{"image": str(path), "objects": listed(row)} for path, row in zip(paths, found, strict=True)]


def _segmented(loaded: Loaded, wanted: Wanted) -> Rows:
    """Write masks of class numbers, one a picture, where a folder is named."""
    names: Any = loaded.model.config.id2label
    rows: Rows = []
    for path in _pictures(loaded, wanted):
        (mask,) = segment(loaded.model, loaded.processor, [_read(path)])
        rows.append({"image": str(path), "classes": shares(mask, names)})
        if wanted.output is not None:
            wanted.output.mkdir(parents=True, exist_ok=True)
            rows[-1]["mask"] = str(wanted.output / f"{path.stem}.png")
            Image.fromarray(mask).save(rows[-1]["mask"])
    return rows


def _encoded(loaded: Loaded, wanted: Wanted) -> Rows:
    rows = []
    for path in _pictures(loaded, wanted):
        inputs = loaded.processor([_read(path)], do_pretext=False, return_tensors="pt").to(loaded.model.device)
        with torch.inference_mode():
            code = loaded.model.base_model(**inputs).pooler_output[0]
        rows.append({"image": str(path), "code": code.tolist()})
    return rows


def _edited(loaded: Loaded, wanted: Wanted) -> Rows:
    """Write what the model makes of each picture, under its name."""
    folder = _folder(loaded, wanted, "makes pictures of pictures")
    rows = []
    for path in _pictures(loaded, wanted):
        target = folder / f"{path.stem}.png"
        edit(loaded.model, loaded.processor, [_read(path)])[0].save(target)
        rows.append({"image": str(path), "edited": str(target)})
    return rows


def _folder(loaded: Loaded, wanted: Wanted, does: str) -> Path:
    """Where to write pictures; it is made.

    Raises:
        UsageError: No folder is named.
    """
    if wanted.output is None:
        raise UsageError(f"{loaded.row.name} {does}: name the folder to write them to with --output")
    wanted.output.mkdir(parents=True, exist_ok=True)
    return wanted.output


def _drawn(loaded: Loaded, wanted: Wanted) -> Rows:
    """Write pictures of a generator, numbered from 0."""
    folder = _folder(loaded, wanted, "draws pictures")
    rows = []
    for number, picture in enumerate(draw(loaded.model, wanted.count, wanted.seed)):
        path = folder / f"{number:04d}.png"
        picture.save(path)
        rows.append({"image": str(path)})
    return rows


def _drawn_of_texts(loaded: Loaded, wanted: Wanted) -> Rows:
    """Write drawings of each text, numbered from 0."""
    if not wanted.texts or wanted.output is None:
        raise UsageError(f"{loaded.row.name} draws texts: give some with --text, and with --output the folder")
    wanted.output.mkdir(parents=True, exist_ok=True)
    texts = [text for text in wanted.texts for _ in range(wanted.count)]
    rows: Rows = []
    for number, (text, picture) in enumerate(zip(texts, draw_texts(loaded.model, texts, wanted.seed), strict=True)):
        path = wanted.output / f"{number:04d}.png"
        picture.save(path)
        rows.append({"image": str(path), "text": text})
    return rows


PREDICTORS: dict[str, Callable[[Loaded, Wanted], Rows]] = {  # by task
    "face-verification": _compared,
    "image-captioning": _captioned,
    "image-classification": _classified,
    "image-feature-extraction": _encoded,
    "object-detection": _searched,
    "image-segmentation": _segmented,
    "image-text-retrieval": _matched,
    "image-text-to-text": _conversed,
    "image-to-image": _edited,
    "text-to-image": _drawn_of_texts,
    "unconditional-image-generation": _drawn,
    "visual-question-answering": _answered,
    "zero-shot-image-classification": _named,
}


def _read(path: Path) -> Any:
    try:
        return decode(path)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
