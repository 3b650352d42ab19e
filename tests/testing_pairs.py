"""The contract of models that embed pictures and sentences together; see `tests/testing.py`."""

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoProcessor

from tests.testing import Architecture, assert_equal_outputs, seeded
from tests.testing_generation import Processes


class EmbedsPairs(Architecture):
    """Models with `get_image_features`, `get_text_features`, `score` and `pair_loss`.

    Their `inputs()` has `return_loss` as a tensor. It stands before `ModelTests`, one of whose tests it changes.
    """

    @torch.no_grad()
    def test_a_batch_of_two_equals_two_singles(self):
        model, inputs = self.model(), self.pairs()
        together = model(**{name: value[:2] for name, value in inputs.items()})
        for row in range(2):
            alone = model(**{name: value[row : row + 1] for name, value in inputs.items()})
            for name in ("image_embeds", "text_embeds"):
                torch.testing.assert_close(alone[name][0], together[name][row], rtol=1e-4, atol=1e-5)
            expected = together.logits_per_image[row, row]
            torch.testing.assert_close(alone.logits_per_image[0, 0], expected, rtol=1e-4, atol=1e-5)

    def pairs(self) -> dict[str, Tensor]:
        return {name: value for name, value in self.inputs().items() if name != "return_loss"}

    @torch.no_grad()
    def test_pictures_and_sentences_can_be_embedded_apart(self):
        model, inputs = self.model(), self.inputs()
        output = model(**inputs)
        image_embeds = model.get_image_features(inputs["pixel_values"]).pooler_output
        text_embeds = model.get_text_features(inputs["input_ids"], inputs["attention_mask"]).pooler_output
        found = {
            "image_embeds": image_embeds,
            "text_embeds": text_embeds,
            "logits_per_image": model.score(image_embeds, text_embeds),
            "loss": model.pair_loss(image_embeds, text_embeds),
        }
        for name, value in found.items():
            torch.testing.assert_close(value, output[name], rtol=1e-5, atol=1e-6)
        assert torch.equal(output.logits_per_text, output.logits_per_image.T)

    @torch.no_grad()
    def test_there_may_be_more_sentences_than_pictures(self):
        inputs = self.pairs()
        inputs["pixel_values"] = inputs["pixel_values"][:2]
        output = self.model()(**inputs)
        assert output.loss is None
        assert output.logits_per_image.shape == (2, len(inputs["input_ids"]))

    @torch.no_grad()
    def test_padding_changes_no_sentence(self):
        model, inputs = self.model(), self.pairs()
        input_ids, attention_mask = inputs["input_ids"], inputs["attention_mask"]
        more = torch.full((len(input_ids), 3), model.config.pad_token_id)
        padded = torch.cat([input_ids, more], 1), torch.cat([attention_mask, torch.zeros_like(more)], 1)
        expected = model.get_text_features(input_ids, attention_mask).pooler_output
        torch.testing.assert_close(model.get_text_features(*padded).pooler_output, expected)

    @pytest.mark.parametrize("missing", ["pixel_values", "input_ids"])
    def test_without_pictures_or_sentences_there_is_one_clear_line(self, missing):
        with pytest.raises(ValueError, match=rf"{missing}.* missing: give the"):
            self.model()(**{name: value for name, value in self.pairs().items() if name != missing})


class ProcessesPairs(Processes):
    """Processors that are called as CLIP's."""

    def prepared(self, processor: Any, captions: list[str]) -> Any:
        pictures = [self.picture()] * len(captions)
        return processor(images=pictures, text=captions, padding=True, truncation=True, return_tensors="pt")

    def test_a_saved_processor_comes_back(self, tmp_path):
        processor = self.processor()
        self.prepared(processor, self.captions())  # how a batch was cut and padded is no part of what is saved
        processor.save_pretrained(tmp_path)
        loaded = AutoProcessor.from_pretrained(tmp_path)
        assert type(loaded) is self.processor_class
        with warnings.catch_warnings(action="error"):
            assert loaded(text=self.captions()[:1], padding=True).keys() == {"input_ids", "attention_mask"}
        captions = [*self.captions(), "a word nobody knows", "a", " ".join(self.captions() * 200)]
        found = self.prepared(loaded, captions)
        assert set(found) == {"pixel_values", "input_ids", "attention_mask"}
        assert found["input_ids"].shape[1] <= processor.tokenizer.model_max_length
        assert_equal_outputs(found, self.prepared(processor, captions))

    def test_its_words_come_back(self):
        processor = self.processor()
        ids = processor.tokenizer(self.captions())["input_ids"]
        assert processor.tokenizer.batch_decode(ids, skip_special_tokens=True) == self.captions()

    def test_the_model_takes_what_the_processor_gives(self):
        processor, config = self.processor(), self.config()
        config.vocab_size = len(processor.tokenizer)
        with seeded():
            model = self.model_class(config).eval()
        assert model(**self.prepared(processor, self.captions()), return_loss=True).loss.isfinite()
