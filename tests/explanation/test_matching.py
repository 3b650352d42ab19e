"""Zero-shot classifiers, prediction cards and the cosine matrix, over towers small enough to say what must come out."""

from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import normalize
from transformers import CLIPImageProcessorPil, PreTrainedConfig

import hfmm
from hfmm.data.examples import ListExamples
from hfmm.data.prompts import templates_of, written
from hfmm.errors import UsageError
from hfmm.explanation.matching import (
    ZeroShotClassifier,
    cosine_matrix,
    explain_match,
    explain_pairs,
    prediction_card,
)
from hfmm.explanation.two_towers import embed_texts
from tests.testing import seeded

LABELS = ["red star", "blue ring", "green heart"]


@pytest.fixture(scope="module")
def both():
    with seeded():
        return hfmm.create_model("clip").eval(), hfmm.create_processor("clip")


@pytest.fixture(scope="module")
def pictures():
    return [example["image"] for example in hfmm.load_data("scenes", split="test", size=3)]


class Channels(nn.Module):
    """A picture is its mean color; a text is the colors it names."""

    device, dtype, config = torch.device("cpu"), torch.float32, PreTrainedConfig()

    def get_image_features(self, pixel_values):
        return SimpleNamespace(pooler_output=pixel_values.mean((2, 3)))

    def get_text_features(self, input_ids, attention_mask):
        return SimpleNamespace(pooler_output=nn.functional.one_hot(input_ids, 4).sum(1)[:, :3].float())


class Reader:
    """Colors are words 0 to 2, all others 3."""

    tokenizer = SimpleNamespace(model_max_length=6)
    crop_size = {"height": 8, "width": 8}
    do_resize = True
    image_processor = CLIPImageProcessorPil(size={"shortest_edge": 8}, crop_size=crop_size)

    def __call__(self, images=None, text=None, padding=False, truncation=False, max_length=None, return_tensors="pt"):
        if images is not None:
            pixels = [torch.tensor(list(image.tobytes())).view(*image.size, 3).permute(2, 0, 1) for image in images]
            return {"pixel_values": torch.stack(pixels) / 255}
        rows = [
            [("red", "green", "blue").index(w) if w in ("red", "green", "blue") else 3 for w in t.split()] for t in text
        ]
        ids = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=3)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def plain(color):
    return Image.new("RGB", (8, 8), color)


def test_a_picture_is_named_after_its_color():
    classifier = ZeroShotClassifier(Channels(), Reader(), ["red", "green", "blue"], ["a {} thing"])
    logits = classifier.logits([plain("blue"), plain("red")])
    assert logits.argmax(-1).tolist() == [2, 0]
    torch.testing.assert_close(logits[0], torch.tensor([0.0, 0.0, 100.0]))  # 100 times the cosine


def test_one_template_is_plain_zero_shot(both, pictures):
    model, processor = both
    inputs = processor(
        images=pictures, text=[f"a {label}" for label in LABELS], padding=True, return_tensors="pt"
    )  # fmt: skip
    with torch.no_grad():
        expected = model(**inputs).logits_per_image
    found = ZeroShotClassifier(model, processor, LABELS, ["a {}"]).logits(pictures)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_an_ensemble_is_the_normalized_mean_of_normalized_sentences(both):
    model, processor = both
    templates = templates_of("scenes")
    assert len(templates) == 9
    weights = ZeroShotClassifier(model, processor, LABELS, templates).weights
    torch.testing.assert_close(weights.norm(dim=-1), torch.ones(3))
    for label, weight in zip(LABELS, weights, strict=True):
        embeds = normalize(embed_texts(model, processor, [template.format(label) for template in templates]), dim=-1)
        torch.testing.assert_close(embeds.norm(dim=-1), torch.ones(9))
        torch.testing.assert_close(weight, normalize(embeds.mean(0), dim=-1), rtol=1e-4, atol=1e-5)


def test_the_order_of_prompts_does_not_matter(both, pictures):
    model, processor = both
    first, second = (
        ZeroShotClassifier(model, processor, LABELS, order).logits(pictures)
        for order in (templates_of("scenes"), templates_of("scenes")[::-1])
    )
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("labels", "templates", "message"),
    [
        (["star", "ring", "star"], ["{}"], "labels that repeat: star"),
        ([], ["{}"], "no labels"),
        (["star"], ["a star"], "'a star' is no template"),
        (["star"], [], "no templates"),
        (["one two three four five six seven"], ["{}"], "has 7 tokens, and the model takes 6: shorten the text"),
    ],
)
def test_labels_and_templates_that_are_none_are_told(labels, templates, message):
    with pytest.raises(UsageError, match=message):
        ZeroShotClassifier(Channels(), Reader(), labels, templates)


def test_a_model_without_texts_is_told():
    with pytest.raises(UsageError, match="Linear embeds no texts"):
        ZeroShotClassifier(nn.Linear(1, 1), Reader(), ["a"])


def test_a_card_tells_the_likeliest_and_the_rank_of_the_truth():
    card = prediction_card(
        Channels(), Reader(), plain((0, 60, 200)), ["red", "green", "blue"], ["a {} thing"], truth="green"
    )
    assert card.data["labels"] == ["blue", "green", "red"]
    assert sum(card.data["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert (card.data["rank"], card.data["of"]) == (2, 3)
    assert card.title == "green: 0.0%, ranked 2 of 3"
    assert prediction_card(Channels(), Reader(), plain("red"), ["red", "green"]).title == "red, 1.000"


def test_the_cosine_matrix_has_a_row_a_text_and_a_column_a_picture():
    matrix = cosine_matrix(Channels(), Reader(), [plain("red"), plain("blue")], ["red", "blue", "red blue"])
    expected = [[1, 0], [0, 1], [0.5**0.5] * 2]
    torch.testing.assert_close(torch.tensor(matrix.data["cosines"]), torch.tensor(expected), atol=1e-5, rtol=0)
    assert matrix.picture.height > matrix.picture.width / 2


def test_pairs_of_examples_are_compared(both):
    model, processor = both
    matrix = explain_pairs(model, processor, hfmm.load_data("scenes", split="test", size=20), count=4)
    assert (len(matrix.data["texts"]), len(matrix.data["cosines"][0])) == (4, 4)


def test_texts_to_choose_from_are_asked_for(both, pictures):
    with pytest.raises(UsageError, match="with --text"):
        explain_match(*both, pictures[0])
    assert explain_match(*both, pictures[0], LABELS).data["labels"][0] in LABELS


def test_templates_by_data_set():
    assert templates_of("path/to/resisc45") == ("satellite imagery of {}.",)
    assert templates_of("scenes:classification") == templates_of("scenes")
    assert templates_of("somebody/something") == ("a photo of a {}.",)
    assert all(template.count("{}") == 1 for name in ("rsicd", "food101", "scenes") for template in templates_of(name))
    assert written(["storagetanks", "ice_cream", "beach"]) == ["storage tank", "ice cream", "beach"]


def test_the_scorer_counts_top_1_and_leaves_out_what_has_no_class():
    from hfmm.evaluation import Asked, score_model

    rows = [
        {"image": plain(color), "label": label} for color, label in (("red", 0), ("blue", 2), ("red", 1), ("red", None))
    ]
    examples = ListExamples(rows, {"image": "image", "label": "label"}, label_names=("red", "green", "blue"))
    examples.name = "digits"  # whose template is the bare name
    outcome = score_model("zero-shot-image-classification", Channels(), Reader(), examples, Asked())
    assert outcome.scores["top_1"] == pytest.approx(2 / 3)
    assert outcome.predictions == ["red", "blue", "red", "red"]
