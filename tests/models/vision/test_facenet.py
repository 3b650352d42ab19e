"""FaceNet and DeepFace: what the papers say, equation by equation; the shared contract comes from ModelTests."""

import itertools

import pytest
import torch
from torch.nn.functional import softplus

import hfmm
from hfmm import factory
from hfmm.errors import UsageError
from hfmm.models.vision.facenet.configuration_facenet import FacenetConfig
from hfmm.models.vision.facenet.modeling_facenet import (
    FacenetForImageClassification,
    FacenetModel,
    batch_hard_loss,
    localized_centering,
    mine,
    squared_distances,
    triplet_loss,
)
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles

BACKBONE = {"model_type": "hfmm_small_cnn", "hidden_sizes": [8, 16], "num_residual_blocks": 1}
TINY = {"backbone_config": BACKBONE, "pool_size": 2, "embedding_size": 6}
LAYERS = [["convolution", 4, 3, 1], ["pool", 4, 3, 2], ["local", 6, 3, 1], ["local", 6, 3, 2]]
DEEPFACE = {"layers": LAYERS, "image_size": 16, "embedding_size": 10}
WHO = torch.tensor([0, 0, 1, 1, 2])


def pictures(count=5, size=16):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def sphere(count=12, width=4, seed=0):
    points = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return points / points.norm(dim=1, keepdim=True)


class TestFacenet(ModelTests, Bundles):
    architecture = "facenet"
    model_class = FacenetModel

    def config(self):
        return FacenetConfig(**TINY, mining="hardest")

    def inputs(self):
        return {"pixel_values": pictures(), "labels": WHO}


class TestFacenetWithAProjectionHead(TestFacenet):
    def config(self):
        return FacenetConfig(**TINY, mining="hardest", projection_head=True)


class TestFacenetWithBatchHard(TestFacenet):
    overfit_ratio = 0.4  # a cosine is at least -1, so that the soft margin never is zero

    def config(self):
        return FacenetConfig(**TINY, loss="batch_hard", batch_normalization=True)


class TestFacenetOfSeveralNetworks(TestFacenet):
    def config(self):
        return FacenetConfig(**TINY, mining="hardest", num_networks=2, background_size=4, num_neighbors=2)


# The sphere and the loss


@pytest.mark.parametrize("settings", [TINY, DEEPFACE], ids=["facenet", "deepface"])
def test_embeddings_have_unit_length(settings):
    with seeded():
        model = FacenetModel(FacenetConfig(**settings)).eval()
    torch.testing.assert_close(model(pictures()).image_embeds.norm(dim=1), torch.ones(5))


def test_the_loss_is_the_seed_formula_with_the_positive_part():  # Eq. 3
    a, p, n = sphere(20), sphere(20, seed=1), sphere(20, seed=2)
    printed = ((a - p) ** 2).sum(1) - ((a - n) ** 2).sum(1) + 0.2
    assert (printed < 0).any()
    found = triplet_loss(((a - p) ** 2).sum(1), ((a - n) ** 2).sum(1), 0.2)
    torch.testing.assert_close(found, torch.where(printed > 0, printed, 0))


def test_loss_by_hand():
    loss = triplet_loss(torch.tensor([0.5, 0.5, 0.5]), torch.tensor([0.4, 0.6, 0.71]), 0.2)
    torch.testing.assert_close(loss, torch.tensor([0.3, 0.1, 0.0]))


def test_the_loss_is_zero_when_the_margin_is_kept():
    with seeded():
        model = FacenetModel(FacenetConfig(**TINY, mining="hardest"))
    corners = torch.eye(6)[WHO].requires_grad_()
    loss, parts = model.metric_loss(corners, WHO)
    assert loss == 0
    assert parts["active"] == 0
    assert (parts["positive"], parts["negative"]) == (0, 2)
    loss.backward()  # and it is still a function of the embeddings


def test_the_loss_is_alpha_when_all_embeddings_are_equal():
    for mining in ("random_violating", "hardest"):
        with seeded():
            model = FacenetModel(FacenetConfig(**TINY, mining=mining, alpha=0.3))
        loss, _ = model.metric_loss(torch.eye(6)[[0] * 5], WHO)
        assert loss == pytest.approx(0.3)


def test_gradients_draw_the_positive_near_and_push_the_negative_away():
    a, p, n = (sphere(1, seed=seed).requires_grad_() for seed in (0, 1, 2))
    triplet_loss(((a - p) ** 2).sum(1), ((a - n) ** 2).sum(1), 10).sum().backward()
    for step, (mover, other, nearer) in itertools.product((1e-3,), ((p, a, True), (n, a, False))):
        before = (mover - other).norm()
        after = (mover - step * mover.grad - other).norm()
        assert (after < before) == nearer
    towards_positive, from_negative = p - a, a - n
    assert (-a.grad * towards_positive).sum() + (-a.grad * from_negative).sum() > 0


def test_squared_distance_and_cosine_are_one_threshold():
    points = sphere()
    direct = ((points[:, None] - points) ** 2).sum(-1)
    found = squared_distances(points)
    torch.testing.assert_close(found, direct, atol=1e-5, rtol=0)
    for cosine in (-0.3, 0.2, 0.8):
        off = ~torch.eye(len(points), dtype=torch.bool)
        assert torch.equal((found < 2 - 2 * cosine)[off], (points @ points.T > cosine)[off])


def test_outside_training_a_face_can_be_the_mean_of_itself_and_its_mirror_image():
    with seeded():
        model = FacenetModel(FacenetConfig(**TINY, average_mirrored=True)).eval()
        pictures = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        mirrored, embeds = model(pictures.flip(-1)).image_embeds, model(pictures).image_embeds
        torch.testing.assert_close(embeds, mirrored)
        model.config.average_mirrored = False
        sides = [model(view).image_embeds for view in (pictures, pictures.flip(-1))]
    assert not torch.allclose(*sides)
    torch.testing.assert_close(embeds, torch.nn.functional.normalize(sum(sides), dim=-1))


def test_localized_centering_by_hand():  # Hara et al. 2015
    embeds = torch.tensor([[0.6, 0.8, 0.0], [0.0, 0.28, 0.96]])
    background = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = localized_centering(embeds, background, num_neighbors=2, share=0.5)
    less = torch.tensor([[0.35, 0.55, 0.0], [0.0, 0.03, 0.71]])  # a quarter of x + y, of y + z
    torch.testing.assert_close(found, less / less.norm(dim=1, keepdim=True))


@pytest.mark.parametrize(("size", "kept"), [(5, [0, 1, 2, 3, 4]), (2, [0, 2]), (8, [0, 0, 1, 1, 2, 3, 3, 4])])
def test_faces_are_seen_against_those_of_the_training_set(size, kept):
    settings = {**TINY, "average_mirrored": True, "background_size": size, "num_neighbors": 2, "centering": 0.5}
    with seeded():
        model = FacenetModel(FacenetConfig(**settings)).eval()
    with torch.no_grad():
        alone = model(pictures()).image_embeds  # it has seen nobody yet
        model.measure([pictures()[:3], pictures()[3:]])
        torch.testing.assert_close(model.background, alone[kept])
        expected = localized_centering(alone, alone[kept], 2, 0.5)
        torch.testing.assert_close(model(pictures()).image_embeds, expected)
        assert not torch.allclose(expected, alone, atol=1e-3)
        model.train()
        unseen = model(pictures()).image_embeds
        torch.testing.assert_close(unseen, model.normalized(model.features(pictures())))


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="num_neighbors is 10: background_size keeps 4"):
        hfmm.create_model("facenet", preset="tiny", background_size=4)
    with pytest.raises(UsageError, match="background_size is of a model with a backbone"):
        hfmm.create_model("facenet", preset="deepface", background_size=40)
    with pytest.raises(UsageError, match="num_networks is 0: a model has at least one"):
        hfmm.create_model("facenet", preset="tiny", num_networks=0)


def test_networks_side_by_side_learn_alone_and_speak_together():  # DeepFace, section 4.3
    with seeded():
        model = FacenetModel(FacenetConfig(**TINY, mining="hardest", num_networks=2)).eval()
        alone = FacenetModel(FacenetConfig(**TINY, mining="hardest")).eval()
    out, first, second = model(pictures(), WHO), *model.networks
    alone.networks[0].load_state_dict(second.state_dict())
    losses = [model.metric_loss(network(pictures())[1], WHO)[0] for network in (first, second)]
    torch.testing.assert_close(out.loss, sum(losses) / 2)
    cosines = [embeds @ embeds.T for embeds in (network(pictures())[0] for network in (first, second))]
    torch.testing.assert_close(out.image_embeds @ out.image_embeds.T, sum(cosines) / 2)
    out.loss.backward()
    alone(pictures(), WHO).loss.backward()
    for joint, own in zip(second.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(joint.grad, own.grad / 2)


def test_with_a_projection_head_faces_are_compared_before_it():
    with seeded():
        model = FacenetModel(FacenetConfig(**TINY, mining="hardest", projection_head=True)).eval()
    out = model(pictures(), WHO)
    (network,) = model.networks
    pooled = network.trunk(pictures())
    assert out.image_embeds.shape == (5, 64)
    torch.testing.assert_close(out.image_embeds, pooled / pooled.norm(dim=1, keepdim=True))
    projected = network.embedding(pooled)
    loss, _ = model.metric_loss(projected / projected.norm(dim=1, keepdim=True), WHO)
    torch.testing.assert_close(out.loss, loss)


def test_persons_are_named_by_what_faces_are_compared_by():
    with seeded():
        config = FacenetConfig(**TINY, projection_head=True, num_networks=2, num_labels=3)
        model = FacenetForImageClassification(config).eval()
    out = model(pictures())
    assert out.image_embeds.shape == (5, model.facenet.width)
    torch.testing.assert_close(out.logits, model.classifier(model.facenet.features(pictures()).flatten(1)))


# Mining


def brute_force(distances, labels, alpha, mining):
    """Of each anchor and positive the negatives that may be chosen, written as loops."""
    allowed = {}
    for a, p in itertools.permutations(range(len(labels)), 2):
        if labels[a] != labels[p]:
            continue
        others = [n for n in range(len(labels)) if labels[n] != labels[a]]
        near = [n for n in others if distances[a, n] < distances[a, p] + alpha]
        found = {
            "semi_hard": [n for n in near if distances[a, n] > distances[a, p]],
            "random_violating": near,
            "hardest": [min(others, key=lambda n: distances[a, n])] if others else [],
        }[mining]
        if found:
            allowed[a, p] = found
    return allowed


@pytest.mark.parametrize("mining", ["semi_hard", "random_violating", "hardest"])
def test_the_miner_equals_brute_force(mining):
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 3, 0, 1, 2])
    distances = squared_distances(sphere())
    allowed = brute_force(distances, labels.tolist(), 0.5, mining)
    chosen = {pair: set() for pair in allowed}
    for seed in range(60):
        found = mine(distances, labels, 0.5, mining, torch.Generator().manual_seed(seed))
        triplets = list(zip(*(rows.tolist() for rows in found), strict=True))
        assert [(a, p) for a, p, _ in triplets] == sorted(allowed)
        for a, p, n in triplets:
            assert n in allowed[a, p]
            chosen[a, p].add(n)
    assert all(chosen[pair] == set(allowed[pair]) for pair in allowed if len(allowed[pair]) <= 4)


def test_the_choice_is_a_function_of_the_generator():
    distances, labels = squared_distances(sphere(40)), torch.arange(40) % 8
    first, again, other = (
        mine(distances, labels, 1.0, "semi_hard", torch.Generator().manual_seed(seed))[2] for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_no_pairs_no_loss():
    with seeded():
        model = FacenetModel(FacenetConfig(**TINY))
    for labels in (torch.arange(5), torch.zeros(5, dtype=torch.long)):
        out = model(pictures(), labels)
        assert out.loss == 0
        out.loss.backward()


def test_batch_hard_is_the_farthest_positive_against_the_nearest_negative():  # Hermans et al., Eq. 5
    points, labels = sphere(), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 3, 0, 1, 2])
    expected = []
    for a in range(len(labels)):
        away = [(points[a] - points[other]).norm() for other in range(len(labels))]
        same = [away[p] for p in range(len(labels)) if p != a and labels[p] == labels[a]]
        if same:
            others = [away[n] for n in range(len(labels)) if labels[n] != labels[a]]
            expected.append(softplus(max(same) - min(others)))
    found = batch_hard_loss(squared_distances(points), labels)
    assert len(found) == 11  # person 3 has one picture
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=0)


def test_the_paper_embeds_in_128_dimensions():
    with torch.device("meta"):
        model = factory.create_model("facenet", preset="paper")
        assert model(torch.empty(2, 3, 224, 224)).image_embeds.shape == (2, 128)
    assert (model.config.alpha, model.config.mining, model.config.loss) == (0.2, "semi_hard", "triplet")
    assert sum(value.numel() for value in model.parameters()) == 8_674_496


def test_layers_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="layers has a 'dense': known are convolution, pool, local"):
        hfmm.create_model("facenet", layers=[["dense", 4, 3, 1]])
    with pytest.raises(UsageError, match="image_size is 4: nothing is left after 2 layers"):
        hfmm.create_model("facenet", "deepface", layers=[["convolution", 4, 3, 1], ["local", 4, 3, 1]], image_size=4)
