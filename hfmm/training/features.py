"""The classifier that looks at a generator's samples: a trained one that the recipe names, or one trained beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from hfmm import catalogue, data
from hfmm.catalogue import SMALL_CLASSIFIER
from hfmm.errors import UsageError
from hfmm.evaluation import FEATURES, GENERATES
from hfmm.evaluation.generation import Likely
from hfmm.evaluation.samples import BY_NETWORK
from hfmm.factory import module_class, ready_row
from hfmm.loading import Loaded, load
from hfmm.results import of_training, read_results
from hfmm.training.build import task_of
from hfmm.training.flags import usual_recipe
from hfmm.training.recipe import Recipe


def is_needed(settings: Recipe) -> bool:
    """Whether the scores of a run are those of samples that a classifier looks at."""
    row = ready_row(settings.architecture)
    if task_of(settings, row) != GENERATES:
        return False
    names = settings.evaluation.metrics
    return bool(set(names) & set(BY_NETWORK)) if names else not issubclass(module_class(row), Likely)


def is_trained_beside(settings: Recipe) -> bool:
    """Whether the run has to train it: the recipe names an architecture, or nothing."""
    return is_needed(settings) and catalogue.find(settings.evaluation.features or SMALL_CLASSIFIER) is not None


def train_beside(settings: Recipe, run: Path, train: Callable[..., Any], accelerator: Accelerator) -> None:
    """Train the classifier on the run's data by its own recipe, in the folder `features` of the run, or finish that.

    Args:
        settings: Of the generator.
        run: Its directory.
        train: `hfmm.train`, with what both runs share.
        accelerator: Of the run.

    Raises:
        UsageError: The data have no classes, several processes train together, or the classifier is not good enough.
    """
    name, section = settings.evaluation.features or SMALL_CLASSIFIER, settings.data
    instead = "name a trained one with evaluation.features=RUN"
    examples = data.load(section.name, split=section.split, columns=section.columns or None, **section.options)
    if "label" not in examples.features:
        raise UsageError(f"samples are looked at by a classifier, but {section.name} has no labels to learn: {instead}")
    if accelerator.num_processes > 1:
        raise UsageError(f"the classifier that looks at samples is trained by one process: {instead}")
    same = {"data.options": section.options, "data.columns": section.columns, "data.workers": section.workers}
    train(name, run / FEATURES, usual_recipe(name, section.name), data=section.name, overrides=same)
    least = settings.evaluation.features_top_1
    found = next(row["metrics"]["top_1"] for row in read_results(run / FEATURES) if of_training(row))
    if found < least:
        raise UsageError(f"the classifier in {run / FEATURES} reaches top_1 {found:.4f}, not {least}: {instead}")


def network_of(settings: Recipe, run: Path, device: str) -> Loaded | None:
    """The classifier, once it is trained; None where samples are not scored."""
    if not is_needed(settings):
        return None
    named = None if is_trained_beside(settings) else settings.evaluation.features
    return load(named or run / FEATURES, device)
