"""DeViSE: what the paper says, equation by equation; the shared contract comes from ModelTests."""

import pytest
import torch
import transformers
from torch.nn.functional import normalize, relu

import hfmm
from hfmm import factory
from hfmm.models.alignment.devise.configuration_devise import DeviseConfig
from hfmm.models.alignment.devise.modeling_devise import DeviseModel, rank_loss
from hfmm.models.alignment.devise.processing_devise import DeviseProcessor
from hfmm.training.optim import freeze
from tests.testing import ModelTests, descend, seeded
from tests.testing_hub import BundlesProcessor

TOWER = {"model_type": "hfmm_small_cnn", "hidden_sizes": [8, 16]}
TINY = {"vision_config": TOWER, "image_feature_size": 16, "vocab_size": 12, "word_size": 6, "num_labels": 5}
NAMES = [f"{color} {shape}" for color in ("red", "green", "blue") for shape in ("square", "ring", "cross")]


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tiny(**fields):
    with seeded():
        return DeviseModel(DeviseConfig(**TINY | fields))


class TestDevise(ModelTests, BundlesProcessor):
    architecture = "devise"
    model_class = DeviseModel

    def processor(self):
        return DeviseProcessor.from_corpus(NAMES, image_size=16)

    def config(self):
        return DeviseConfig(**TINY, negatives="all")

    def inputs(self):
        return {"pixel_values": numbers(3, 3, 16, 16), "labels": torch.tensor([0, 4, 2])}


class TestDeviseOverAlexnet(TestDevise):
    overfit_learning_rate = 3e-3

    def config(self):
        tower = {
            "model_type": "hfmm_alexnet", "image_size": 64, "stem_kernel_size": 7, "stem_stride": 2, "stem_padding": 2,
            "hidden_sizes": [4, 8, 8, 8, 8], "classifier_hidden_size": 16, "dropout": 0.0, "initializer_range": 0.1,
            "num_groups": 1,
        }  # fmt: skip
        return DeviseConfig(**TINY | {"vision_config": tower, "negatives": "all", "unseen_labels": ["LABEL_1"]})

    def inputs(self):
        return {"pixel_values": numbers(3, 3, 64, 64), "labels": torch.tensor([0, 4, 2])}


class TestDeviseSoftmax(TestDevise):
    def config(self):
        return DeviseConfig(**TINY, loss="softmax")


# The model


def test_m_has_no_bias_and_the_paper_its_parameters():
    with torch.device("meta"):
        model = factory.create_model("devise", "paper")
    assert model.projection.bias is None
    assert model.projection.weight.numel() == 500 * 4096 == 2_048_000
    core = 60_965_224 - 4096 * 1000 - 1000  # AlexNet without its softmax layer
    assert model.num_parameters() == core + 2_048_000


def test_the_vectors_of_words_and_labels_are_fixed_and_of_unit_length():
    model = tiny()
    model.set_words(numbers(12, 6))
    model.set_labels(["a", "b"], numbers(2, 6, seed=1))
    for vectors in (model.word_vectors, model.label_vectors):
        assert not vectors.requires_grad
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))
    assert {name for name, _ in model.named_parameters() if not name.startswith("vision_model")} == {
        "projection.weight"
    }


@torch.no_grad()
def test_scores_are_t_m_v():
    model = tiny().eval()
    pictures = numbers(3, 3, 16, 16)
    features = model.vision_model(pictures).feature_maps[-1].mean((2, 3))
    expected = torch.einsum("kd,df,bf->bk", model.label_vectors, model.projection.weight, features)
    torch.testing.assert_close(model(pictures).logits_per_image, expected)
    torch.testing.assert_close(model.picture_features(pictures), features)


# The loss


def test_loss_by_hand():
    image, labels = torch.tensor([[1.0, 0.0]]), torch.tensor([0])  # M v
    vectors = torch.tensor([[0.6, 0.8], [1.0, 0.0], [0.55, (1 - 0.55**2) ** 0.5]])
    scores = image @ vectors.T  # 0.6, 1.0, 0.55
    terms = [0.1 - 0.6 + 1.0, 0.1 - 0.6 + 0.55]
    torch.testing.assert_close(rank_loss(scores, labels, 0.1), torch.tensor(sum(terms)))
    torch.testing.assert_close(rank_loss(scores, labels, 0.1, "first_violation"), torch.tensor(terms[0]))
    torch.testing.assert_close(rank_loss(scores, labels, 0.1, "sampled", 2), torch.tensor(sum(terms)))
    torch.testing.assert_close(rank_loss(scores, labels, 0.1, "sampled", 1), torch.tensor(terms[0]))


def test_the_loss_is_the_sum_over_wrong_labels():
    scores, labels = numbers(4, 7), torch.tensor([0, 6, 3, 3])
    expected = [
        sum(relu(0.1 - row[label] + row[j]) for j in range(7) if j != label)
        for row, label in zip(scores, labels, strict=True)
    ]
    torch.testing.assert_close(rank_loss(scores, labels, 0.1), torch.stack(expected).mean())


def test_the_first_violation_is_at_most_the_sum_and_equal_where_there_is_one():
    scores, labels = numbers(50, 5), torch.arange(50) % 5
    for row, label in zip(scores, labels, strict=True):
        every, first = (rank_loss(row[None], label[None], 0.1, kind) for kind in ("all", "first_violation"))
        violations = int((0.1 - row[label] + row > 0).sum()) - 1
        assert first <= every
        assert violations != 1 or first == every


def test_the_first_violation_is_drawn_in_random_order():
    scores, labels = torch.tensor([[0.0, 0.2, 0.4, -1.0]]).expand(200, -1), torch.zeros(200, dtype=torch.long)
    with seeded():
        drawn = [float(rank_loss(row[None], labels[:1], 0.1, "first_violation", shuffle=True)) for row in scores]
    found = {round(loss, 4) for loss in drawn}
    assert found == {0.3, 0.5}  # never the label that violates nothing
    assert 70 < sum(round(loss, 4) == 0.3 for loss in drawn) < 130


def test_the_loss_is_zero_just_when_the_margin_is_kept():
    labels = torch.tensor([0])
    assert rank_loss(torch.tensor([[0.5, 0.4, 0.1]]), labels, 0.1) == 0
    assert rank_loss(torch.tensor([[0.5, 0.41, 0.1]]), labels, 0.1) > 0


def test_what_is_orthogonal_to_all_differences_of_labels_changes_no_loss():
    vectors = torch.cat([numbers(4, 3), torch.full((4, 1), 0.7)], 1)  # their differences have no fourth part
    images, labels = numbers(5, 4, seed=1), torch.arange(5) % 4
    moved = images + torch.tensor([0.0, 0.0, 0.0, 3.0])
    torch.testing.assert_close(rank_loss(images @ vectors.T, labels, 0.1), rank_loss(moved @ vectors.T, labels, 0.1))


def test_unseen_labels_are_not_pushed_away():
    model = tiny(negatives="all", unseen_labels=["LABEL_1", "LABEL_3"])
    logits, labels = numbers(3, 5), torch.tensor([0, 2, 4])
    expected = rank_loss(logits[:, [0, 2, 4]], torch.arange(3), 0.1)
    torch.testing.assert_close(model.label_loss(logits, labels), expected)
    for negatives in ("sampled", "first_violation"):
        model.config.negatives, model.config.num_negatives = negatives, 4
        assert model.label_loss(logits, labels).isfinite()


def test_pairs_are_ranked_among_the_texts_of_the_batch():
    model = tiny(negatives="all")
    images, texts = numbers(4, 6), normalize(numbers(4, 6, seed=1), dim=-1)
    torch.testing.assert_close(model.pair_loss(images, texts), rank_loss(images @ texts.T, torch.arange(4), 0.1))


def test_stage_one_leaves_the_core_without_gradients_and_stage_two_does_not():
    model = tiny()
    inputs = {"pixel_values": numbers(3, 3, 16, 16), "labels": torch.tensor([0, 4, 2])}
    freeze(model, ["vision_model"], "model")
    model(**inputs).loss.backward()
    assert all(weight.grad is None for weight in model.vision_model.parameters())
    assert model.projection.weight.grad.any()
    model.requires_grad_(True)
    model(**inputs).loss.backward()
    assert all(weight.grad is not None for weight in model.vision_model.parameters())


# Any labels


def test_labels_can_be_set_after_training_and_are_saved(tmp_path):
    model = tiny().eval()
    model.set_labels(["zebra", "okapi"], numbers(2, 6))
    model.save_pretrained(tmp_path)
    loaded = DeviseModel.from_pretrained(tmp_path)
    assert loaded.config.id2label == {0: "zebra", 1: "okapi"}
    assert torch.equal(loaded.label_vectors, model.label_vectors)
    assert loaded(numbers(3, 3, 16, 16)).logits_per_image.shape == (3, 2)


@pytest.mark.parametrize(
    ("names", "vectors", "message"),
    [
        (["a", "a"], torch.ones(2, 6), "label 'a' repeats"),
        ([], torch.ones(0, 6), "no labels"),
        (["a"], torch.ones(1, 5), r"1 labels have vectors of shape \(1, 5\), not \(1, 6\)"),
        (["a", "b"], torch.eye(6)[:2] * torch.tensor([[1.0], [0.0]]), "label 'b' has no vector"),
    ],
)
def test_impossible_labels_are_refused(names, vectors, message):
    with pytest.raises(ValueError, match=message):
        tiny().set_labels(names, vectors)


def test_a_text_is_the_mean_of_its_words_that_have_vectors():
    processor = DeviseProcessor.from_corpus(["a red ring", "a blue cross"], image_size=16)
    model = tiny(vocab_size=len(processor.tokenizer))
    vectors = torch.zeros(model.word_vectors.shape)
    ids = processor.tokenizer.convert_tokens_to_ids(["red", "ring", "blue"])
    vectors[ids] = numbers(3, 6)
    model.set_words(vectors)
    inputs = processor(text=["red ring", "a red ring nobody knows", "a"])
    found = model.get_text_features(**inputs).pooler_output
    expected = normalize(model.word_vectors[ids[:2]].mean(0), dim=0)
    torch.testing.assert_close(found[0], expected)
    torch.testing.assert_close(found[1], expected)
    assert not found[2].any()


def trained_on_six_of_nine(vectors):
    """Accuracy on the pictures of three unseen combinations, among these three."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.eye(3).repeat_interleave(3, 0), torch.eye(3).repeat(3, 1)  # color and shape of each combination
    clean = torch.cat(codes, 1)  # 9 6
    unseen = [0, 4, 8]
    seen = [number for number in range(9) if number not in unseen]
    model = tiny(
        image_feature_size=16, word_size=vectors.shape[1], num_labels=9, negatives="all",
        unseen_labels=[f"LABEL_{number}" for number in unseen],
    )  # fmt: skip
    model.set_labels([f"LABEL_{number}" for number in range(9)], vectors)
    spread = torch.randn(6, 16, generator=generator)

    def features(labels):
        return clean[labels] @ spread + 0.1 * torch.randn(len(labels), 16, generator=generator)

    optimizer = torch.optim.Adam(model.projection.parameters(), lr=1e-2)
    for _ in range(300):
        labels = torch.tensor(seen)[torch.randint(6, (32,), generator=generator)]
        loss = model.label_loss(model.projection(features(labels)) @ model.label_vectors.T, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    labels = torch.tensor(unseen).repeat(100)
    logits = model.projection(features(labels)) @ model.label_vectors.T
    return (logits[:, unseen].argmax(1) == torch.arange(3).repeat(100)).float().mean()


def test_unseen_combinations_are_named_by_composed_vectors_and_not_by_random_ones():
    colors, shapes = numbers(3, 8), numbers(3, 8, seed=1)
    composed = (colors[:, None] + shapes[None]).flatten(0, 1)  # 9 8
    assert trained_on_six_of_nine(composed) > 0.9
    by_chance = [trained_on_six_of_nine(numbers(9, 8, seed=seed)) for seed in range(10, 20)]
    assert 0.15 < sum(by_chance) / 10 < 0.55  # a third


def test_one_hot_labels_make_m_a_classifier_that_has_no_unseen_label():
    model = tiny(loss="softmax", word_size=5)
    model.set_labels(list("abcde"), torch.eye(5))
    logits = model(numbers(3, 3, 16, 16)).logits_per_image
    torch.testing.assert_close(logits, model.projection(model.picture_features(numbers(3, 3, 16, 16))))
    labels = torch.tensor([0, 4, 2])
    torch.testing.assert_close(model.label_loss(logits, labels), torch.nn.functional.cross_entropy(logits, labels))
    with pytest.raises(ValueError, match="label 'f' has no vector"):
        model.set_labels([*"abcdef"], torch.eye(6)[:, :5])


def test_the_pipeline_of_zero_shot_classification_takes_any_labels(tmp_path):
    processor = DeviseProcessor.from_corpus(NAMES, image_size=16)
    model = tiny(vocab_size=len(processor.tokenizer)).eval()
    model.set_words(numbers(*model.word_vectors.shape) * (torch.arange(len(processor.tokenizer))[:, None] > 3))
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    pipe = transformers.pipeline("zero-shot-image-classification", model=str(tmp_path))
    image = hfmm.load_data("scenes", size=1)[0]["image"]
    found = pipe(image, candidate_labels=["red ring", "blue cross"], hypothesis_template="{}")
    inputs = processor(images=[image], text=["red ring", "blue cross"])
    expected = model(**inputs).logits_per_image.softmax(-1)[0].tolist()
    scores = {row["label"]: row["score"] for row in found}
    assert scores == pytest.approx(dict(zip(("red ring", "blue cross"), expected, strict=True)), abs=1e-5)


def test_a_saved_processor_comes_back(tmp_path):
    processor = DeviseProcessor.from_corpus(NAMES, image_size=16)
    processor.save_pretrained(tmp_path)
    loaded = transformers.AutoProcessor.from_pretrained(tmp_path)
    assert type(loaded) is DeviseProcessor
    assert torch.equal(loaded(text=NAMES)["input_ids"], processor(text=NAMES)["input_ids"])


def test_stages_follow_each_other_on_the_same_batch():
    model, inputs = tiny().train(), {"pixel_values": numbers(3, 3, 16, 16), "labels": torch.tensor([0, 4, 2])}
    freeze(model, ["vision_model"], "model")
    first, *_, last = descend(model, inputs, lambda output: output.loss, 20, 1e-2)
    assert last < first
