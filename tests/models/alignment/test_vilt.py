"""ViLT through upstream's classes: sizes, one sequence, ranking that upstream does not train, and its tokenizer."""

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, ViltForImageAndTextRetrieval, ViltForQuestionAnswering

import hfmm
from hfmm.factory import create_config
from hfmm.loading import load
from hfmm.nn.contrastive import matching_loss
from hfmm.nn.pairs import score_all_pairs
from hfmm.nn.word_pieces import word_piece_tokenizer
from tests.models.vision.upstream import parameters
from tests.testing import Computes, descend, seeded

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "patch_size": 16}


def words():
    input_ids = torch.tensor([[2, 80, 81, 3], [2, 82, 3, 0], [2, 83, 84, 3]])
    return {"input_ids": input_ids, "attention_mask": (input_ids != 0).long()}


def pictures(count=3):
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def ranker(**settings):
    with seeded():
        return hfmm.create_model("vilt", **TINY, **settings).eval()


class TestVilt(Computes):
    architecture = "vilt"
    model_class = ViltForImageAndTextRetrieval

    def config(self):
        return create_config("vilt", **TINY)

    def inputs(self):
        return {"pixel_values": pictures(), "pixel_mask": torch.ones(3, 64, 64, dtype=torch.long), **words()}

    def loss(self, output):
        return output.logits.square().mean()

    @torch.no_grad()
    def test_the_same_input_gives_the_same_output(self):
        """Upstream draws the order of patches, which moves the last digit."""
        found = []
        for _ in range(2):
            with seeded():
                found.append(self.model()(**self.inputs()).logits)
        assert torch.equal(*found)


def test_parameters_of_the_published_sizes():
    found = parameters("vilt")
    assert found["paper"] == 111_595_008 + 769  # upstream's trunk and one score
    assert found["tiny"] < 1_000_000


@torch.no_grad()
def test_words_and_patches_are_one_sequence():
    trunk = hfmm.create_model("vilt", auto="AutoModel").eval()
    states = trunk(**words(), pixel_values=pictures()).last_hidden_state
    assert states.shape == (3, 4 + 1 + 8 * 8, 96)


@torch.no_grad()
def test_a_picture_of_384_by_640_pixels_has_240_patches():
    narrow = {**TINY, "hidden_size": 8, "num_hidden_layers": 1, "patch_size": 32}
    trunk = hfmm.create_model("vilt", "paper", auto="AutoModel", **narrow).eval()
    one = {name: value[:1] for name, value in words().items()}
    assert trunk(**one, pixel_values=torch.zeros(1, 3, 384, 640)).last_hidden_state.shape[1] == 4 + 1 + 240


@torch.no_grad()
def test_a_masked_part_of_a_picture_has_no_influence():
    model = ranker()
    pixels, mask = pictures(1), torch.ones(1, 64, 64, dtype=torch.long)
    mask[:, :, 48:] = 0
    other = pixels.clone()
    other[..., 48:] = 5.0
    one = {name: value[:1] for name, value in words().items()}
    with seeded(1):
        first = model(**one, pixel_values=pixels, pixel_mask=mask).logits
    with seeded(1):
        second = model(**one, pixel_values=other, pixel_mask=mask).logits
    torch.testing.assert_close(first, second)


def test_upstream_trains_no_ranking_and_the_objective_does():
    model = ranker()
    with pytest.raises(RuntimeError, match="not yet supported"):
        model(**words(), pixel_values=pictures(), labels=torch.tensor([0, 1, 0]))
    inputs = {**words(), "pixel_values": pictures(), "pixel_mask": torch.ones(3, 64, 64, dtype=torch.long)}

    class Ranks(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model.train()

        def forward(self, **inputs):
            return matching_loss(score_all_pairs(self.model, inputs))

    losses = descend(Ranks(), inputs, lambda loss: loss, 40, 1e-2)
    assert losses[-1] < 0.5 * losses[0]


@torch.no_grad()
def test_a_pair_scores_alike_among_all_and_alone():
    model = ranker()
    inputs = {**words(), "pixel_values": pictures(2), "pixel_mask": torch.ones(2, 64, 64, dtype=torch.long)}
    scores = score_all_pairs(model, inputs)
    assert scores.shape == (2, 3)
    alone = {name: value[1:2] for name, value in inputs.items()}
    torch.testing.assert_close(model(**alone).logits[0, 0], scores[1, 1], rtol=1e-4, atol=1e-5)


def test_a_head_that_is_not_the_first_loads_as_what_it_is(tmp_path):
    names = {0: "yes", 1: "no"}
    hfmm.create_model("vilt", auto="AutoModelForVisualQuestionAnswering", id2label=names).save_pretrained(tmp_path)
    hfmm.create_processor("vilt").save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert type(loaded.model) is ViltForQuestionAnswering
    assert loaded.row.tasks[0] == "visual-question-answering"
    hfmm.create_model("vilt").save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert type(loaded.model) is ViltForImageAndTextRetrieval
    assert loaded.row.tasks[0] == "image-text-retrieval"


def test_words_are_whole_pieces_and_unknown_ones_are_spelled():
    tokenizer = word_piece_tokenizer(["a red star", "a blue star"], max_length=8, vocab_size=200)
    assert len(tokenizer) == 200
    assert tokenizer.tokenize("A red STAR") == ["a", "red", "star"]
    assert tokenizer.tokenize("zebra") == ["z", "##e", "##b", "##r", "##a"]
    ids = tokenizer("a red star").input_ids
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "a", "red", "star", "[SEP]"]
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id) == (0, 4)


def test_a_saved_processor_comes_back(tmp_path):
    processor = hfmm.create_processor("vilt")
    processor.save_pretrained(tmp_path)
    given = {
        "images": [Image.linear_gradient("L").convert("RGB")] * 2,
        "text": ["a red star", "zebra"],
        "padding": True,
    }
    found = AutoProcessor.from_pretrained(tmp_path)(**given, return_tensors="pt")
    for name, value in processor(**given, return_tensors="pt").items():
        assert torch.equal(found[name], value)
