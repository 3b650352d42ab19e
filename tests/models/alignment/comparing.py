"""What the tests of CLIP's two rows share: texts of the tiny tokenizer, and the contract of what compares pairs."""

from typing import Any

import torch
from torch import Tensor

from tests.testing import Architecture

START, END = 640, 641
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def words(rows: list[list[int]]) -> dict[str, Tensor]:
    """Texts between start and end, which also pads."""
    length = 2 + max(map(len, rows))
    ids = [[START, *row, *[END] * (length - 1 - len(row))] for row in rows]
    mask = [[1] * (len(row) + 2) + [0] * (length - 2 - len(row)) for row in rows]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


class Compares(Architecture):
    """Models of pairs; put it before `ModelTests`, one of whose tests is of another form here."""

    def inputs(self) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(0)
        pixel_values = torch.randn(3, 3, 16, 16, generator=generator)
        return {
            "pixel_values": pixel_values, **words([[5, 6, 7], [8, 9], [4]]), "return_loss": torch.tensor(True)
        }  # fmt: skip

    @torch.no_grad()
    def test_a_batch_of_two_equals_two_singles(self):
        model, inputs = self.model(), self.inputs()
        together = model(**inputs)
        for row in range(2):
            alone = model(**{name: value[row : row + 1] for name, value in inputs.items() if value.ndim})
            for name in ("image_embeds", "text_embeds"):
                torch.testing.assert_close(alone[name][0], together[name][row], rtol=1e-4, atol=1e-5)

    @torch.no_grad()
    def test_embeddings_have_unit_length_and_features_any(self):
        model, inputs = self.model(), self.inputs()
        output = model(**inputs)
        features = {
            "image_embeds": model.get_image_features(inputs["pixel_values"]),
            "text_embeds": model.get_text_features(inputs["input_ids"], inputs["attention_mask"]),
        }
        for name, found in features.items():
            torch.testing.assert_close(output[name].norm(dim=-1), torch.ones(3))
            expected = found.pooler_output / found.pooler_output.norm(dim=-1, keepdim=True)
            torch.testing.assert_close(output[name], expected)

    @torch.no_grad()
    def test_there_may_be_more_texts_than_pictures(self):
        inputs = {name: value for name, value in self.inputs().items() if value.ndim}
        output = self.model()(**inputs | {"pixel_values": inputs["pixel_values"][:2]})
        assert output.loss is None
        assert output.logits_per_image.shape == (2, 3)
        assert torch.equal(output.logits_per_text, output.logits_per_image.T)
