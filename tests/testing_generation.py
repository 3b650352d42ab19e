"""The contract of what generates, and of processors; see `tests/testing.py`."""

from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor

from tests.testing import Architecture, assert_equal_outputs, seeded


class Generates(Architecture):
    """Models with `generate`."""

    num_new_tokens = 8

    def generation_inputs(self) -> dict[str, Tensor]:
        return {name: value for name, value in self.inputs().items() if name != "labels"}

    def generate(self, **settings: Any) -> Any:
        defaults = {"max_new_tokens": self.num_new_tokens, "length_penalty": 0.0, "early_stopping": "never"}
        if settings.get("num_beams", 1) == 1:
            defaults = {"max_new_tokens": self.num_new_tokens}
        return self.model().generate(
            **self.generation_inputs(), return_dict_in_generate=True, output_scores=True, **{**defaults, **settings}
        )

    @torch.no_grad()
    def log_probability(self, sequences: Tensor) -> Tensor:
        """Log-probability of each sequence, whose first word is given, up to its first end word, scored anew."""
        repeats = len(sequences) // len(next(iter(self.generation_inputs().values())))
        inputs = {name: value.repeat_interleave(repeats, 0) for name, value in self.generation_inputs().items()}
        logits = self.model()(**inputs, decoder_input_ids=sequences[:, :-1]).logits
        scores = logits.float().log_softmax(-1).gather(-1, sequences[:, 1:, None])[..., 0]
        return scores.masked_fill(~self.told(sequences), 0).sum(1)

    def told(self, sequences: Tensor) -> Tensor:
        """Which words after the first are told: those up to the first end word. (B, 1 + T) -> (B, T)."""
        ends = (sequences[:, 1:] == self.config().eos_token_id).long()
        return ends.cumsum(1) - ends == 0

    @pytest.mark.parametrize("num_beams", [2, 5])
    def test_the_reported_score_is_the_log_probability(self, num_beams):
        output = self.generate(num_beams=num_beams, num_return_sequences=num_beams, do_sample=False)
        torch.testing.assert_close(
            output.sequences_scores, self.log_probability(output.sequences), rtol=1e-4, atol=1e-4
        )
        best_first = output.sequences_scores.view(-1, num_beams)
        assert (best_first.diff(dim=1) <= 0).all()

    def test_sampled_words_have_the_reported_probability(self):
        with seeded():
            output = self.generate(do_sample=True, top_k=0, num_beams=1)
        scores = self.model().compute_transition_scores(output.sequences, output.scores, normalize_logits=True)
        scores = scores.masked_fill(~self.told(output.sequences), 0)
        torch.testing.assert_close(scores.sum(1), self.log_probability(output.sequences), rtol=1e-4, atol=1e-4)

    def test_one_beam_is_greedy(self):
        greedy = self.generate(num_beams=1, do_sample=False)
        # `generate` calls its greedy loop for one beam; this calls its beam search
        beam = self.generate(
            num_beams=1, do_sample=False, length_penalty=0.0, early_stopping="never",
            custom_generate=lambda model, *arguments, **settings: model._beam_search(*arguments, **settings),
        )  # fmt: skip
        assert torch.equal(beam.sequences, greedy.sequences)
        torch.testing.assert_close(beam.sequences_scores, self.log_probability(greedy.sequences), rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("num_beams", [1, 3])
    def test_the_cache_changes_nothing(self, num_beams):
        cached = self.generate(num_beams=num_beams, do_sample=False, use_cache=True)
        whole = self.generate(num_beams=num_beams, do_sample=False, use_cache=False)
        assert torch.equal(cached.sequences, whole.sequences)
        torch.testing.assert_close(torch.stack(cached.scores), torch.stack(whole.scores), rtol=1e-4, atol=1e-4)


class Processes(Architecture):
    """Architectures with a processor over pictures and words."""

    processor_class: type

    def captions(self) -> list[str]:
        return ["a small red star in the top left", "a blue ring , and a green heart"]

    def picture(self) -> Image.Image:
        ramp = Image.linear_gradient("L").resize((80, 70))
        return Image.merge("RGB", [ramp, ramp.rotate(180), ramp.rotate(90)])

    def processor(self) -> Any:
        return self.processor_class.from_corpus(self.captions(), image_size=self.inputs()["pixel_values"].shape[-1])

    def test_a_saved_processor_comes_back(self, tmp_path):
        processor, picture = self.processor(), self.picture()
        processor.save_pretrained(tmp_path)
        loaded = AutoProcessor.from_pretrained(tmp_path)
        assert type(loaded) is self.processor_class
        captions = [*self.captions(), "a word nobody knows", ""]
        given = {"images": [picture] * 4, "return_tensors": "pt"}
        assert_equal_outputs(loaded(**given, text_target=captions), processor(**given, text_target=captions))
        assert_equal_outputs(loaded(**given, text="a small"), processor(**given, text="a small"))

    def test_its_words_come_back(self):
        processor = self.processor()
        labels = processor(text_target=self.captions())["labels"]
        words = labels.masked_fill(labels < 0, processor.tokenizer.pad_token_id)
        assert processor.post_process_image_text_to_text(words) == self.captions()

    def test_the_model_takes_what_the_processor_gives(self):
        processor, config = self.processor(), self.config()
        config.vocab_size = len(processor.tokenizer)
        with seeded():
            model = self.model_class(config).eval()
        batch = processor(images=[self.picture()] * 2, text_target=self.captions())
        assert self.loss(model(**batch)).isfinite()


class Describes(Processes):
    """Captioners in `pipeline("image-text-to-text")`."""

    def test_the_pipeline_tells_pictures_with_and_without_a_prompt(self, tmp_path):
        processor, config = self.processor(), self.config()
        config.vocab_size = len(processor.tokenizer)
        with seeded():
            self.model_class(config).save_pretrained(tmp_path)
        processor.save_pretrained(tmp_path)
        pipe = transformers.pipeline("image-text-to-text", model=str(tmp_path))
        settings = {"generate_kwargs": {"num_beams": 2, "max_new_tokens": 4}}
        for prompt in ("", "a small red"):
            (told,) = pipe(self.picture(), text=prompt, **settings)
            inputs = processor(images=self.picture(), text=prompt)
            ids = pipe.model.generate(**inputs, num_beams=2, max_new_tokens=4)
            assert told["generated_text"].strip() == processor.tokenizer.batch_decode(ids, skip_special_tokens=True)[0]
