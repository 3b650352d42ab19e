"""Out-of-distribution scores: by hand, against scikit-learn, and where likelihood alone is known to fail."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

import hfmm
from hfmm import evaluation
from hfmm.errors import DataError, UsageError
from hfmm.evaluation.base import Asked
from hfmm.robustness.out_of_distribution import atypicality, auroc, out_of_distribution, surprise

TASK = "unconditional-image-generation"


def test_auroc_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    own, others = random.integers(0, 9, 50).astype(float), random.integers(3, 12, 70).astype(float)  # with ties
    expected = roc_auc_score([0] * 50 + [1] * 70, [*own, *others])
    assert auroc(own, others) == pytest.approx(expected)


def test_scores_by_hand():
    assert surprise([-3.0, -1.0]).tolist() == [3, 1]
    assert atypicality([-3.0, -1.0], 2.5).tolist() == [0.5, 1.5]
    # the entropy of the first and third is 10; of the others of its kind 0 and 1 away
    found = out_of_distribution([-9.0, -10.0, -11.0, -11.0], [-2.0, -20.0])
    assert found == {"surprise_auroc": 0.5, "atypicality_auroc": 1}


def test_what_lies_in_the_middle_is_too_likely_and_atypical():
    """In many dimensions a Gaussian has its greatest density where it has no samples."""
    density = torch.distributions.Normal(0.0, 1.0)
    pictures = torch.randn(400, 200, generator=torch.Generator().manual_seed(0))
    own, middle = (density.log_prob(values).sum(1).tolist() for values in (pictures, 0.1 * pictures))
    found = out_of_distribution(own, middle)
    assert found == {"surprise_auroc": 0, "atypicality_auroc": 1}


def test_too_few_are_refused():
    with pytest.raises(DataError, match="two pictures of the model's own kind"):
        out_of_distribution([-1.0], [-2.0])
    with pytest.raises(DataError, match="one at least of each"):
        auroc(np.zeros(3), np.zeros(0))


class Bright(nn.Module):
    """Finds bright pictures likely."""

    device = torch.device("cpu")

    def log_likelihood(self, pixel_values, generator=None):
        return pixel_values.sum((1, 2, 3))

    def generate_images(self, count, generator):
        return torch.rand(count, 1, 8, 8, generator=generator)


def test_a_generator_is_scored_by_its_own_kind_and_others():
    processor = hfmm.create_processor("vae")
    own = hfmm.load_data("digits", split="test").select(range(30))
    others = hfmm.load_data("digits", split="train").select(range(20))
    asked = Asked(["out_of_distribution"], own=own)
    found = evaluation.score_model(TASK, Bright(), processor, others, asked).scores

    def log_likelihoods(examples):
        pictures = [example["image"] for example in examples]
        values = processor(pictures, seeds=range(len(pictures)), return_tensors="pt")["pixel_values"]
        return values.sum((1, 2, 3)).tolist()

    assert found == out_of_distribution(log_likelihoods(own), log_likelihoods(others))
    with pytest.raises(UsageError, match="give --data that it was not trained on"):
        evaluation.score_model(TASK, Bright(), processor, others, Asked(["out_of_distribution"]))
