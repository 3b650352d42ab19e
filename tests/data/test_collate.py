"""Batches of captions: which captions, in which rows, through a real processor's calling convention."""

from random import Random
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from hfmm.data.augmentation import Augmentation
from hfmm.data.collate import CaptionCollator, PictureCollator
from hfmm.data.examples import ListExamples
from hfmm.data.keyed import KeyedExamples, StepSampler
from hfmm.data.tasks import collator_of
from hfmm.errors import DataError, UsageError

EXAMPLE = {"id": "x", "image": Image.new("RGB", (4, 4), (10, 0, 0)), "captions": ["one", "one two", "one two three"]}


class LetterProcessor:
    """Pictures to tensors as they are, captions to the numbers of their letters, padded with -100."""

    def __call__(self, images: list[Image.Image], text_target: list[str], return_tensors: str) -> dict[str, Any]:
        assert return_tensors == "pt"
        pixels = [
            torch.tensor(list(image.tobytes())).view(4, 4, 3).permute(2, 0, 1).float() for image in images
        ]  # 3 4 4
        labels = [torch.tensor([ord(letter) for letter in text]) for text in text_target]
        padded = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-100)  # B T
        return {"pixel_values": torch.stack(pixels), "labels": padded, "decoder_input_ids": None}


def chosen(captions: str, seed: int = 0) -> list[str]:
    return CaptionCollator(LetterProcessor(), captions).draw(EXAMPLE, Random(seed))["captions"]


def test_which_captions():
    assert chosen("first") == ["one"]
    assert chosen("all") == EXAMPLE["captions"]
    assert {tuple(chosen("random", seed)) for seed in range(30)} == {("one",), ("one two",), ("one two three",)}
    assert chosen("random", 5) == chosen("random", 5)


def test_drawing_leaves_the_example_alone():
    before = dict(EXAMPLE)
    chosen("first")
    assert before == EXAMPLE


def test_a_batch():
    collator = CaptionCollator(LetterProcessor())
    batch = collator([collator.draw(EXAMPLE | {"id": name}, Random(0)) for name in "ab"])
    assert set(batch) == {"pixel_values", "labels", "example_ids"}
    assert batch["pixel_values"].shape == (2, 3, 4, 4)
    assert batch["labels"].tolist() == [[ord(letter) for letter in "one"]] * 2
    assert batch["example_ids"] == ["a", "b"]


def test_all_captions_stand_beside_their_picture():
    collator = CaptionCollator(LetterProcessor(), "all")
    other = {"id": "y", "image": Image.new("RGB", (4, 4), (99, 0, 0)), "captions": ["two"]}
    batch = collator([collator.draw(example, Random(0)) for example in (EXAMPLE, other)])
    assert batch["pixel_values"][:, 0, 0, 0].tolist() == [10, 10, 10, 99]
    assert batch["example_ids"] == ["x", "x", "x", "y"]
    assert (batch["labels"] != -100).sum(1).tolist() == [3, 7, 13, 3]


@pytest.mark.parametrize("lack", [{"captions": []}, {"captions": None}, {"image": None}])
def test_an_example_without_what_is_needed(lack):
    with pytest.raises(DataError, match=f"example x has no {next(iter(lack))}"):
        CaptionCollator(LetterProcessor()).draw(EXAMPLE | lack, Random(0))


def test_choices_and_tasks_that_there_are_not():
    with pytest.raises(UsageError, match="unknown choice of captions 'frist': did you mean 'first'"):
        CaptionCollator(LetterProcessor(), "frist")
    assert isinstance(collator_of("image-captioning", LetterProcessor()), CaptionCollator)
    with pytest.raises(UsageError, match="unknown task"):
        collator_of("image-captoning", None)


def test_pairs_of_a_picture_and_one_caption():
    asked = {}

    def processor(images: list[Image.Image], text: list[str], **settings: Any) -> dict[str, Any]:
        asked.update(settings, pictures=images, text=text)
        return {"pixel_values": torch.zeros(2, 3, 4, 4), "input_ids": torch.zeros(2, 5), "attention_mask": None}

    collator = collator_of("image-text-retrieval", processor, "random")
    visits = [collator.draw(EXAMPLE, Random(seed)) for seed in (0, 5)]
    batch = collator(visits)
    assert asked["text"] == [*chosen("random", 0), *chosen("random", 5)]
    assert (asked["padding"], asked["truncation"], asked["return_tensors"]) == (True, True, "pt")
    assert set(batch) == {"pixel_values", "input_ids", "attention_mask", "example_ids"}
    with pytest.raises(UsageError, match="captions of one picture are no pairs to tell apart"):
        collator_of("image-text-retrieval", processor, "all")
    changed = collator_of("image-text-retrieval", processor, augmentation=Augmentation(light=0.5))
    (picture,) = changed([changed.draw(EXAMPLE, Random(1))]) and asked["pictures"]
    assert picture.tobytes() != EXAMPLE["image"].tobytes()


def test_pictures_alone_are_drawn_anew_at_each_visit():
    asked = []

    def processor(images: list[Image.Image], seeds: list[int], return_tensors: str) -> dict[str, Any]:
        asked.extend(seeds)
        return {"pixel_values": torch.zeros(len(images), 1, 4, 4)}

    collator = PictureCollator(processor)
    visits = [collator.draw(EXAMPLE, Random(seed)) for seed in (0, 1, 0)]
    batch = collator(visits)
    assert (batch["pixel_values"].shape, batch["example_ids"]) == ((3, 1, 4, 4), ["x"] * 3)
    assert asked[0] == asked[2] != asked[1]
    with pytest.raises(DataError, match="example x has no image"):
        collator.draw(EXAMPLE | {"image": None}, Random(0))
    assert isinstance(collator_of("unconditional-image-generation", processor), PictureCollator)


@pytest.mark.parametrize("workers", [0, 2])
def test_through_sampler_and_loader(workers):
    rows = [{"image": EXAMPLE["image"], "captions": [letter, letter * 2]} for letter in "abcde"]
    examples = ListExamples(rows, {"image": "image", "captions": "texts"})
    collator = CaptionCollator(LetterProcessor(), "random")

    def batches(workers: int) -> list[dict[str, Any]]:
        keyed = KeyedExamples(examples, collator.draw, seed=0)
        sampler = StepSampler(len(keyed), 2, seed=0, num_steps=6)
        return list(DataLoader(keyed, batch_sampler=sampler, collate_fn=collator, num_workers=workers))

    for got, expected in zip(batches(workers), batches(0), strict=True):
        assert got["example_ids"] == expected["example_ids"]
        assert torch.equal(got["labels"], expected["labels"])
