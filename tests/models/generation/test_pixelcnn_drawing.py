"""How PixelCNN draws: value after value, with cached rows, from rows that are given."""

from itertools import product

import pytest
import torch

from hfmm.models.generation.pixelcnn.modeling_pixelcnn import CachedReader
from tests.models.generation.tiny_pixelcnn import COLOR, CONDITIONS, TINY, build, conditions, generator, random


@torch.no_grad()
def test_logits_in_the_loop_are_those_of_the_whole_net():
    model, picture = build(**COLOR, **CONDITIONS), (random(2, 3, 4, 4) * 3).round() / 3
    added = model.conditions(**conditions(2))
    expected, reader = model.logits(picture, added), CachedReader(model, picture, added)
    for row, column in product(range(4), repeat=2):
        if column == 0:
            reader.enter(row)
        torch.testing.assert_close(reader.read(row, column), expected[:, :, :, row, column])


@pytest.mark.parametrize("fields", [TINY, COLOR, COLOR | CONDITIONS, TINY | {"num_layers": 1}])
def test_cached_rows_draw_what_the_whole_net_draws(fields):
    model = build(**fields)
    given = conditions(5) if "num_labels" in fields else {}
    slow, fast = (model.generate_images(5, generator(1), use_cache=cached, **given) for cached in (False, True))
    assert torch.equal(slow, fast)
    assert len(slow.unique()) == model.config.num_levels


@torch.no_grad()
def test_pictures_are_as_frequent_as_they_are_likely():
    model = build(**TINY | {"image_size": 2})
    drawn = model.generate_images(4000, generator()).flatten(1)
    pictures = torch.tensor(list(product([0.0, 1.0], repeat=4)))
    shares = (drawn[:, None] == pictures).all(-1).float().mean(0)
    expected = model.log_likelihood(pictures.view(16, 1, 2, 2)).exp()
    assert (shares - expected).abs().max() < 0.03


def test_first_rows_are_kept_and_the_others_drawn():
    model, pictures = build(**COLOR), (random(2, 3, 4, 4) * 3).round() / 3
    completed = model.complete(pictures, 2, generator())
    assert torch.equal(completed[:, :, :2], pictures[:, :, :2])
    assert torch.equal(completed, model.generate_images(2, generator(), prefix_pixels=pictures[:, :, :2]))
    assert not torch.equal(completed, model.complete(pictures, 2, generator(1)))
    assert torch.equal(model.complete(pictures, 4), pictures)
    of_one = model.generate_images(3, generator(), prefix_pixels=pictures[:1, :, :2])
    assert torch.equal(of_one[2, :, :2], pictures[0, :, :2])


def test_a_low_temperature_draws_the_likeliest_value_each_time():
    model = build(**TINY)
    cold, again = (model.generate_images(2, generator(seed), temperature=1e-4) for seed in (0, 1))
    assert torch.equal(cold, again)
    with torch.no_grad():
        assert torch.equal(model(cold).logits.argmax(1).float(), cold)


def test_one_stack_draws_pictures_too():
    model = build(**TINY, single_stack=True)
    assert torch.equal(*(model.generate_images(2, generator(), use_cache=cached) for cached in (False, True)))


# Sizes and mistakes
