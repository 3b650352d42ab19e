"""Pretext tasks: what the papers say, equation by equation; the shared contract comes from ModelTests."""

from itertools import permutations

import numpy as np
import pytest
import torch

from hfmm import factory
from hfmm.models.vision.pretext.configuration_pretext import NUM_NEIGHBORS, PretextConfig, maximal_hamming_set
from hfmm.models.vision.pretext.modeling_pretext import PretextForPreTraining, PretextModel, nt_xent
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles

SMALL = {"model_type": "hfmm_small_cnn", "hidden_sizes": [8, 16], "num_residual_blocks": 0}
TINY = {"backbone_config": SMALL, "tower_size": 24, "head_sizes": [16], "dropout": 0.0}
PUZZLE = {**TINY, "task": "jigsaw", "grid_size": 2, "num_permutations": 5}
PAINTER = {**TINY, "task": "inpainting", "bottleneck_size": 12, "decoder_sizes": [16, 8], "overlap": 1}
ADVERSARIAL = {**PAINTER, "adversarial_weight": 0.001}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(**fields):
    with seeded():
        return PretextForPreTraining(PretextConfig(**fields)).eval()


def holes(count=3):
    """Pictures of 32 pixels, and what is in the hole of 16 pixels in the middle of them."""
    pictures = random(count, 1, 3, 32, 32).clamp(-1, 1)
    return {"pixel_values": pictures, "labels": pictures[:, 0, :, 8:24, 8:24].clone()}


class TestJigsaw(ModelTests, Bundles):
    architecture = "pretext"
    model_class = PretextForPreTraining

    def config(self):
        return PretextConfig(**PUZZLE)

    def inputs(self):
        return {"pixel_values": random(3, 4, 3, 12, 12), "labels": torch.tensor([0, 4, 2])}


class TestRelativePosition(TestJigsaw):
    def config(self):
        return PretextConfig(**TINY)

    def inputs(self):
        return {"pixel_values": random(3, 2, 3, 12, 12), "labels": torch.tensor([0, 7, 2])}


class TestSameImage(TestRelativePosition):
    def config(self):
        return PretextConfig(**TINY, task="same_image")

    def inputs(self):
        return {"pixel_values": random(4, 2, 3, 12, 12), "labels": torch.tensor([1, 0, 1, 0])}


class TestInpainting(TestJigsaw):
    overfit_ratio = 0.5  # of noise, through a bottleneck

    def config(self):
        return PretextConfig(**PAINTER)

    def inputs(self):
        return holes()


class TestEncoder(TestJigsaw):
    model_class = PretextModel

    def inputs(self):
        return {"pixel_values": random(3, 3, 16, 16)}

    def loss(self, output):
        return (output.pooler_output**2).mean()


# The set of permutations


def test_the_set_is_the_greedy_maximum_of_the_mean_distance():
    """Algorithm 1 of Noroozi and Favaro again, one permutation after the other."""
    every = list(permutations(range(4)))
    chosen = [every[0]]
    while len(chosen) < 9:
        rest = [one for one in every if one not in chosen]
        means = [np.mean([sum(a != b for a, b in zip(one, other, strict=True)) for other in chosen]) for one in rest]
        chosen.append(rest[int(np.argmax(means))])
    assert maximal_hamming_set(4, 9) == tuple(chosen)


@pytest.mark.parametrize(("tiles", "size"), [(4, 24), (9, 100)])
def test_permutations_are_distinct_and_differ_in_two_places_at_least(tiles, size):
    found = np.array(maximal_hamming_set(tiles, size))
    assert found.shape == (size, tiles)
    assert (np.sort(found) == np.arange(tiles)).all()
    distance = (found[:, None] != found[None]).sum(-1)[np.triu_indices(size, 1)]
    assert distance.min() >= 2
    if size == 100:  # random ones differ in P - 1 = 8 places
        assert distance.mean() > 8


def test_the_set_is_stored_in_configuration_and_processor(tmp_path):
    model = factory.create_model("pretext", "tiny_jigsaw")
    processor = factory.create_processor("pretext", "tiny_jigsaw")
    assert len(model.config.permutations) == 100
    model.config.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert PretextConfig.from_pretrained(tmp_path).permutations == model.config.permutations
    assert type(processor).from_pretrained(tmp_path).permutations == model.config.permutations == processor.permutations


def test_more_permutations_than_there_are_are_refused():
    with pytest.raises(ValueError, match="num_permutations is 25: of 4 tiles there are 2 to 24"):
        maximal_hamming_set(4, 25)


# Towers and heads


@torch.no_grad()
def test_towers_share_their_weights():
    """One module sees all tiles: what it says of a tile does not depend on the tile's place."""
    model, tiles = build(**PUZZLE), random(2, 4, 3, 12, 12)
    seen = []
    model.tower.register_forward_hook(lambda module, inputs, output: seen.append(output.unflatten(0, (2, 4))))
    model(tiles)
    model(tiles.flip(1))
    torch.testing.assert_close(seen[0].flip(1), seen[1])


@torch.no_grad()
def test_a_head_sees_the_towers_side_by_side():
    model, tiles = build(**PUZZLE), random(2, 4, 3, 12, 12)
    one = [model.tower(model.encoder(tiles[:, place]).last_hidden_state) for place in range(4)]
    hidden = (torch.cat(one, 1) @ model.head.layers[0].weight.T + model.head.layers[0].bias).clamp(min=0)
    expected = hidden @ model.head.options.weight.T + model.head.options.bias
    torch.testing.assert_close(model(tiles).logits, expected)


@torch.no_grad()
def test_same_image_compares_differences_and_products_by_a_sigmoid():
    model, labels = build(**TINY, task="same_image"), torch.tensor([1, 0, 1])
    pairs = random(3, 2, 3, 12, 12)
    a, b = (model.tower(model.encoder(pairs[:, side]).last_hidden_state) for side in range(2))
    answer = (torch.cat([(a - b).abs(), a * b], 1) @ model.head.same.weight.T + model.head.same.bias)[:, 0]
    output = model(pairs, labels=labels)
    torch.testing.assert_close(output.logits.softmax(-1)[:, 1], answer.sigmoid())
    expected = torch.nn.functional.binary_cross_entropy(answer.sigmoid(), labels.float())
    torch.testing.assert_close(output.loss, expected)
    torch.testing.assert_close(model(pairs.flip(1)).logits, output.logits)  # which patch is first does not matter


def test_nt_xent_is_the_paper_s_equation_again():
    """Eq. 1 of Chen et al.: minus the mean log of exp(sim(i, j) / t) over the sum over k that is not i."""
    first, second = random(3, 5), random(3, 5, seed=1)
    codes = torch.cat([first, second]).double().numpy()
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    total = 0.0
    for i in range(6):
        j = (i + 3) % 6
        others = sum(np.exp(codes[i] @ codes[k] / 0.5) for k in range(6) if k != i)
        total -= np.log(np.exp(codes[i] @ codes[j] / 0.5) / others) / 6
    assert nt_xent(first, second, 0.5).item() == pytest.approx(total, rel=1e-5)


@torch.no_grad()
def test_the_contrastive_loss_is_of_the_positive_pairs():
    model = build(**TINY, task="same_image", contrastive_weight=0.3)
    pairs, labels = random(4, 2, 3, 12, 12), torch.tensor([1, 0, 1, 0])
    output = model(pairs, labels=labels)
    a, b = (model.tower(model.encoder(pairs[::2, side]).last_hidden_state) for side in range(2))
    torch.testing.assert_close(output.losses["nt_xent"], nt_xent(a, b, 0.5))
    torch.testing.assert_close(output.loss, output.losses["cross_entropy"] + 0.3 * output.losses["nt_xent"])


@pytest.mark.parametrize(("fields", "chance"), [(TINY, 1 / 8), (PUZZLE, 1 / 5)])
@torch.no_grad()
def test_untrained_it_guesses(fields, chance):
    """Accuracy of random weights over random labels is chance, to three standard deviations."""
    model, count = build(**fields), 600
    tiles = random(count, model.config.num_tiles, 3, 8, 8)
    labels = torch.randint(model.config.num_options, (count,), generator=torch.Generator().manual_seed(1))
    right = (model(tiles).logits.argmax(-1) == labels).double().mean().item()
    assert abs(right - chance) < 3 * (chance * (1 - chance) / count) ** 0.5


# Inpainting


@pytest.mark.parametrize("fields", [PAINTER, ADVERSARIAL])
def test_hidden_pixels_do_not_leak(fields):
    model, pictures = build(**fields), holes()["pixel_values"].requires_grad_()
    model(pictures).reconstruction.sum().backward()
    moved = pictures.grad[:, 0].abs().sum((0, 1)) > 0  # H W
    assert not moved[9:23, 9:23].any()  # the hole without its overlap of one pixel
    edge = torch.zeros(32, 32, dtype=torch.bool)
    edge[8:24, 8:24] = True
    edge[9:23, 9:23] = False
    assert moved[edge].any()


@torch.no_grad()
def test_a_hole_has_the_mean_color():
    shown = build(**PAINTER).head.hide(torch.zeros(1, 3, 32, 32))
    color = (shown[0, :, 16, 16] + 1) / 2
    torch.testing.assert_close(color, torch.tensor([117.0, 104.0, 123.0]) / 255)


def test_the_overlap_weighs_ten_times_by_hand():  # Eq. 1
    """A hole of 16 pixels: 196 hidden ones, and an edge of 60."""
    head = build(**PAINTER).head
    truth = torch.zeros(2, 3, 16, 16)
    assert head.reconstruction_loss(truth + 0.5, truth).item() == pytest.approx(0.25 * (196 + 10 * 60) / 256)
    inside = truth.clone()
    inside[..., 1:15, 1:15] = 0.5
    assert head.reconstruction_loss(inside, truth).item() == pytest.approx(0.25 * 196 / 256)


@torch.no_grad()
def test_the_two_losses_are_mixed_999_to_1():  # Eq. 3
    model = build(**ADVERSARIAL)
    output = model(**holes())
    verdict = model.discriminator(output.reconstruction)
    fooled = -verdict.sigmoid().log().mean()  # Eq. 2, as the generator minimizes it
    torch.testing.assert_close(output.losses["adversarial"], fooled)
    torch.testing.assert_close(output.loss, 0.999 * output.losses["reconstruction"] + 0.001 * fooled)
    assert "discriminator.verdict.weight" not in build(**PAINTER).state_dict()


def test_a_hole_of_another_size_is_refused():
    batch = holes()
    with pytest.raises(ValueError, match=r"the hole is .* but what is painted is \(3, 3, 16, 16\)"):
        build(**PAINTER)(batch["pixel_values"], labels=batch["labels"][..., 1:])


# Sizes and mistakes


@torch.no_grad()
def test_paper_presets_have_the_published_heads():
    with torch.device("meta"):
        puzzle, position, painter = (
            factory.create_model("pretext", name) for name in ("paper_jigsaw", "paper", "paper_inpainting")
        )
    assert puzzle.tower.fc6.out_features == 1024
    assert [layer.weight.shape for layer in puzzle.head.layers] == [(4096, 9 * 1024)]
    assert puzzle.head.options.out_features == 1000
    assert [layer.out_features for layer in position.head.layers] == [4096, 4096]
    assert position.head.options.out_features == NUM_NEIGHBORS == 8
    pictures = torch.empty(1, 1, 3, 128, 128, device="meta")
    assert painter(pictures).reconstruction.shape == (1, 3, 64, 64)
    assert painter.head.bottleneck.fc6.weight.shape == (4000, 512 * 4 * 4)
    assert (painter.config.overlap, painter.config.overlap_weight, painter.config.adversarial_weight) == (4, 10, 0.001)


def test_another_number_of_tiles_is_refused():
    with pytest.raises(ValueError, match="jigsaw has 4 tiles, not 2"):
        build(**PUZZLE)(random(1, 2, 3, 12, 12))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"permutations": [[0, 1, 2, 2]], "grid_size": 2, "num_permutations": 1}, "no order of 4 tiles"),
        ({"permutations": [[1, 0, 2, 3]], "grid_size": 2, "num_permutations": 2}, "num_permutations is 2 but"),
        ({"task": "jigsaw", "grid_size": 2}, "num_permutations is 100: of 4 tiles there are 2 to 24"),
        ({"adversarial_weight": 1.0}, "lambda_rec is the rest of 1"),
        ({"decoder_sizes": [8], "overlap": 4}, "nothing of a hole of 8 pixels would be hidden"),
        ({"task": "colorize"}, "task"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        PretextConfig(**fields)
