"""U-Net at the borders: mirrored pictures, tiles that join, and the processor that mirrors (figure 2 of the paper)."""

import numpy as np
import pytest
import torch
from PIL import Image

from hfmm import factory
from hfmm.models.vision.unet.image_processing_unet import UnetImageProcessor
from hfmm.models.vision.unet.tiling_unet import mirrored, overlap_tile
from tests.models.vision.test_unet import SAME, noise, small


def test_mirroring_is_numpy_s_however_small_the_picture():
    pixels = noise(1, 2, 5, 7)
    for widths in ((1, 2, 3, 0), (9, 14, 20, 6)):
        expected = np.pad(pixels.numpy(), ((0, 0), (0, 0), widths[:2], widths[2:]), mode="reflect")
        assert np.array_equal(mirrored(pixels, *widths).numpy(), expected)
    assert mirrored(noise(1, 1, 1, 1), 1, 1, 1, 1).unique().numel() == 1


@pytest.mark.parametrize("size", [(36, 52), (37, 21)])
@pytest.mark.parametrize(("depth", "tiles"), [(2, (8, 16)), (3, (12, 28))])
def test_tiles_give_what_the_whole_picture_gives(size, depth, tiles):
    model, pixels = small(depth=depth), noise(2, 1, *size)
    margin, period = model.config.margin, 2**depth
    below, right = (margin + (4 - side) % period for side in size)
    whole = model(mirrored(pixels, margin, below, margin, right)).logits[..., : size[0], : size[1]]
    for tile in tiles:
        found = overlap_tile(model, pixels, tile)
        assert found.shape == (2, 3, *size)
        torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-4)


def test_tiles_need_valid_padding():
    with pytest.raises(ValueError, match="only with 'valid' padding"):
        overlap_tile(small(**SAME), noise(1, 3, 16, 16), 8)


def test_the_processor_mirrors_pictures_and_not_masks():
    processor = UnetImageProcessor(
        size={"height": 8, "width": 8}, margin=20, do_grayscale=True, image_mean=0.5, image_std=0.5
    )
    values = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    mask = np.where(values[..., 0] > 128, 255, 2)
    batch = processor(Image.fromarray(values), segmentation_maps=[mask], return_tensors="pt")
    gray = np.asarray(Image.fromarray(values).convert("L")) / 255 * 2 - 1
    assert batch["pixel_values"].shape == (1, 1, 48, 48)
    np.testing.assert_allclose(batch["pixel_values"][0, 0, 20:28, 20:28], gray, atol=1e-6)
    np.testing.assert_allclose(batch["pixel_values"][0, 0], np.pad(gray, 20, mode="reflect"), atol=1e-6)
    assert np.array_equal(batch["labels"][0], mask)
    assert small()(**batch).loss > 0


def test_the_processor_comes_back(tmp_path):
    factory.create_processor("unet", preset="paper").save_pretrained(tmp_path)
    found = UnetImageProcessor.from_pretrained(tmp_path)
    assert (found.margin, found.do_grayscale, found.size["height"]) == (92, True, 388)
