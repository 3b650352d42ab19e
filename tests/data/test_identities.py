"""Batches of several pictures a person: pure functions of seed and step, through the loop's own sampler."""

from random import Random

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import hfmm
from hfmm import factory
from hfmm.data.augmentation import Augmentation
from hfmm.data.collate import AugmentedCollator, IdentityCollator
from hfmm.data.examples import ListExamples
from hfmm.data.identities import Identities
from hfmm.data.keyed import KeyedExamples, StepSampler
from hfmm.data.tasks import collator_of

LABELS = [0, 1, 2, 1, 0, None, 1, 0, 4, 1]


def rows():
    examples = [
        {"image": Image.new("RGB", (8, 8), (9 * row, 0, 0)), "label": label} for row, label in enumerate(LABELS)
    ]
    return ListExamples(examples, {"image": "image", "label": "label"}, label_names=tuple("abcde"))


def test_every_labeled_example_is_of_one_person():
    people = Identities(rows(), count=3)
    assert [person["label"] for person in people] == [0, 1, 2, 4]
    members = [[member["id"] for member in person["members"]] for person in people]
    assert members == [[f"list-train-{row}" for row in range(10) if LABELS[row] == label] for label in (0, 1, 2, 4)]
    assert people.label_names == tuple("abcde")
    assert people.where(3) == "list train label 4"


def test_a_batch_holds_some_pictures_of_each_person():
    collator = collator_of("face-verification", factory.create_processor("facenet"))
    assert isinstance(collator, IdentityCollator)
    people = Identities(rows(), count=3)
    batch = collator([collator.draw(people[row], Random(row)) for row in (1, 2)])
    assert batch["labels"].tolist() == [1, 1, 1, 2]  # person 2 has one picture
    assert batch["pixel_values"].shape == (4, 3, 64, 64)
    assert len(set(batch["example_ids"])) == 4


def test_each_visit_draws_others_and_varies_them():
    collator = IdentityCollator(factory.create_processor("facenet"))
    person = Identities(rows(), count=2)[1]
    visits = [collator.draw(person, Random(seed)) for seed in (0, 1, 0)]
    ids = [[picture["id"] for picture in visit["pictures"]] for visit in visits]
    assert ids[0] == ids[2]
    assert visits[0]["pictures"][0]["seed"] == visits[2]["pictures"][0]["seed"]
    assert len({tuple(collator.draw(person, Random(seed))["pictures"][0]["id"]) for seed in range(20)}) > 1


def test_the_pictures_that_are_drawn_can_be_augmented():
    collator = AugmentedCollator(IdentityCollator(factory.create_processor("facenet")), Augmentation(erase=0.5))
    person = Identities(rows(), count=2)[1]
    plain, changed = (maker.draw(person, Random(0)) for maker in (collator.collator, collator))
    assert [picture["id"] for picture in changed["pictures"]] == [picture["id"] for picture in plain["pictures"]]
    bright = ListExamples([{"image": Image.effect_noise((8, 8), 90), "label": 0}], {"image": "image", "label": "label"})
    found = collator.draw(Identities(bright, count=1)[0], Random(0))["pictures"][0]["image"]
    assert found.tobytes() != bright[0]["image"].convert("RGB").tobytes()


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_after_a_stop_with_workers_and_over_processes(workers):
    digits = hfmm.load_data("digits").select(range(60))
    people = Identities(digits, count=2)
    collator = IdentityCollator(factory.create_processor("facenet", image_size=16))

    def batches(workers=0, **sampling):
        keyed = KeyedExamples(people, collator.draw, seed=3)
        sampler = StepSampler(len(people), seed=3, **sampling)
        return list(DataLoader(keyed, batch_sampler=sampler, collate_fn=collator, num_workers=workers))

    whole = batches(batch_size=4, num_steps=4)
    continued = batches(workers, batch_size=4, start_step=2, num_steps=2)
    for found, expected in zip(continued, whole[2:], strict=True):
        assert found["example_ids"] == expected["example_ids"]
        assert torch.equal(found["pixel_values"], expected["pixel_values"])
    halves = [batches(batch_size=2, num_steps=4, num_processes=2, process_index=index) for index in (0, 1)]
    for first, second, expected in zip(*halves, whole, strict=True):
        assert first["example_ids"] + second["example_ids"] == expected["example_ids"]
