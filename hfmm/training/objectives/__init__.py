"""The objectives by the name a recipe gives them."""

from importlib import import_module

from hfmm.errors import unknown
from hfmm.training.objectives.base import Objective

OBJECTIVES = {
    "captioning": ("captioning", "Captioning"),
    "captioning_hard": ("captioning", "HardAttentionCaptioning"),
    "classification": ("classification", "Classification"),
    "contrastive": ("contrastive", "Contrastive"),
    "adversarial": ("adversarial", "Adversarial"),
    "diffusion": ("diffusion", "Diffusion"),
    "first_stage": ("diffusion", "FirstStage"),
    "generation": ("generation", "Generation"),
    "editing": ("editing", "Editing"),
    "coloring": ("editing", "Coloring"),
    "detection": ("detection", "Detection"),
    "counting": ("counting", "Counting"),
    "discriminative": ("counting", "Discriminative"),
    "label_vectors": ("label_vectors", "LabelVectors"),
    "answering": ("answering", "Answering"),
    "instruction": ("instruction", "Instruction"),
    "masked_multimodal": ("masked", "MaskedMultimodal"),
    "pair_matching": ("matching", "PairMatching"),
    "segmentation": ("segmentation", "Segmentation"),
    "word_pairs": ("words", "WordPairs"),
    "verification": ("verification", "Verification"),
    "pretext": ("pretext", "Pretext"),
    "pretext_adversarial": ("pretext", "AdversarialInpainting"),
}


def find(name: str) -> type[Objective]:
    """The class of an objective.

    Raises:
        UsageError: No such objective.
    """
    if name not in OBJECTIVES:
        raise unknown("objective", name, OBJECTIVES)
    module, kind = OBJECTIVES[name]
    found: type[Objective] = getattr(import_module(f"hfmm.training.objectives.{module}"), kind)
    return found
