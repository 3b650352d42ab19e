"""The linear probe: how much of the classes a linear layer reads off features that were learned without them."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import cross_entropy

from hfmm.data.examples import Examples
from hfmm.errors import DataError
from hfmm.evaluation.reading import answers

STEPS = 1000  # of L-BFGS, at most


class Probe(NamedTuple):
    """A fitted multinomial logistic regression over standardized features.

    Attributes:
        weight: (K, D).
        bias: (K,).
        mean: (D,), of the features it was fitted to.
        deviation: (D,), of these.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    deviation: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Scores of the classes. (N, D) -> (N, K)."""
        return (features.double() - self.mean) / self.deviation @ self.weight.T + self.bias


def fit_probe(features: Tensor, labels: Tensor, strength: float = 1.0) -> Probe:
    """Fit by L-BFGS: the sum of cross-entropies and half the squared norm of the weights over `strength`.

    It is the objective of scikit-learn's `LogisticRegression(C=strength)`; the bias is free.

    Args:
        features: (N, D).
        labels: (N,), classes from 0.
        strength: C; the smaller, the smaller the weights.
    """
    features = features.double()
    mean, deviation = features.mean(0), features.std(0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1)
    standard = (features - mean) / deviation
    count = int(labels.max()) + 1
    weight = torch.zeros(count, features.shape[1], dtype=torch.double, requires_grad=True)
    bias = torch.zeros(count, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=STEPS, tolerance_grad=1e-7, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimizer.zero_grad()
        fit = cross_entropy(standard @ weight.T + bias, labels, reduction="sum")
        loss = (fit + weight.square().sum() / (2 * strength)) / len(labels)
        loss.backward()
        return loss.item()

    with torch.enable_grad():
        optimizer.step(closure)
    return Probe(weight.detach(), bias.detach(), mean, deviation)


def linear_probe(
    train_features: Tensor, train_labels: Tensor, test_features: Tensor, test_labels: Tensor, strength: float = 1.0
) -> float:
    """Accuracy, on test features, of a logistic regression fitted to training features.

    Args:
        train_features: (N, D).
        train_labels: (N,), classes from 0.
        test_features: (M, D).
        test_labels: (M,).
        strength: See `fit_probe`.

    Returns:
        Share of the test labels that are found.
    """
    found = fit_probe(train_features, train_labels, strength).logits(test_features).argmax(-1)
    return (found == test_labels).double().mean().item()


def few_shot_probe(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    shots: Sequence[int] = (1, 2, 4, 8, 16),
    strength: float = 1.0,
    seeds: Sequence[int] = (0, 1, 2),
) -> dict[int, float]:
    """Accuracy of a probe that is fitted to few examples of each class (Radford et al. 2021, figure 6).

    Args:
        train: Features (N, D) and labels (N,), classes from 0.
        test: (M, D) and (M,).
        shots: Numbers of examples a class.
        strength: See `fit_probe`.
        seeds: Of the choice of examples; accuracies are means over them.

    Returns:
        By number of examples.

    Raises:
        DataError: A class has fewer examples than the most that are asked for.
    """
    features, labels = train
    rows = [(labels == label).nonzero()[:, 0] for label in range(int(labels.max()) + 1)]
    fewest = min(range(len(rows)), key=lambda label: len(rows[label]))
    if len(rows[fewest]) < max(shots):
        raise DataError(f"class {fewest} has {len(rows[fewest])} examples: too few for a probe on {max(shots)} of each")
    found = {}
    for count in shots:
        accuracies = []
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            chosen = torch.cat([own[torch.randperm(len(own), generator=generator)[:count]] for own in rows])
            accuracies.append(linear_probe(features[chosen], labels[chosen], *test, strength=strength))
        found[count] = fmean(accuracies)
    return found


def features(encoder: Any, processor: Any, examples: Examples, **settings: Any) -> tuple[Tensor, Tensor]:
    """What an encoder says of every picture that has a class.

    Args:
        encoder: With a `pooler_output`, on its device.
        processor: Its image processor.
        examples: With `image` and `label`.
        settings: Of the processor's call.

    Returns:
        (N, D) on the CPU, and (N,) classes.

    Raises:
        DataError: No picture has a class.
    """

    def encode(pictures: list[Image.Image]) -> list[Tensor]:
        inputs = processor(pictures, return_tensors="pt", **settings).to(encoder.device)
        return list(encoder(**inputs).pooler_output.float().cpu())

    found, read = answers(encoder, processor, examples, encode)
    known = [row for row, example in enumerate(read) if example.get("label") is not None]
    if not known:
        raise DataError("no picture has a class: a linear probe needs a `label` column")
    return torch.stack([found[row] for row in known]), torch.tensor([read[row]["label"] for row in known])
