"""PMI retrieval: what the lecture says, slide by slide; the shared contract comes from ModelTests."""

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch.nn.functional import one_hot

import hfmm
from hfmm.models.alignment.pmi_retrieval.configuration_pmi_retrieval import PmiRetrievalConfig
from hfmm.models.alignment.pmi_retrieval.modeling_pmi_retrieval import (
    PmiRetrievalModel,
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


def colors(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def tiny(**fields):
    with seeded():
        return PmiRetrievalModel(PmiRetrievalConfig(**TINY | fields)).eval()


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
