"""How well: one scorer a task, the rows of `results.json`, and the public `evaluate`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from hfmm import catalogue
from hfmm import data as sources
from hfmm.catalogue import Row
from hfmm.data.examples import Examples
from hfmm.data.sources import is_built_in
from hfmm.device import hardware
from hfmm.errors import HfmmError, UsageError, unknown
from hfmm.evaluation import (
    answering,
    captioning,
    classification,
    detection,
    dialogue,
    editing,
    generation,
    pretext,
    retrieval,
    segmentation,
    text_to_image,
    verification,
    zero_shot,
)
from hfmm.evaluation.base import Asked, Outcome
from hfmm.loading import Loaded, load
from hfmm.metrics import lower_is_better
from hfmm.results import add_result, by_command, steps_of, with_reported

__all__ = ["Asked", "Outcome", "chosen", "evaluate", "score_model"]


def score_model(
    task: str,
    model: Any,
    processor: Any,
    examples: Examples,
    asked: Asked,
) -> Outcome:
    """Score a model on examples by its task.

    Args:
        task: From the catalogue.
        model: On its device.
        processor: Its processor.
        examples: What to predict.
        asked: Metrics, decoding, and who shares the work.

    Raises:
        UsageError: The task has no scorer.
    """
    if task not in SCORERS:
        raise UsageError(f"'{task}' has no scorer yet")
    return SCORERS[task](model, processor, examples, asked)


FEATURES = "features"  # in a run, the classifier that looks at its samples
NAMING, RETRIEVAL = "zero-shot-image-classification", "image-text-retrieval"
CLASSIFIES = "image-classification"
GENERATES, DRAWS_TEXTS = "unconditional-image-generation", "text-to-image"
SCORERS: dict[str, Callable[[Any, Any, Examples, Asked], Outcome]] = {  # by task
    "face-verification": verification.score_verifier,
    "image-captioning": captioning.score_captioner,
    CLASSIFIES: classification.score_classifier,
    "image-feature-extraction": pretext.score_pretext,
    "object-detection": detection.score_detector,
    "image-segmentation": segmentation.score_segmenter,
    "image-text-to-text": dialogue.score_dialogues,
    "image-to-image": editing.score_editor,
    RETRIEVAL: retrieval.score_retrieval,
    DRAWS_TEXTS: text_to_image.score_text_to_image,
    GENERATES: generation.score_generator,
    "visual-question-answering": answering.score_answers,
    NAMING: zero_shot.score_zero_shot,
}


def chosen(scores: Mapping[str, float], name: str) -> float:
    """One score, for early stopping: the higher the better, so that one of which less is better is negated.

    Raises:
        UsageError: It was not computed.
    """
    if name not in scores:
        raise unknown("metric", name, scores)
    return -scores[name] if lower_is_better(name) else scores[name]


def run_recipe(where: str | Path) -> dict[str, Any]:
    """The recipe that a run directory was made by; empty for other models."""
    path = Path(where) / "recipe.yaml"
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _data_of(trained_on: Mapping[str, Any]) -> Examples | None:
    """What a model was trained on, or another split of that, where it can still be read."""
    if not trained_on:
        return None
    try:
        return sources.load(
            trained_on["name"],
            split=trained_on["split"],
            columns=trained_on["columns"] or None,
            on_bad_example="skip",
            **trained_on["options"],
        )
    except HfmmError:  # the model outlives its data
        return None


def _first(examples: Examples, limit: int | None) -> Examples:
    """At most so many examples."""
    return examples if limit is None else examples.select(range(min(limit, len(examples))))


def _seen(examples: Examples | None) -> list[str]:
    """Captions of what a model was trained on, where that can still be read; drawn data have no end of them."""
    if examples is None or is_built_in(examples.name) or "captions" not in examples.features:
        return []
    return [caption for captions in examples.column("captions") for caption in captions]


def _network(where: str | Path, features: str | Path | None, planned: str | None, device: str) -> Loaded | None:
    """The classifier that was named, the one that the run trained beside itself, or the trained one of its recipe."""
    beside = Path(where) / FEATURES
    trained = planned if planned and catalogue.find(planned) is None else None
    named = features or (beside if beside.exists() else trained)
    return None if named is None else load(named, device)


def evaluate(
    where: str | Path,
    data: str | None = None,
    split: str = "test",
    limit: int | None = None,
    metrics: Sequence[str] = (),
    device: str = "cpu",
    columns: Mapping[str, str] | None = None,
    generation: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Score a trained model and add the row to its `results.json`.

    Args:
        where: Run directory or repository.
        data: Any data set; the one it was trained on by default.
        split: Of the data.
        limit: At most so many examples, the first ones.
        metrics: Names; the task's own by default, of a generator of pictures also those of its recipe.
        device: As torch names it.
        columns: Names of the data's columns, `{"image": "photo"}`.
        generation: Arguments of `generate`, over the model's own; of a generator of pictures those of
            `generate_images` over those of its recipe, `num_images`, how many samples are scored, and `features`, the
            run directory or repository of the classifier that looks at them, by default the one in the run or the
            trained one of its recipe; of a classifier `views` of each picture, over which its probabilities are
            averaged: `flip`, `five_crop`, `ten_crop` or `rotations`.

    Returns:
        The rows of `results.json`, the new one last.
    """
    recipe = run_recipe(where)
    trained_on = recipe.get("data", {})
    name = data or trained_on.get("name")
    if name is None:
        raise UsageError(f"{where} does not say what it was trained on: give --data")
    loaded = load(where, device)
    known = trained_on if name == trained_on.get("name") else {}
    columns = columns or known.get("columns") or None
    planned = recipe["evaluation"] if known else {}
    options = {**known.get("options", {}), **planned.get("options", {})}
    if limit is not None and "size" in options:  # a recipe's number of drawn pictures, of which there are more
        options["size"] = limit
    examples = _first(sources.load(name, split=split, columns=columns, **options), limit)
    task = recipe.get("task") or _task(loaded.row, examples, metrics)
    generation = dict(generation or {})
    said = {**options, **generation}
    views = generation.pop("views", None)
    if views and task != CLASSIFIES:
        raise UsageError(f"views are averaged by classifiers of pictures; the task of {where} is {task}")
    training = _data_of(trained_on)
    asked = Asked(metrics, generation, training=_seen(training), views=views)
    if task in (GENERATES, DRAWS_TEXTS):
        features = generation.pop("features", None)
        own = _data_of({**trained_on, "split": split}) if name != trained_on.get("name", name) else None
        asked = replace(
            asked,
            generation={**planned.get("generation", {}), **generation},
            network=_network(where, features, planned.get("features"), device),
            training_pictures=training,
            planned=planned.get("metrics", ()),
            own=None if own is None else _first(own, limit),
        )
        said |= {"features": Path(features).name} if features else {}
        said |= {"metrics": "+".join(metrics)} if metrics else {}
    outcome = score_model(task, loaded.model, loaded.processor, examples, asked)
    found = {
        "data": Path(name).name,
        "split": split,
        "examples": len(outcome.examples),
        "metrics": outcome.scores,
        "how": by_command("evaluate", said, recipe.get("name", "default")),
    }
    made_by = {**recipe, "preset": None} if loaded.row.stands_in else recipe
    return noted(where, loaded.row.name, made_by, found)


def noted(
    where: str | Path, architecture: str, recipe: Mapping[str, Any], found: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Add what was found to the `results.json` of a run; of a repository the row is given back alone.

    Args:
        where: Run directory or repository.
        architecture: Its name.
        recipe: What it was made by, if that is known.
        found: `data`, `split`, `examples`, `metrics` and `how`.

    Returns:
        The rows, the new one last.
    """
    row = {
        **found,
        "architecture": architecture,
        "preset": recipe.get("preset"),
        "seed": recipe.get("seed"),
        "steps": steps_of(Path(where)) or recipe.get("max_steps"),
        "hardware": hardware(),
    }
    return add_result(Path(where), row) if Path(where).is_dir() else [with_reported(row)]


def _task(row: Row, examples: Examples, metrics: Sequence[str]) -> str:
    """The first task of an architecture; where it also classifies by names, that for data that allow nothing else, or
    whose metric is asked for, and so retrieval.
    """
    if RETRIEVAL in row.tasks and "retrieval" in metrics:
        return RETRIEVAL
    only_classes = "label" in examples.features and "captions" not in examples.features
    return NAMING if NAMING in row.tasks and (only_classes or "classification" in metrics) else row.tasks[0]
