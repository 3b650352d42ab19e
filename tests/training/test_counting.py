"""Learning by counting, and by telling pictures apart from a start in counts."""

import pytest
import torch

import hfmm
from hfmm.data.examples import ListExamples
from hfmm.errors import UsageError
from hfmm.training.objectives.counting import Counting, Discriminative, pairs
from hfmm.training.plan import plan
from tests.testing import seeded

SMALL = {"data.options.size": 12, "evaluation.size": 6, "data.workers": 0}


def parts(**fields):
    dataset = hfmm.load_data("scenes", size=12)
    with seeded():
        model = hfmm.create_model("pmi_retrieval", **fields)
    return model, dataset, hfmm.create_processor("pmi_retrieval")


def same(value):
    return value


def test_every_caption_of_a_picture_is_a_pair():
    _, dataset, processor = parts()
    batch = pairs(dataset.select([0, 1]), processor, torch.device("cpu"))
    assert batch["pixel_values"].shape[0] == batch["input_ids"].shape[0] == 10
    assert torch.equal(batch["pixel_values"][0], batch["pixel_values"][4])
    told = processor(text=[dataset[1]["captions"][0]])["input_ids"][0]
    assert torch.equal(batch["input_ids"][5, : len(told)], told)
    silent = ListExamples([{"image": dataset[0]["image"], "captions": []}], {"image": "image", "captions": "texts"})
    assert len(pairs([*silent, dataset[0]], processor, torch.device("cpu"))["input_ids"]) == 5


def test_shares_of_two_processes_add_up_to_one_pass():
    (whole, dataset, processor), (first, *_), (second, *_) = parts(), parts(), parts()
    for model in (whole, first, second):
        Counting({"model": model}).prepare(dataset, processor)
    logs = Counting({"model": whole}).fit(dataset, processor, same)
    halves = dataset.shard(2, 0), dataset.shard(2, 1)
    Counting({"model": first}).fit(halves[0], processor, same)
    others = iter([first.get_buffer(name) for name in ("pair_counts", "picture_counts", "word_counts", "num_pairs")])
    Counting({"model": second}).fit(halves[1], processor, lambda value: value + next(others))
    assert logs["pairs"] == 60
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_a_run_that_fits_is_whole_and_is_not_done_again(tmp_path):
    run = hfmm.train("pmi_retrieval", output_dir=tmp_path / "run", overrides=SMALL, quiet=True)
    assert 0 <= run.metrics["text_to_image_r1"] <= 1
    loaded = run.load()
    assert loaded.model.num_pairs == 24  # the recipe takes two captions of each
    assert loaded.model.theta.weight.any()
    assert not (tmp_path / "run" / "loss.png").exists()
    again = hfmm.train("pmi_retrieval", output_dir=tmp_path / "run", overrides=SMALL, quiet=True)
    assert again.metrics == run.metrics


def test_a_dry_run_of_a_pass_has_no_steps():
    facts = plan("pmi_retrieval", overrides=SMALL)
    assert facts["examples"] == 12
    assert "seconds a step" not in facts


def test_learning_starts_from_zero_from_counts_or_from_words():
    model, dataset, processor = parts()
    Discriminative({"model": model}, settings={"start": "zero"}).prepare(dataset, processor)
    assert not model.theta.weight.any()
    Discriminative({"model": model}, settings={"examples": 5}).prepare(dataset, processor)
    assert model.num_pairs == 25
    assert model.theta.weight.any()
    model, *_ = parts(text_features="word_vectors", word_size=8)
    Discriminative({"model": model}, settings={"start": "zero", "words": {"window": 2}}).prepare(dataset, processor)
    assert model.word_vectors.any()


@pytest.mark.parametrize("kind", [Counting, Discriminative])
def test_what_does_not_count_is_refused(kind):
    _, dataset, processor = parts()
    with pytest.raises(UsageError, match="Linear has nothing to count"):
        kind({"model": torch.nn.Linear(1, 1)}).prepare(dataset, processor)
