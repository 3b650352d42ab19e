"""How exams are made of pictures: tiles, orders, pairs and holes, each a function of its seed."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor

from hfmm import factory
from hfmm.models.vision.pretext.image_processing_pretext import PretextImageProcessor, neighbor_cell, normalized

NINE = {"image_size": 44, "grid_size": 3, "tile_size": 12, "tile_stride": 15, "jitter": 2}
MIDDLE = 4


def processor(task, **settings):
    side = {"height": 44, "width": 44}
    kept = {name: value for name, value in NINE.items() if name != "image_size"}
    return PretextImageProcessor(size={"shortest_edge": 44}, crop_size=side, task=task, **{**kept, **settings})


def picture(seed=0, width=44):
    noise = np.random.default_rng(seed).integers(0, 256, (44, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def ramp():
    """A picture whose pixels tell where they are: red is the column and green the row."""
    pixels = np.zeros((44, 44, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(44)[None], np.arange(44)[:, None]
    return Image.fromarray(pixels)


def corner_of(tiles):
    """Row and column of each tile of `ramp`, when tiles are not normalized."""
    return (tiles[:, [1, 0], 0, 0] * 255).round().astype(int)


@pytest.fixture
def raw(monkeypatch):
    """Tiles as they are cut."""
    monkeypatch.setattr("hfmm.models.vision.pretext.image_processing_pretext.normalized", lambda tile: tile)


def test_eight_positions_are_symmetric(raw):
    """Seen from the neighbor, the middle lies at the opposite place: the classes add up to 7."""
    reader = processor("relative_position", jitter=0)
    offsets = {}
    for seed in range(60):
        batch = reader([ramp()], seeds=[seed], return_tensors="np")
        middle, neighbor = corner_of(batch["pixel_values"][0])
        offsets[int(batch["labels"][0])] = tuple(neighbor - middle)
    assert sorted(offsets) == list(range(8))
    assert set(offsets.values()) == {(y, x) for y in (-15, 0, 15) for x in (-15, 0, 15)} - {(0, 0)}
    for place, (down, right) in offsets.items():
        assert offsets[7 - place] == (-down, -right)


def test_places_are_numbered_in_reading_order():
    assert [neighbor_cell(place) for place in range(8)] == [0, 1, 2, 3, 5, 6, 7, 8]


def test_tiles_lie_in_their_cells_with_a_gap_and_jitter(raw):
    reader = processor("jigsaw", num_permutations=2)
    starts = []
    for seed in range(40):
        batch = reader([ramp()], seeds=[seed], return_tensors="np")
        order = reader.permutations[batch["labels"][0]]
        starts.append(corner_of(batch["pixel_values"][0])[np.argsort(order)])
    starts = np.stack(starts) - 15 * np.stack(np.divmod(np.arange(9), 3), 1)  # 40 9 2
    assert (starts.min(), starts.max()) == (0, 2)
    assert {tuple(start) for start in starts.reshape(-1, 2)} == {(y, x) for y in range(3) for x in range(3)}


def test_the_inverse_permutation_restores_the_tiles(raw):
    reader = processor("jigsaw", jitter=0)
    batch = reader([picture()], seeds=[5], return_tensors="np")
    order = reader.permutations[batch["labels"][0]]
    assert order != sorted(order)
    whole = np.asarray(picture()).transpose(2, 0, 1) / 255
    restored = batch["pixel_values"][0][np.argsort(order)]
    for cell, tile in enumerate(restored):
        down, right = 15 * (cell // 3), 15 * (cell % 3)
        places = [np.abs(whole[:, y : y + 12, x : x + 12] - tile).max() for y in (down, down + 1, down + 2)
                  for x in (right, right + 1, right + 2)]  # fmt: skip
        assert min(places) < 1e-6


def test_labels_of_a_puzzle_are_drawn_evenly():
    reader = processor("jigsaw", grid_size=2, num_permutations=24)
    labels = reader([picture()] * 960, seeds=range(960), return_tensors="np")["labels"]
    counts = np.bincount(labels, minlength=24)
    assert ((counts - 40) ** 2 / 40).sum() < 49.7  # chi-square of 23 degrees of freedom, one in a thousand


def test_pairs_of_one_picture_are_as_many_as_of_two(raw):
    flat = [Image.new("RGB", (44, 44), (value, value, value)) for value in range(0, 200, 20)]
    batch = processor("same_image")(flat, seeds=range(10), return_tensors="np")
    level = (batch["pixel_values"].mean((2, 3, 4)) * 255).round()  # B 2
    assert batch["labels"].tolist() == [1, 0] * 5
    assert ((level[:, 0] == level[:, 1]) == batch["labels"]).all()
    assert level[:, 0].tolist() == list(range(0, 200, 20))


def test_patches_of_one_picture_do_not_overlap(raw):
    reader = processor("same_image")
    for seed in range(50):
        first, second = corner_of(reader([ramp()], seeds=[seed], return_tensors="np")["pixel_values"][0])
        assert np.abs(first - second).max() >= 12


def test_tiles_are_normalized_one_by_one():
    values = processor("jigsaw", num_permutations=2)([picture(), picture(1)], return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(values.mean((3, 4)), 0, atol=1e-5)
    np.testing.assert_allclose(values.std((3, 4)), 1, atol=1e-4)
    assert not normalized(np.full((3, 4, 4), 0.7, dtype=np.float32)).any()  # an even tile stays even


def test_channels_are_moved_apart_by_color_jitter(raw):
    gray = Image.fromarray(np.repeat(np.asarray(picture())[..., :1], 3, axis=2))
    plain = processor("jigsaw", num_permutations=2)([gray], return_tensors="np")["pixel_values"][0]
    moved = processor("jigsaw", num_permutations=2, color_jitter=2)([gray], return_tensors="np")["pixel_values"][0]
    assert (plain[:, 0] == plain[:, 1]).all()
    assert not (moved[:, 0] == moved[:, 1]).all()


def test_the_label_of_a_hole_is_what_was_there():
    batch = processor("inpainting", hole_size=16)([picture(), picture(1)], return_tensors="np")
    whole = np.stack([np.asarray(picture(seed)) for seed in (0, 1)]).transpose(0, 3, 1, 2) / 127.5 - 1
    np.testing.assert_allclose(batch["pixel_values"][:, 0], whole, atol=1e-5)
    np.testing.assert_allclose(batch["labels"], whole[:, :, 14:30, 14:30], atol=1e-5)


@pytest.mark.parametrize("task", ["relative_position", "jigsaw", "same_image"])
def test_an_exam_is_a_function_of_the_seed(task):
    reader, pictures = processor(task, num_permutations=24), [picture(), picture(1, width=60)]
    first, again, other = (reader(pictures, seeds=seeds, return_tensors="pt") for seeds in ([7, 8], [7, 8], [9, 10]))
    assert torch.equal(first["pixel_values"], again["pixel_values"])
    assert torch.equal(first["labels"], again["labels"])
    assert not torch.equal(first["pixel_values"], other["pixel_values"])


@pytest.mark.parametrize("task", ["jigsaw", "inpainting"])
def test_whole_pictures_go_to_the_encoder(task):
    reader = processor(task, num_permutations=2, hole_size=16)
    batch = reader([picture(), picture(1, width=60)], do_pretext=False, return_tensors="pt")
    assert set(batch) == {"pixel_values"}
    assert batch["pixel_values"].shape == (2, 3, 44, 44)


def test_a_saved_processor_asks_the_same(tmp_path):
    reader = factory.create_processor("pretext")
    reader.save_pretrained(tmp_path)
    loaded = AutoImageProcessor.from_pretrained(tmp_path)
    assert type(loaded) is PretextImageProcessor
    first, again = (one([picture()], seeds=[3], return_tensors="pt") for one in (reader, loaded))
    assert torch.equal(first["pixel_values"], again["pixel_values"])


def test_the_published_sizes():
    """Jigsaw: 3 x 3 cells of 75 pixels of a crop of 225, tiles of 64; relative position: 96, a gap of 48."""
    puzzle, position = (factory.create_processor("pretext", name) for name in ("paper_jigsaw", "paper"))
    assert (puzzle.extent, puzzle.tile_size, puzzle.tile_stride) == (225, 64, 75)
    assert (position.tile_size, position.tile_stride - position.tile_size, position.jitter // 2) == (96, 48, 7)


def test_pictures_too_small_for_the_tiles_are_refused():
    with pytest.raises(ValueError, match="pictures of 44 pixels are too small: jigsaw needs 60"):
        processor("jigsaw", tile_size=28, num_permutations=2)
