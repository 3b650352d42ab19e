"""The likelihood metric by hand."""

import math

import pytest

from hfmm import metrics
from hfmm.errors import DataError, UsageError


def test_nats_and_what_the_sizes_add():
    found = metrics.load("likelihood").compute(predictions=[-2.0, -4.0], dimensions=3, tokens=[1, 2], characters=[2, 2])
    assert found == pytest.approx(
        {"nats": 3.0, "bits_per_dim": 1 / math.log(2), "perplexity": math.e**2, "bits_per_character": 1.5 / math.log(2)}
    )


def test_nats_alone_in_batches():
    metric = metrics.load("likelihood")
    metric.add_batch(predictions=[-1.0])
    metric.add(prediction=-3)
    assert metric.compute() == {"nats": 2.0}


def test_mistakes_are_named():
    with pytest.raises(DataError, match="prediction 1 is a str"):
        metrics.load("likelihood").compute(predictions=[-1.0, "x"])
    with pytest.raises(UsageError, match="dimensions: give one positive number"):
        metrics.load("likelihood").compute(predictions=[-1.0, -2.0], dimensions=[1])
    with pytest.raises(UsageError, match="did you mean 'dimensions'"):
        metrics.load("likelihood").compute(predictions=[-1.0], dimension=3)
