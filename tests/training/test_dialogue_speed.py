"""What makes instruction tuning fast changes no loss: rows without padding, logits of answers, remembered features."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from hfmm.data.dialogues import IGNORED, DialogueCollator
from hfmm.data.keyed import keyed_random
from hfmm.errors import UsageError
from hfmm.nn.chat_processing import chat_processor
from hfmm.training import towers
from hfmm.training.objectives.base import StepContext
from hfmm.training.objectives.instruction import Instruction
from hfmm.training.optim import set_training
from hfmm.training.packing import LIKE, pack, rounded
from tests.testing import seeded

WORDS = ["red", "star", "where", "is", "it", "left", "what", "color"]
CONTEXT = StepContext(0, torch.Generator(), lambda tensor: tensor, lambda module: module)


def reader(key_heads=2, layer=-2):
    """A tiny LLaVA 1.5 whose tower is frozen."""
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = CLIPVisionConfig(**tower, image_size=16, patch_size=8)
    text = LlamaConfig(
        **tower, vocab_size=400, num_key_value_heads=key_heads, max_position_embeddings=512, initializer_range=0.3
    )
    with seeded():
        config = LlavaConfig(
            vision_config=vision, text_config=text, image_token_index=4, image_seq_length=4, vision_feature_layer=layer
        )
        model = LlavaForConditionalGeneration(config)
    model.model.vision_tower.requires_grad_(False)
    set_training(model)
    return model


@pytest.fixture(scope="module")
def processor():
    return chat_processor(WORDS, image_size=16, patch_size=8, template="v1", system="")


def picture(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8))


def dialogue(number, turns, pictures=1):
    """A dialogue, some of whose answers are long."""
    messages = []
    for turn in range(turns):
        shown = [{"type": "image"}] * (pictures if turn == 0 else 0)
        said = " ".join(WORDS[: 1 + (number + turn) % len(WORDS)] * (1 + 3 * number))
        messages += [
            {"role": "user", "content": [*shown, {"type": "text", "text": "what color is it"}]},
            {"role": "assistant", "content": [{"type": "text", "text": said}]},
        ]
    return {
        "id": str(number),
        "images": [picture(10 * number + shown) for shown in range(pictures)],
        "messages": messages,
    }


EXAMPLES = [dialogue(0, 2), dialogue(1, 1, pictures=2), dialogue(2, 2, pictures=0), dialogue(3, 3), dialogue(4, 1)]


def batch_of(collator, examples=EXAMPLES):
    return collator([collator.draw(example, keyed_random(int(example["id"]))) for example in examples])


def learned(model, batch, **settings):
    """Loss, count and gradients of the objective's turn."""
    model.zero_grad()
    turn = next(Instruction({"model": model}, {}, settings).turns(batch, CONTEXT))
    turn.loss.backward()
    return turn.loss.detach(), turn.count, gradients(model)


def gradients(model):
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


def assert_same(found, expected):
    """Losses to 1e-5, gradients to 1e-4 of the largest."""
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=0)
    assert found[1] == expected[1]
    assert found[2].keys() == expected[2].keys()
    for name, gradient in expected[2].items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(found[2][name], gradient, rtol=0, atol=1e-4 * scale + 1e-6, msg=name)


def plainly(model, batch):
    """The same as upstream computes it: padded rows, logits of all tokens."""
    model.zero_grad()
    output = model(**{key: value for key, value in batch.items() if key != "example_ids"})
    count = (batch["labels"][:, 1:] != IGNORED).sum()
    (output.loss * count).backward()
    return output.loss.detach() * count, count, gradients(model)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("key_heads", [2, 1])
def test_rows_without_padding_and_logits_of_answers_give_the_same_step(processor, packed, key_heads):
    model, batch = reader(key_heads), batch_of(DialogueCollator(processor))
    lengths = batch["attention_mask"].sum(1)
    assert lengths.max() > 2 * LIKE > LIKE > lengths.min()  # several rows to attend in
    assert_same(learned(model, batch, packed=packed), plainly(model, batch))
    assert model.config.text_config._attn_implementation == "sdpa"


def test_a_text_sees_nothing_of_its_neighbors(processor):
    model, batch = reader(), batch_of(DialogueCollator(processor))
    alone = sum(learned(model, batch_of(DialogueCollator(processor), [example]))[0] for example in EXAMPLES)
    torch.testing.assert_close(learned(model, batch)[0], alone, rtol=1e-5, atol=0)


def test_packing_by_hand():
    ids = torch.tensor([[5, 6, 7], [8, 0, 0]])
    given, wanted = pack({"input_ids": ids, "attention_mask": (ids > 0).long()}, ids * 10)
    assert given["input_ids"].tolist() == [[5, 6, 7, 8]]
    assert given["position_ids"].tolist() == [[0, 1, 2, 0]]
    assert wanted.tolist() == [[50, 60, 70, 80]]
    (grid,) = given["packing"].grids
    assert grid[0].tolist() == [0, 1, 2]
    assert grid[1, 0] == 3
    assert grid.flatten()[given["packing"].back].tolist() == [0, 1, 2, 3]


def test_there_are_few_sizes_of_packed_rows():
    sizes = {rounded(count): count for count in range(1, 4097)}  # the largest of each
    assert [size for size in sizes if size <= 64] == [*range(1, 65)]
    assert len(sizes) == 64 + 6 * 32
    assert all(sizes[size] == size for size in sizes)
    ids = torch.arange(1, 102)[None]
    given, wanted = pack({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, ids)
    assert given["input_ids"].shape == given["position_ids"].shape == given["packing"].back[None].shape == (1, 102)
    assert wanted[0].tolist() == [*range(1, 102), IGNORED]


@pytest.mark.parametrize("layer", [-2, [-1, -2]])
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_remembered_features_give_the_same_step(processor, tmp_path, monkeypatch, layer, precision):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plain = DialogueCollator(processor)
    model = reader(layer=layer)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        expected = learned(model, batch_of(plain))
        collator = towers.remember(model, plain, processor, precision)
        visits = [batch_of(collator, EXAMPLES[:2]), batch_of(collator)]
        learned(model, visits[0])
        assert "features" not in visits[0]
        mixed = batch_of(collator)  # of the six pictures, three are known
        assert mixed["is_known"].tolist() == [True] * 3 + [False] * 2
        assert_same(learned(model, mixed), expected)
        known = batch_of(collator)
        assert "pixel_values" not in known
        assert_same(learned(model, known), expected)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 5


def test_what_is_remembered_is_that_of_the_weights_the_processor_and_the_picture(processor, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = towers.remember(reader(), DialogueCollator(processor), processor, "no").store.folder
    assert towers.remember(reader(), DialogueCollator(processor), processor, "no").store.folder == folder
    changed = reader()
    with torch.no_grad():
        changed.model.vision_tower.encoder.layers[0].mlp.fc1.bias[0] += 1e-6
    other = chat_processor(WORDS, image_size=16, patch_size=8, image_mean=(0.5, 0.5, 0.5), template="v1")
    others = [(changed, processor, "no"), (reader(), other, "no"), (reader(), processor, "bf16")]
    found = {towers.remember(model, DialogueCollator(one), one, how).store.folder for model, one, how in others}
    assert len(found | {folder}) == 4
    assert towers.key_of(picture(0)) == towers.key_of(picture(0)) != towers.key_of(picture(1))


def test_a_damaged_file_is_made_anew(tmp_path):
    store = towers.Store(tmp_path)
    key = bytes(range(towers.KEY))
    assert store.read(key) is None
    store.write(key, torch.arange(6.0).view(1, 2, 3))
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-4])
    assert store.read(key) is None
    store.write(key, torch.ones(1, 2, 3))
    assert torch.equal(store.read(key), torch.ones(1, 2, 3))


def test_a_tower_that_learns_cannot_remember(processor, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = reader()
    model.requires_grad_(True)
    with pytest.raises(UsageError, match="freeze it"):
        towers.remember(model, DialogueCollator(processor), processor, "no")
