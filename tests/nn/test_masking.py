"""What masked modeling hides: shares by counting, and what lies beside a hidden region."""

import pytest
import torch

from hfmm.nn.masking import mask_regions, mask_words
from tests.testing import seeded

DRAWS = 100_000


def test_fifteen_of_a_hundred_words_are_asked_for_and_eight_of_ten_of_them_masked():
    ids = torch.full((100, DRAWS // 100), 5)
    maskable = torch.ones_like(ids).bool()
    maskable[:, 0] = False
    with seeded():
        read, labels = mask_words(ids, maskable, mask_token_id=9, vocab_size=1000)
    asked = labels != -100
    assert asked.float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert not asked[:, 0].any()
    assert torch.equal(labels[asked], ids[asked])
    assert torch.equal(read[~asked], ids[~asked])
    assert (read[asked] == 9).float().mean().item() == pytest.approx(0.8, abs=0.01)
    assert (read[asked] == 5).float().mean().item() == pytest.approx(0.1, abs=0.01)


def test_fifteen_of_a_hundred_regions_are_asked_for_and_nine_of_ten_of_them_hidden():
    boxes = torch.rand(100, DRAWS // 100, 4)
    is_region = torch.ones(boxes.shape[:2]).bool()
    is_region[:, -1] = False
    with seeded():
        asked, hidden = mask_regions(boxes, is_region, overlap=None)
    assert asked.float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert hidden[asked].float().mean().item() == pytest.approx(0.9, abs=0.01)
    assert not hidden[~asked].any()
    assert not asked[:, -1].any()


def test_what_overlaps_a_hidden_region_is_hidden_with_it():
    boxes = torch.tensor([[0.0, 0, 0.4, 0.4], [0.02, 0, 0.42, 0.4], [0.6, 0.6, 1, 1]]).expand(500, 3, 4)
    is_region = torch.ones(500, 3).bool()
    with seeded():
        asked, hidden = mask_regions(boxes, is_region)
    with seeded():
        alone_asked, alone = mask_regions(boxes, is_region, overlap=None)
    assert torch.equal(asked, alone_asked)
    assert torch.equal(hidden[:, 2], alone[:, 2])
    for row in (0, 1):
        assert torch.equal(hidden[:, row], alone[:, 0] | alone[:, 1])
