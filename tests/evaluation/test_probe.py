"""The linear probe against scikit-learn's logistic regression."""

import numpy as np
import pytest
import torch

import hfmm
from hfmm.data.examples import ListExamples
from hfmm.errors import DataError
from hfmm.evaluation.probe import features, few_shot_probe, fit_probe, linear_probe


def blobs(count=120, size=6, classes=4, seed=0):
    """Features around a center a class, of different scales, one of them constant."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    centers = torch.randn(classes, size, generator=torch.Generator().manual_seed(9))
    found = centers[labels] + torch.randn(count, size, generator=generator)
    return torch.cat([found * torch.logspace(-2, 2, size), torch.ones(count, 1)], 1), labels


@pytest.mark.parametrize("strength", [0.1, 1.0, 30.0])
def test_the_probe_is_scikit_learn_s_logistic_regression(strength):
    linear_model = pytest.importorskip("sklearn.linear_model")
    train, labels = blobs()
    test, truth = blobs(seed=1)
    probe = fit_probe(train, labels, strength)
    mean, deviation = train.double().mean(0), train.double().std(0, correction=0)
    deviation[-1] = 1
    standard, other = (((part.double() - mean) / deviation).numpy() for part in (train, test))
    peer = linear_model.LogisticRegression(C=strength, tol=1e-9, max_iter=5000).fit(standard, labels.numpy())
    np.testing.assert_allclose(probe.logits(test).softmax(-1), peer.predict_proba(other), atol=1e-5)
    found = linear_probe(train, labels, test, truth, strength)
    assert found == peer.score(other, truth.numpy())
    assert found > 0.5


def test_features_are_of_pictures_that_have_a_class():
    model, processor = hfmm.create_model("pretext", auto="AutoModel").eval(), hfmm.create_processor("pretext")
    digits = hfmm.load_data("digits", split="test").select(range(4))
    examples = [{**digits[row], "label": None if row == 2 else row} for row in range(4)]
    found, labels = features(model, processor, ListExamples(examples, digits.features), do_pretext=False)
    assert labels.tolist() == [0, 1, 3]
    inputs = processor([digits[row]["image"] for row in (0, 1, 3)], do_pretext=False, return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(found, model(**inputs).pooler_output, rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match="no picture has a class"):
        features(model, processor, ListExamples(examples[2:3], digits.features), do_pretext=False)


def test_a_probe_finds_classes_that_a_plane_separates():
    features, labels = torch.eye(4).repeat(20, 1), torch.arange(4).repeat(20)
    assert linear_probe(features, labels, torch.eye(4), torch.arange(4)) == 1


def test_more_examples_of_each_class_make_a_better_probe():
    found = few_shot_probe(blobs(400), blobs(seed=1), shots=(1, 4, 32))
    assert list(found) == [1, 4, 32]
    assert found[1] < found[4] < found[32]
    assert found == few_shot_probe(blobs(400), blobs(seed=1), shots=(1, 4, 32))


def test_a_probe_of_all_examples_is_the_linear_probe():
    features, labels = torch.randn(12, 5), torch.arange(3).repeat(4)
    test = torch.randn(9, 5), torch.arange(3).repeat(3)
    assert few_shot_probe((features, labels), test, shots=(4,))[4] == linear_probe(features, labels, *test)


def test_a_class_of_too_few_examples_is_told():
    with pytest.raises(DataError, match="class 1 has 2 examples: too few for a probe on 16 of each"):
        few_shot_probe((torch.randn(7, 2), torch.tensor([0, 0, 0, 0, 0, 1, 1])), blobs())
