"""PMI retrieval: what the lecture says, slide by slide; the shared contract comes from ModelTests."""

import math

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch.nn.functional import cross_entropy, one_hot

import hfmm
from hfmm.models.alignment.pmi_retrieval.configuration_pmi_retrieval import PmiRetrievalConfig
from hfmm.models.alignment.pmi_retrieval.modeling_pmi_retrieval import (
    PmiRetrievalModel,
    association,
    bin_counts,
    color_grid,
    color_means,
    discriminative_loss,
    nearest_center,
)
from hfmm.models.alignment.pmi_retrieval.processing_pmi_retrieval import PmiRetrievalProcessor, stemmed
from hfmm.nn.porter_stemmer import measure, stem
from tests.testing import ModelTests, assert_equal_outputs, seeded
from tests.testing_hub import BundlesProcessor

TINY = {"num_bins": 8, "vocab_size": 12}
NETWORK = {"model_type": "hfmm_small_cnn", "hidden_sizes": [8, 16]}
RED, BLUE = (255, 0, 0), (0, 0, 255)
BOUNDED = ("cooccurrence", "dice", "jaccard", "image_given_text", "text_given_image")


def colors(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def tiny(**fields):
    with seeded():
        return PmiRetrievalModel(PmiRetrievalConfig(**TINY | fields)).eval()


def toy_counts():
    """The lecture's pairs: (dog, "terrier"), (dog, "husky"), (guitar, "play"), (frisbee, "play")."""
    seen = one_hot(torch.tensor([0, 0, 1, 2]), 3).float()  # dog, guitar, frisbee
    said = one_hot(torch.tensor([0, 1, 2, 2]), 3).float()  # terrier, husky, play
    return seen.T @ said, seen.sum(0), said.sum(0), torch.tensor(4.0)


class TestPmiRetrieval(ModelTests, BundlesProcessor):
    architecture = "pmi_retrieval"
    model_class = PmiRetrievalModel
    overfit_learning_rate = 1.0  # a picture's shares of its pixels are small

    def processor(self):
        return PmiRetrievalProcessor.from_corpus(["a bird perches"], image_size=16)

    def config(self):
        return PmiRetrievalConfig(**TINY | {"vocab_size": 60})

    def inputs(self):
        words = torch.tensor([[4, 5, 3], [6, 6, 3], [7, 8, 9]])
        return {"pixel_values": colors(3, 3, 4, 4), "input_ids": words, "attention_mask": torch.ones_like(words)}

    def loss(self, output):
        return discriminative_loss(output.logits_per_image, torch.arange(3), "joint")

    @torch.no_grad()
    def test_a_batch_of_two_equals_two_singles(self):
        model, inputs = self.model(), self.inputs()
        together = model(**{name: value[:2] for name, value in inputs.items()})
        for row in range(2):
            alone = model(**{name: value[row : row + 1] for name, value in inputs.items()})
            torch.testing.assert_close(alone.image_embeds[0], together.image_embeds[row])
            torch.testing.assert_close(alone.text_embeds[0], together.text_embeds[row])
            torch.testing.assert_close(alone.logits_per_image[0, 0], together.logits_per_image[row, row])


class TestPmiRetrievalOfCodesAndVectors(TestPmiRetrieval):
    """The learned scale meets the loss through the scores."""

    def config(self):
        return PmiRetrievalConfig(
            **TINY | {"vision_config": NETWORK, "picture_features": "codes", "code_size": 16},
            text_features="word_vectors", word_size=6, learn_temperature=True,
        )  # fmt: skip

    def model(self):
        model = super().model()
        model.word_vectors.copy_(torch.randn(12, 6, generator=torch.Generator().manual_seed(3)))
        return model

    overfit_learning_rate = 1e-2

    def inputs(self):
        return super().inputs() | {"pixel_values": colors(3, 3, 16, 16)}


# omega: words


def test_the_bag_of_words_of_the_slide():
    """Its table, but for "the" of the first sentence, which the slide counts 0 times and which is there once."""
    vocabulary = ["a", "bird", "hand", "in", "men", "on", "rabbit", "the"]
    sentences = {
        "A rabbit sits in the palm of a hand.": [2, 0, 1, 1, 0, 0, 1, 1],
        "A tropical bird perches in the jungle.": [1, 1, 0, 1, 0, 0, 0, 1],
        "Men are talking on a basketball court.": [1, 0, 0, 0, 1, 1, 0, 0],
    }
    processor = PmiRetrievalProcessor.from_corpus([" ".join(vocabulary)], do_stem=False)
    model = tiny(vocab_size=len(processor.tokenizer))
    counts = model.text_features(**processor(text=list(sentences)))
    ids = processor.tokenizer.convert_tokens_to_ids(vocabulary)
    assert counts[:, ids].tolist() == list(sentences.values())
    assert not counts[:, :4].any()  # unknown words, starts, ends and padding


def test_stems_of_the_slide():
    assert stemmed("A tropical bird perches in the jungle.") == "a tropic bird perch in the jungl ."
    assert stemmed("Perched parakeet in a wire frame cage .") == "perch parakeet in a wire frame cage ."
    assert stemmed("A snow owl lands on wood perch.") == "a snow owl land on wood perch ."
    assert stem("snowy") == "snowi"
    assert {stem(word) for word in ("perches", "perching", "perch")} == {"perch"}


def test_stems_of_the_paper():
    given = {
        "caresses": "caress", "ponies": "poni", "feed": "feed", "agreed": "agre", "plastered": "plaster",
        "sing": "sing", "conflated": "conflat", "hopping": "hop", "falling": "fall", "filing": "file", "sky": "sky",
        "happy": "happi", "relational": "relat", "conditional": "condit", "digitizer": "digit", "goodness": "good",
        "triplicate": "triplic", "revival": "reviv", "adjustment": "adjust", "adoption": "adopt", "rate": "rate",
        "probate": "probat", "cease": "ceas", "controll": "control", "roll": "roll",
    }  # fmt: skip
    assert {word: stem(word) for word in given} == given
    assert [measure(word) for word in ("tree", "trouble", "troubles")] == [0, 1, 2]


def test_stems_are_those_of_nltk():
    porter = pytest.importorskip("nltk.stem.porter").PorterStemmer(mode="ORIGINAL_ALGORITHM")
    words = {word for caption in hfmm.data.scenes.vocabulary() for word in caption.split()}
    words |= {"buildings", "densely", "planted", "surrounding", "playgrounds", "residential", "generalizations"}
    assert {word: stem(word) for word in words if len(word) > 2} == {
        word: porter.stem(word) for word in words if len(word) > 2
    }


def test_words_meet_in_their_stem_or_stay_apart():
    for do_stem, size in ((True, 5), (False, 6)):
        processor = PmiRetrievalProcessor.from_corpus(["birds", "bird"], do_stem=do_stem)
        assert len(processor.tokenizer) == size


def test_a_saved_processor_comes_back(tmp_path):
    for do_stem in (True, False):
        processor = PmiRetrievalProcessor.from_corpus(["a bird perches", "rings ."], image_size=16, do_stem=do_stem)
        processor.save_pretrained(tmp_path)
        loaded = transformers.AutoProcessor.from_pretrained(tmp_path)
        assert type(loaded) is PmiRetrievalProcessor
        assert loaded.do_stem == do_stem
        given = {"images": [Image.new("RGB", (20, 24), RED)], "text": ["a bird perching", "nothing ."]}
        assert_equal_outputs(loaded(**given), processor(**given))


# psi: pictures


def test_a_pixels_bin_is_that_of_the_nearest_center():
    pixels, centers = colors(500, 3), colors(27, 3, seed=1)
    assert torch.equal(nearest_center(pixels, centers), torch.cdist(pixels, centers).argmin(1))


def test_a_red_picture_lies_in_the_bin_nearest_to_red():
    processor = hfmm.create_processor("pmi_retrieval")
    pixel_values = processor(images=[Image.new("RGB", (30, 40), RED)])["pixel_values"]
    centers = color_grid(3)
    counts = bin_counts(pixel_values, centers)[0]
    bin_of_red = (centers - torch.tensor([1.0, 0.0, 0.0])).square().sum(1).argmin()
    assert counts[bin_of_red] == counts.sum() == 64 * 64
    torch.testing.assert_close(bin_counts(colors(4, 3, 7, 5), centers).sum(1), torch.full((4,), 35.0))


def test_centers_of_clear_clusters_are_found_and_are_a_function_of_the_seed():
    truth = torch.tensor([[0.1, 0.1, 0.1], [0.9, 0.1, 0.1], [0.1, 0.1, 0.9]])
    pixels = (truth.repeat(50, 1) + 0.01 * colors(150, 3)).round(decimals=2)
    found = color_means(pixels, 3, seed=1)
    assert (torch.cdist(truth, found).min(1).values < 0.03).all()
    assert torch.equal(color_means(pixels, 3, seed=1), found)
    assert color_means(torch.zeros(4, 3), 2).shape == (2, 3)  # fewer colors than bins


def test_the_likeliest_class_is_the_feature():
    model = tiny(picture_features="labels", vision_config={**NETWORK, "num_labels": 5}, threshold=0.5)
    pictures = colors(3, 3, 16, 16)
    labels = model.vision_model(pictures).logits.argmax(1)
    assert torch.equal(model.picture_features(pictures), one_hot(labels, 5).float())


def test_the_classes_of_objects_are_the_features():
    detector = {
        "model_type": "hfmm_yolo", "image_size": 16, "layers": [[3, 8, 2], [3, 8, 2]], "hidden_size": None,
        "num_labels": 4,
    }  # fmt: skip
    model = tiny(picture_features="objects", vision_config=detector)
    torch.nn.init.normal_(model.vision_model.prediction.weight, generator=torch.Generator().manual_seed(0))
    pictures = colors(3, 3, 16, 16)
    scores = model.vision_model(pictures).scores  # B Q n
    model.config.threshold = scores.amax(1).median().item()
    features = model.picture_features(pictures)
    assert torch.equal(features, (scores > model.config.threshold).any(1).float())
    assert 0 < features.mean() < 1


def test_codes_are_the_activations_before_the_last_layer():
    model = tiny(picture_features="codes", vision_config=NETWORK, code_size=16)
    pictures = colors(3, 3, 16, 16)
    torch.testing.assert_close(
        model.picture_features(pictures), model.vision_model(pictures).feature_maps[-1].mean((2, 3))
    )


# theta


def test_theta_of_the_toy():
    theta = association(*toy_counts(), "cooccurrence")
    torch.testing.assert_close(theta[1, 2], torch.tensor(1 / 3))  # guitar, "play"
    torch.testing.assert_close(theta[0, 0], torch.tensor(1 / 3))  # dog, "terrier"
    torch.testing.assert_close(theta[2, 2], torch.tensor(1 / 3))  # frisbee, "play"
    assert theta[1, 0] == 0
    pairs, pictures, words, total = toy_counts()
    torch.testing.assert_close(association(pairs.T, words, pictures, total, "cooccurrence"), theta.T)


def test_guitar_given_play_is_not_play_given_guitar():
    pairs, pictures, words, total = toy_counts()
    image_given_text = association(pairs, pictures, words, total, "image_given_text")[1, 2]
    text_given_image = association(pairs, pictures, words, total, "text_given_image")[1, 2]
    assert image_given_text == 0.5  # P(guitar | "play")
    assert text_given_image == 1.0  # P("play" | guitar)
    p_play, p_guitar = words[2] / total, pictures[1] / total
    assert (p_play, p_guitar) == (0.5, 0.25)  # the slide has P("play") = .25, with which the identity does not hold
    assert image_given_text * p_play == text_given_image * p_guitar == 0.25


def test_conditionals_and_marginals_agree_everywhere():
    model = tiny()
    with seeded(4):
        model.count(colors(40, 3, 2, 2), torch.randint(4, 12, (40, 3)))
    counts = model.pair_counts, model.picture_counts, model.word_counts, model.num_pairs
    left = association(*counts, "image_given_text") * model.word_counts / model.num_pairs
    right = association(*counts, "text_given_image") * model.picture_counts[:, None] / model.num_pairs
    torch.testing.assert_close(left, right)


def test_theta_is_at_most_a_half_and_that_where_two_always_occur_together():
    pairs, pictures, words, total = toy_counts()
    with_twins = torch.tensor([[3.0]]), torch.tensor([3.0]), torch.tensor([3.0]), torch.tensor(5.0)
    assert association(*with_twins, "cooccurrence") == 0.5
    theta = association(pairs, pictures, words, total, "cooccurrence")
    assert (theta >= 0).all()
    assert (theta < 0.5).all()  # no two of the toy are twins
    assert all((association(pairs, pictures, words, total, name) <= 1).all() for name in BOUNDED)


def test_other_measures_are_functions_of_the_same_counts():
    pairs, pictures, words, total = toy_counts()
    theta = association(pairs, pictures, words, total, "cooccurrence")
    torch.testing.assert_close(association(pairs, pictures, words, total, "dice"), 2 * theta)
    torch.testing.assert_close(association(pairs, pictures, words, total, "jaccard"), theta / (1 - theta))
    information = association(pairs, pictures, words, total, "pmi")
    assert information[1, 2] == pytest.approx(math.log(1 * 4 / (1 * 2)))
    assert information[1, 0] == 0  # never together: nothing is known
    few = torch.tensor([[1.0]]), torch.tensor([3.0]), torch.tensor([3.0]), torch.tensor(4.0)
    assert association(*few, "pmi") == pytest.approx(math.log(4 / 9))
    assert association(*few, "ppmi") == 0


def test_scores_are_bilinear():
    model = tiny()
    a, b = colors(4, 8), colors(5, 12, seed=1)
    expected = torch.einsum("in,mn,tm->it", a, model.theta.weight, b)
    torch.testing.assert_close(model.score(model.theta(a), b), expected)
    torch.testing.assert_close(model.score(model.theta(3 * a), b), 3 * expected)
    summed = model.score(model.theta(a[:1] + a[1:2]), b)
    torch.testing.assert_close(summed, expected[:1] + expected[1:2])


def counted(pictures, words, **fields):
    model = tiny(**fields)
    for picture, word in zip(pictures, words, strict=True):
        model.count(picture, word)
    model.settle()
    return model


def test_counts_are_of_documents_or_of_tokens():
    pictures = torch.zeros(2, 3, 2, 2)
    pictures[0, 0] = 1.0  # red, and a black one
    words = torch.tensor([[5, 5, 6], [6, 7, 3]])
    grid = nearest_center(torch.tensor([[1.0, 0, 0], [0, 0, 0]]), color_grid(2))
    documents = counted([pictures], [words], bins="grid")
    assert documents.pair_counts[grid][:, [5, 6, 7]].tolist() == [[1, 1, 0], [0, 1, 1]]
    assert documents.word_counts[[3, 5, 6, 7]].tolist() == [0, 1, 2, 1]
    tokens = counted([pictures], [words], bins="grid", count="tokens")
    assert tokens.pair_counts[grid][:, [5, 6, 7]].tolist() == [[2, 1, 0], [0, 1, 1]]
    assert documents.num_pairs == tokens.num_pairs == 2


def test_counting_is_additive_and_knows_no_order():
    pictures = colors(20, 3, 2, 2)
    words = torch.randint(4, 12, (20, 3), generator=torch.Generator().manual_seed(0))
    whole = counted([pictures], [words])
    halves = counted(pictures.split(10), words.split(10))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    shuffled = counted([pictures[order]], [words[order]])
    for name, value in whole.state_dict().items():
        assert torch.equal(value, halves.state_dict()[name]), name
        assert torch.equal(value, shuffled.state_dict()[name]), name


def test_another_measure_can_be_taken_after_loading(tmp_path):
    model = counted([colors(20, 3, 2, 2)], [torch.randint(4, 12, (20, 3))])
    model.save_pretrained(tmp_path)
    loaded = PmiRetrievalModel.from_pretrained(tmp_path)
    assert torch.equal(loaded.theta.weight, model.theta.weight)
    for each in (loaded, model):
        each.settle("ppmi")
    assert torch.equal(loaded.theta.weight, model.theta.weight)
    assert loaded.config.measure == "ppmi"


def test_word_vectors_are_not_counted():
    model = tiny(text_features="word_vectors", word_size=6)
    with pytest.raises(ValueError, match="word vectors cannot be counted"):
        model.count(colors(2, 3, 2, 2), torch.full((2, 1), 5))


# ImSearch: theta that is learned


def test_losses_are_cross_entropies_over_pictures_and_over_texts():
    scores, truth = colors(4, 4), torch.tensor([2, 0, 3, 1])
    of_pictures = torch.stack([-scores[:, text].log_softmax(0)[truth[text]] for text in range(4)]).mean()
    of_texts = torch.stack([-scores[truth[text]].log_softmax(0)[text] for text in range(4)]).mean()
    torch.testing.assert_close(discriminative_loss(scores, truth, "image_given_text"), of_pictures)
    torch.testing.assert_close(discriminative_loss(scores, truth, "text_given_image"), of_texts)
    torch.testing.assert_close(discriminative_loss(scores, truth, "joint"), (of_pictures + of_texts) / 2)
    hinges = [
        max(0.0, 1 - scores[truth[text], text] + scores[other, text])
        for text in range(4)
        for other in range(4)
        if other != truth[text]
    ]
    torch.testing.assert_close(discriminative_loss(scores, truth, "hinge"), torch.stack(hinges).sum() / 4)


def position_only(shuffle):
    """The loss of a predictor that knows where a candidate stands and nothing of it, after training on noise."""
    generator = torch.Generator().manual_seed(0)
    by_position = torch.zeros(8, 8, requires_grad=True)  # pictures by texts
    optimizer = torch.optim.Adam([by_position], lr=0.05)
    losses = []
    for _ in range(400):
        truth = torch.randperm(8, generator=generator) if shuffle else torch.arange(8)
        loss = discriminative_loss(by_position, truth, "image_given_text")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-100:]) / 100


def test_shuffle_these_or_else():
    assert position_only(shuffle=False) < 0.01
    assert position_only(shuffle=True) == pytest.approx(math.log(8), abs=0.15)


def test_the_joint_loss_with_a_temperature_is_clips_with_linear_towers():
    model = tiny(learn_temperature=True)
    torch.nn.init.constant_(model.logit_scale, 0.7)
    a, b = colors(5, 8), colors(5, 12, seed=1)
    towers = a @ model.theta.weight.T, b  # W_i = theta, W_t = I, without normalization
    logits = math.exp(0.7) * towers[0] @ towers[1].T
    labels = torch.arange(5)
    clip = (cross_entropy(logits, labels) + cross_entropy(logits.T, labels)) / 2
    torch.testing.assert_close(model.pair_loss(*towers), clip)


def test_forward_returns_the_loss_of_pairs_or_embeds_one_side():
    model = tiny()
    pictures, words = colors(3, 3, 4, 4), torch.tensor([[4], [5], [6]])
    output = model(words, pictures, return_loss=True)
    torch.testing.assert_close(output.loss, model.pair_loss(output.image_embeds, output.text_embeds))
    assert model(pixel_values=pictures).keys() == {"image_embeds"}
    assert model(words).keys() == {"text_embeds"}


def test_a_counted_model_finds_the_picture_of_a_color_word():
    processor = PmiRetrievalProcessor.from_corpus(["a red thing", "a blue thing"], image_size=16,
                                                  image_mean=(0, 0, 0), image_std=(1, 1, 1))  # fmt: skip
    noise = np.random.default_rng(0)
    pictures = [
        Image.fromarray((np.array(color) * 0.8 + noise.uniform(0, 40, (16, 16, 3))).astype(np.uint8))
        for color in (RED, BLUE) * 10
    ]
    model = tiny(vocab_size=len(processor.tokenizer), measure="ppmi")
    batch = processor(images=pictures, text=["a red thing", "a blue thing"] * 10)
    model.learn_bins(batch["pixel_values"])
    model.count(**batch)
    model.settle()
    scores = model(**processor(images=pictures[:2], text=["red", "blue"])).logits_per_image
    assert scores.argmax(0).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_bins": 9, "bins": "grid"}, "num_bins is 9, which is no cube"),
        ({"picture_features": "codes"}, "'codes', which needs a vision_config"),
        ({"vision_config": NETWORK}, "'rgb_bins', which has no vision_config"),
        ({"measure": "luck"}, "measure"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        PmiRetrievalConfig(**fields)
