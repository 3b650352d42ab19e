"""A tiny LLaVA, its processor and dialogues for tests."""

import torch
from PIL import Image
from transformers import CLIPVisionConfig, CLIPVisionModel

import hfmm
from hfmm.models.generalist.llava.configuration_llava import LlavaV1Config
from hfmm.nn.chat_processing import chat_processor
from tests.testing import Computes, seeded

SIDE, PATCH = 32, 16
TOWER = {
    "model_type": "clip_vision_model",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": PATCH,
}
LANGUAGE = {
    "model_type": "llama",
    "vocab_size": 60,
    "hidden_size": 12,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 3,
    "initializer_range": 0.2,
}
WORDS = ("what color is the circle", "where is it", "red", "top left", "a red circle", "how many shapes are there", "2")


def config(**overrides):
    fields = {"vision_config": TOWER, "text_config": LANGUAGE, "image_token_index": 4, "image_seq_length": 4}
    return LlavaV1Config(**{**fields, **overrides})


def processor(template="v0", **settings):
    return chat_processor(
        WORDS, **{"image_size": SIDE, "patch_size": PATCH, "template": template, "system": "", **settings}
    )


def save_tower(folder):
    """A CLIP-type picture tower with its image processor."""
    torch.manual_seed(0)
    CLIPVisionModel(CLIPVisionConfig(**TOWER)).save_pretrained(folder)
    processor().image_processor.save_pretrained(folder)
    return str(folder)


def model(reader=None, name="llava", seed=0, **overrides):
    """A model whose language model knows the words of a processor."""
    vocabulary = len((reader or processor()).tokenizer)
    with seeded(seed):
        return hfmm.create_model(
            name,
            vision_config={**TOWER},
            text_config={**LANGUAGE, "vocab_size": vocabulary},
            image_token_index=4,
            **overrides,
        ).eval()


def picture(color=(200, 30, 30)):
    return Image.new("RGB", (SIDE, SIDE), color)


def dialogue(*turns, pictures=1):
    """Messages of (question, answer) pairs, the pictures before the first question; an answer may be left out."""
    messages = []
    for number, (question, *answer) in enumerate(turns):
        shown = [] if number else [{"type": "image"}] * pictures
        messages.append({"role": "user", "content": [*shown, {"type": "text", "text": question}]})
        messages += [{"role": "assistant", "content": [{"type": "text", "text": said}]} for said in answer]
    return messages


TWO_TURNS = dialogue(("what color is the circle", "red"), ("where is it", "top left"))


class ComputesByRow(Computes):
    """Rows apart from the patches of all pictures, which upstream joins."""

    @torch.no_grad()
    def test_a_batch_of_two_equals_two_singles(self):
        model, inputs = self.model(), self.inputs()
        together = model(**inputs).logits
        for row in range(2):
            alone = model(**{name: value[row : row + 1] for name, value in inputs.items()}).logits
            torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)
