"""Test-time augmentation: which the views are, and that a prediction is their mean."""

import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification

import hfmm
from hfmm.errors import UsageError
from hfmm.robustness.test_time_augmentation import VIEWS, TestTimeAugmentation, five_crop, rotations, ten_crop
from tests.testing import seeded


@pytest.fixture(scope="module")
def classifier():
    with seeded():
        return hfmm.create_model("resnet", num_labels=5).eval()


@pytest.fixture(scope="module")
def pictures():
    return torch.randn(3, 3, 64, 48, generator=torch.Generator().manual_seed(0))


def test_crops_are_corners_and_center_and_their_mirror_images():
    rows, columns = torch.meshgrid(torch.arange(7), torch.arange(9), indexing="ij")
    crops = ten_crop(torch.stack([rows, columns])[None], (4, 5))
    assert [tuple(crop.shape) for crop in crops] == [(1, 2, 4, 5)] * 10
    assert [tuple(crop[0, :, 0, 0].tolist()) for crop in crops[:5]] == [(0, 0), (0, 4), (3, 0), (3, 4), (1, 2)]
    for crop, mirrored in zip(crops[:5], crops[5:], strict=True):
        assert crop[0, 0, :, 0].diff().tolist() == [1] * 3
        assert crop[0, 1, 0].diff().tolist() == [1] * 4
        assert torch.equal(mirrored, crop.flip(-1))


def test_a_prediction_of_alexnet_is_the_mean_of_ten_views():
    with seeded():
        model, pictures = hfmm.create_model("alexnet", num_labels=5).eval(), torch.randn(2, 3, 72, 72)
    found = TestTimeAugmentation(model, "ten_crop")(pictures)
    with torch.no_grad():
        alone = [model(view).logits.softmax(-1) for view in ten_crop(pictures, (64, 64))]
    torch.testing.assert_close(found, torch.stack(alone).mean(0))


@pytest.mark.parametrize("views", VIEWS)
def test_probabilities_sum_to_one(classifier, pictures, views):
    torch.testing.assert_close(TestTimeAugmentation(classifier, views)(pictures).sum(1), torch.ones(3))


def test_one_view_is_what_the_classifier_says(classifier, pictures):
    found = TestTimeAugmentation(classifier, lambda pixel_values, size: [pixel_values])(pictures)
    with torch.no_grad():
        torch.testing.assert_close(found, classifier(pictures).logits.softmax(-1))


@pytest.mark.parametrize("views", ["flip", "ten_crop"])
def test_a_picture_and_its_mirror_image_are_of_one_class(classifier, pictures, views):
    augmented = TestTimeAugmentation(classifier, views)
    torch.testing.assert_close(augmented(pictures.flip(-1)), augmented(pictures))
    assert not torch.allclose(classifier(pictures.flip(-1)).logits, classifier(pictures).logits)


def test_crops_of_pictures_as_small_as_the_classifier_takes_are_enlarged():
    config = ViTConfig(image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    augmented = TestTimeAugmentation(ViTForImageClassification(config).eval(), "five_crop")
    assert augmented(torch.randn(2, 3, 32, 32)).shape == augmented(torch.randn(2, 3, 40, 48)).shape == (2, 2)


def test_pictures_are_turned_about_their_center_against_the_clock(pictures):
    views = rotations(pictures, (64, 48))
    torch.testing.assert_close(views[2], pictures, atol=1e-4, rtol=0)
    bar = torch.zeros(1, 1, 40, 80)
    bar[..., 20, 41:] = 1.0  # to the right of the center
    turned = rotations(bar, (40, 80))
    slopes = []
    for view in turned:
        row, column = (view[0, 0, :, 60:70] * torch.arange(40.0)[:, None]).sum(0), torch.arange(60.0, 70.0)
        rows = row / view[0, 0, :, 60:70].sum(0)
        slopes.append(float((rows - rows.mean()) @ (column - column.mean()) / (column - column.mean()).square().sum()))
    expected = torch.tensor([15.0, 7.5, 0.0, -7.5, -15.0]).deg2rad().tan()  # rows count downwards
    torch.testing.assert_close(torch.tensor(slopes), expected, atol=0.02, rtol=0)


def test_pictures_smaller_than_a_crop_are_refused():
    with pytest.raises(ValueError, match="pictures are 8 x 3: too small for crops of 4 x 4"):
        five_crop(torch.zeros(1, 3, 8, 3), (4, 4))


def test_views_without_a_name_of_theirs_are_refused(classifier):
    with pytest.raises(UsageError, match="views"):
        TestTimeAugmentation(classifier, "flips")
