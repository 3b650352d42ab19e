"""Metrics as `evaluate.Metric`s that need no network, no Java and no files: `load(name).compute(predictions=...)`."""

from importlib import import_module
from typing import TYPE_CHECKING

from hfmm.errors import unknown

if TYPE_CHECKING:
    import evaluate

METRICS = {  # name -> module here and class
    "bleu": ("bleu", "Bleu"),
    "rouge_l": ("rouge_l", "RougeL"),
    "cider": ("cider", "Cider"),
    "cider_d": ("cider", "CiderD"),
    "novelty": ("novelty", "Novelty"),
    "sacrebleu": ("sacre", "Sacrebleu"),
    "meteor": ("meteor", "Meteor"),
    "exact_objects": ("exact_scene", "ExactObjects"),
    "exact_scene": ("exact_scene", "ExactScene"),
    "caption": ("caption", "Caption"),
    "detection": ("detection", "Detection"),
    "segmentation": ("segmentation", "Segmentation"),
    "likelihood": ("likelihood", "Likelihood"),
    "frechet_distance": ("frechet", "FrechetDistance"),
    "inception_score": ("recognition", "InceptionScore"),
    "recognized_samples": ("recognition", "RecognizedSamples"),
    "memorization": ("memorization", "Memorization"),
    "generation": ("generation", "Generation"),
    "classification": ("classification", "Classification"),
    "verification": ("verification", "Verification"),
    "reconstruction": ("reconstruction", "Reconstruction"),
    "hierarchical_precision": ("hierarchical_precision", "HierarchicalPrecision"),
    "zero_shot": ("zero_shot", "ZeroShot"),
    "retrieval": ("retrieval", "Retrieval"),
    "vqa": ("vqa", "Vqa"),
    "scienceqa_accuracy": ("scienceqa_accuracy", "ScienceqaAccuracy"),
    "relative_score": ("relative_score", "RelativeScore"),
}
LOWER_IS_BETTER = frozenset(
    {"nats", "bits_per_dim", "perplexity", "bits_per_character", "eer", "frechet", "copied", "failed"}
    | {f"{way}_{kind}_rank" for way in ("text_to_image", "image_to_text") for kind in ("median", "mean")}
)  # of the keys of all metrics, and `frechet_` with a network's name


def lower_is_better(key: str) -> bool:
    """Whether less of a score is better."""
    return key in LOWER_IS_BETTER or key.startswith("frechet_")


def load(name: str) -> "evaluate.Metric":
    """A new metric by its name.

    Args:
        name: One of `METRICS`.

    Raises:
        UsageError: There is no metric of that name, or it needs a package that is not installed.
    """
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    module, class_name = METRICS[name]
    metric: evaluate.Metric = getattr(import_module(f"hfmm.metrics.{module}"), class_name)()
    return metric
