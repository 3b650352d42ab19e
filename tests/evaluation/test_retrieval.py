"""Scoring retrieval: equal to the metric on the whole matrix, for models that embed and for those that take pairs."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier, local

import numpy as np
import pytest
import torch
from PIL import Image

import hfmm
from hfmm import evaluation, metrics
from hfmm.data.examples import ListExamples
from hfmm.errors import DataError, UsageError
from hfmm.evaluation import retrieval
from hfmm.evaluation.base import Asked
from hfmm.evaluation.retrieval import match
from tests.retrieval import models

TASK = "image-text-retrieval"
COUNT = 30


@pytest.fixture(scope="module")
def scenes():
    return hfmm.load_data("scenes", split="test").select(range(COUNT))


def by_the_metric(scores, examples):
    """The metric on the scores of every picture with every caption."""
    counts = np.cumsum([0, *(len(example["captions"]) for example in examples)])
    captions = [list(range(first, last)) for first, last in pairwise(counts)]
    return metrics.load("retrieval").compute(predictions=scores, references=captions)


@pytest.mark.parametrize("make", [models.clip, models.order, models.pairs])
@pytest.mark.parametrize("block", [2**24, 400])
def test_it_is_the_metric_on_all_pairs(make, block, scenes, monkeypatch):
    monkeypatch.setattr(retrieval, "BLOCK", block)
    model, processor = make()
    outcome = evaluation.score_model(TASK, model, processor, scenes, Asked())
    read = list(scenes)
    captions = [caption for example in read for caption in example["captions"]]
    scores = match(model, processor, [example["image"] for example in read], captions)
    assert outcome.scores == pytest.approx(by_the_metric(scores, read), rel=0.02)  # near ties may round apart
    assert [example["id"] for example in outcome.examples] == [example["id"] for example in read]
    best = scores.argmax(1)
    assert outcome.predictions[:3] == [f"{captions[best[row]]}, {scores[row, best[row]]:.2f}" for row in range(3)]


def in_processes(count, work, monkeypatch):
    """What `work(index)` gives in each of several processes, which are threads here, and gather as accelerate does."""
    barrier, sent, own = Barrier(count), {}, local()

    def gather(found):
        sent[own.index] = found
        barrier.wait()
        everything = [item for index in range(count) for item in sent[index]]
        barrier.wait()
        return everything

    def run(index):
        own.index = index
        return work(index)

    monkeypatch.setattr("hfmm.evaluation.reading.gather_object", gather)
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.parametrize("make", [models.clip, models.pairs])
@pytest.mark.parametrize("count", [2, 3])
def test_processes_share_the_work_and_agree(make, count, scenes, monkeypatch):
    models_of = [make() for _ in range(count)]
    alone = evaluation.score_model(TASK, *make(), scenes, Asked())
    found = in_processes(
        count,
        lambda index: evaluation.score_model(TASK, *models_of[index], scenes, Asked(processes=(count, index))),
        monkeypatch,
    )
    for outcome in found:
        assert outcome.scores == pytest.approx(alone.scores, rel=0.02)  # near ties may round apart
        assert outcome.predictions == alone.predictions
        assert [example["id"] for example in outcome.examples] == [example["id"] for example in scenes]


def test_a_model_that_knows_is_perfect():
    """The color of a picture and the word for it have the same embedding."""
    colors = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
    rows = [
        {"image": Image.new("RGB", (32, 32), rgb), "captions": [f"a {name} picture", name]}
        for name, rgb in colors.items()
    ]
    model, processor = models.clip()
    names = [processor.tokenizer.convert_tokens_to_ids(name) for name in colors]

    def pictures(pixel_values):
        return type("Out", (), {"pooler_output": pixel_values.mean((2, 3))})

    def texts(input_ids, attention_mask):
        return type(
            "Out", (), {"pooler_output": torch.stack([(input_ids == name).any(1) for name in names], 1).float()}
        )

    model.get_image_features, model.get_text_features = pictures, texts
    examples = ListExamples(rows, {"image": "image", "captions": "texts"})
    outcome = evaluation.score_model(TASK, model, processor, examples, Asked())
    assert outcome.scores["text_to_image_r1"] == outcome.scores["image_to_text_r1"] == 1
    assert outcome.scores["text_to_image_mean_rank"] == outcome.scores["image_to_text_median_rank"] == 1


def test_the_model_goes_on_training(scenes):
    model, processor = models.clip()
    model.train()
    evaluation.score_model(TASK, model, processor, scenes.select(range(3)), Asked())
    assert model.training


def test_what_cannot_be_scored_is_refused(scenes, monkeypatch):
    model, processor = models.clip()
    with pytest.raises(UsageError, match="unknown metric of a retrieval model 'cider'"):
        evaluation.score_model(TASK, model, processor, scenes, Asked(["cider"]))
    silent = ListExamples([{"image": scenes[0]["image"]}], {"image": "image"})
    with pytest.raises(DataError, match="has no column 'captions', which image-text-retrieval needs"):
        evaluation.score_model(TASK, model, processor, silent, Asked())
    monkeypatch.setattr(retrieval, "MOST_PAIRS", 100)
    with pytest.raises(UsageError, match="make too many pairs for a model that looks at each"):
        evaluation.score_model(TASK, *models.pairs(), scenes, Asked())
    with pytest.raises(UsageError, match="embeds pictures, and no texts"):
        evaluation.score_model(TASK, hfmm.create_model("lenet5"), hfmm.create_processor("lenet5"), scenes, Asked())
