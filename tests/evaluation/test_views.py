"""Ten views of a picture: which they are, and that a prediction is their mean."""

import pytest
import torch

import hfmm
from hfmm.evaluation.views import classify_ten_views, ten_views
from tests.testing import seeded


def test_views_are_corners_and_center_and_their_mirror_images():
    rows, columns = torch.meshgrid(torch.arange(7), torch.arange(9), indexing="ij")
    views = ten_views(torch.stack([rows, columns])[None], size=4)
    assert views.shape == (1, 10, 2, 4, 4)
    begins = [tuple(view[:, 0, 0].tolist()) for view in views[0, :5]]
    assert begins == [(0, 0), (0, 5), (3, 0), (3, 5), (1, 2)]
    for view, mirrored in zip(views[0, :5], views[0, 5:], strict=True):
        assert view[0, :, 0].diff().tolist() == view[1, 0].diff().tolist() == [1, 1, 1]
        assert torch.equal(mirrored, view.flip(-1))


def test_a_prediction_is_the_mean_of_ten():
    with seeded():
        model, pictures = hfmm.create_model("alexnet", num_labels=5).eval(), torch.randn(2, 3, 72, 72)
    found = classify_ten_views(model, pictures)
    with torch.no_grad():
        alone = [model(view).logits.softmax(-1) for view in ten_views(pictures, 64).unbind(1)]
    torch.testing.assert_close(found, torch.stack(alone).mean(0))
    torch.testing.assert_close(found.sum(1), torch.ones(2))
    mirrored = classify_ten_views(model, pictures.flip(-1))
    torch.testing.assert_close(mirrored, found)  # the same ten


def test_pictures_smaller_than_a_view_are_refused():
    with pytest.raises(ValueError, match="pictures are 8 x 3: too small for views of 4 x 4"):
        ten_views(torch.zeros(1, 3, 8, 3), size=4)
