"""The captioning objectives: sums over words, and hard attention's baseline."""

import pytest
import torch

import hfmm
from hfmm.errors import UsageError
from hfmm.nn.captioning import IGNORED
from hfmm.training import objectives
from hfmm.training.objectives.base import StepContext
from hfmm.training.objectives.captioning import Captioning, HardAttentionCaptioning
from hfmm.training.objectives.classification import Classification
from hfmm.training.objectives.generation import Generation


def context(step=0):
    return StepContext(step, torch.Generator().manual_seed(step), lambda tensor: tensor, lambda module: module)


def batch(size=4):
    examples = hfmm.load_data("scenes", size=size)
    processor = hfmm.create_processor("show_attend_tell")
    inputs = processor(
        images=[example["image"] for example in examples], text_target=[example["captions"][0] for example in examples]
    )
    return {**inputs, "example_ids": [example["id"] for example in examples]}


def test_the_turn_is_a_sum_over_words():
    model, inputs = hfmm.create_model("show_attend_tell"), batch()
    (turn,) = Captioning({"model": model}).turns(inputs, context())
    assert turn.count == (inputs["labels"] != IGNORED).sum()
    mean = model(pixel_values=inputs["pixel_values"], labels=inputs["labels"]).loss
    torch.testing.assert_close(turn.loss / turn.count, mean)
    torch.testing.assert_close(sum(turn.log.values()), turn.loss.detach())


def test_a_generators_turn_is_a_sum_over_pictures():
    model = hfmm.create_model("vae").eval()
    pixel_values = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)).round()
    (turn,) = Generation({"model": model}).turns({"pixel_values": pixel_values}, context())
    assert turn.count == 4
    torch.testing.assert_close(turn.loss / turn.count, model(pixel_values).loss)
    torch.testing.assert_close(sum(turn.log.values()), turn.loss.detach())


def test_smoothed_labels_give_every_class_its_share():
    model = hfmm.create_model("resnet").eval()
    inputs = {"pixel_values": torch.randn(4, 3, 64, 64), "labels": torch.tensor([0, 1, 0, 1])}
    (turn,) = Classification({"model": model}, settings={"label_smoothing": 0.1}).turns(inputs, context())
    logits = model(pixel_values=inputs["pixel_values"]).logits
    smoothed = torch.nn.functional.cross_entropy(logits, inputs["labels"], label_smoothing=0.1, reduction="sum")
    torch.testing.assert_close(turn.loss, smoothed)


@pytest.mark.parametrize("name", objectives.OBJECTIVES)
def test_every_objective_refuses_settings_that_it_does_not_have(name):
    kind = objectives.find(name)
    with pytest.raises(UsageError, match="unknown key of the objective 'taste'"):
        kind({}, settings={"taste": 1})
    assert kind({}).settings == kind.defaults
    for key in kind.defaults:
        with pytest.raises(UsageError, match=f"did you mean '{key}'"):
            kind({}, settings={f"{key}z": 1})


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("classification", {"label_smoothing": 1}, "label_smoothing is 1: a share, less than 1"),
        ("classification", {"label_smoothing": "much"}, "label_smoothing is much"),
        ("contrastive", {"cache": -1}, "cache is -1: pairs at a time"),
        ("word_pairs", {"cache": "many"}, "cache is many"),
        ("discriminative", {"cache": 0.5}, "cache is 0.5"),
        ("discriminative", {"start": "luck"}, "unknown start of objective discriminative 'luck'"),
        ("pair_matching", {"near": -1}, "near is -1: a number of texts"),
        ("pair_matching", {"others": "many"}, "others is many"),
        ("adversarial", {"loss": "wasserstein"}, "unknown objective.loss 'wasserstein'"),
        ("adversarial", {"discriminator_steps": 0}, "at least 1 is needed"),
        ("adversarial", {"discriminator_steps": "two"}, "discriminator_steps is two: at least 1 is needed"),
        ("adversarial", {"gradient_penalty": -1}, "gradient_penalty is -1: it is 0 or more"),
        ("adversarial", {"gradient_penalty": "some"}, "gradient_penalty is some: it is 0 or more"),
    ],
)
def test_values_that_are_none_are_refused(name, settings, message):
    with pytest.raises(UsageError, match=message):
        objectives.find(name)({}, settings=settings)


def test_baseline_follows_the_mean_log_likelihood_of_a_caption():
    """b_k = 0.9 b_{k-1} + 0.1 log p(y | s_k, a), section 4.1."""
    objective = HardAttentionCaptioning({"model": hfmm.create_model("show_attend_tell", preset="hard")})
    expected = None
    for step in range(3):
        (turn,) = objective.turns(batch(), context(step))
        logs = {name: float(value / turn.count) for name, value in turn.log.items()}
        objective.after_step(logs)
        seen = float(turn.log["log_likelihood"]) / 4
        expected = seen if expected is None else 0.9 * expected + 0.1 * seen
        assert objective.baseline == pytest.approx(expected, rel=1e-5)
    other = HardAttentionCaptioning({"model": torch.nn.Identity()})
    other.load_state_dict(objective.state_dict())
    assert other.baseline == objective.baseline


def test_whether_a_step_samples_is_the_same_for_every_micro_batch(monkeypatch):
    model = hfmm.create_model("show_attend_tell", preset="hard")
    asked = []
    forward = model.forward
    monkeypatch.setattr(
        model, "forward", lambda **inputs: asked.append(inputs["sample_attention"]) or forward(**inputs)
    )
    inputs = batch(2)
    for step in range(12):
        objective = HardAttentionCaptioning({"model": model})
        for _ in range(2):
            torch.rand(3)  # what this process drew meanwhile
            list(objective.turns(inputs, context(step)))
    assert asked[::2] == asked[1::2]
    assert {True, False} <= set(asked)


def test_unknown_objective_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'captioning'"):
        objectives.find("captionin")
