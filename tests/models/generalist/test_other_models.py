"""Models that converse about pictures through upstream classes alone: what is done with LLaVA is done with them."""

import json

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, PreTrainedConfig

import hfmm
from hfmm import loading
from hfmm.data.dialogues import IGNORED, DialogueCollator, encode
from hfmm.errors import UsageError
from hfmm.explanation.conversing import explain_dialogue
from hfmm.training import lora
from hfmm.training.objectives.base import StepContext
from hfmm.training.objectives.instruction import Instruction
from hfmm.training.packing import can_pack
from tests.models.generalist.other_models import KINDS, STOP
from tests.testing import seeded

WIDE, TALL = Image.new("RGB", (90, 50), "red"), Image.new("RGB", (48, 96), "blue")
ASKED = (("what color", [WIDE]), ("and these", [TALL, WIDE]), ("say something", []))
FLAGS = {"batch_size": 2, "max_steps": 2, "save_every": 1, "device": "cpu", "quiet": True, "precision": "fp32"}
FEW = {"evaluation.size": 1, "data.workers": 0, "lora.rank": 2}


@pytest.fixture(scope="module", params=KINDS)
def saved(request, tmp_path_factory):
    with seeded():
        model, processor = KINDS[request.param]()
    folder = tmp_path_factory.mktemp("others") / request.param
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def loaded(saved):
    return loading.load(saved)


def talk(pictures):
    return [
        {"role": "user", "content": [{"type": "image"}] * pictures + [{"type": "text", "text": "what color"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "red"}]},
        {"role": "user", "content": [{"type": "text", "text": "and the star"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "blue cross"}]},
    ]


def read(processor):
    return [{"id": str(count), **encode(processor, talk(count), [WIDE, TALL][:count], "one")} for count in (1, 2, 0, 1)]


def test_llava_1_5_stands_in(loaded, saved):
    assert (loaded.row.name, loaded.row.stands_in) == ("llava_1_5", True)
    assert type(loaded.model).__name__ == loaded.row.auto[0][1]
    assert loaded.row.upstream == json.loads((saved / "config.json").read_text())["model_type"]


def test_answers_alone_are_learned(loaded):
    for example in read(loaded.processor):
        learned = [label for label in example["labels"] if label != IGNORED]
        assert loaded.processor.tokenizer.decode(learned) == f"red{STOP}\nblue cross{STOP}\n"
        whole = loaded.processor.apply_chat_template(talk(int(example["id"])))
        pictures = [WIDE, TALL][: int(example["id"])]
        expected = loaded.processor(text=whole, images=pictures or None, add_special_tokens=True)["input_ids"][0]
        assert example["input_ids"] == list(expected)


def test_a_packed_batch_has_the_loss_of_a_padded_one(loaded):
    batch = DialogueCollator(loaded.processor)(read(loaded.processor))
    context = StepContext(0, torch.Generator(), gather=lambda values: values, unwrap=lambda module: module)
    losses = []
    for packed in (True, False):
        objective = Instruction({"model": loaded.model}, {}, {"packed": packed})
        (turn,) = objective.turns(batch, context)
        losses.append(turn.loss / turn.count)
    alone = [
        loaded.model(**{name: rows for name, rows in one.items() if name != "example_ids"}).loss
        for one in (DialogueCollator(loaded.processor)([row]) for row in read(loaded.processor))
    ]
    counts = [sum(label != IGNORED for label in row["labels"]) for row in read(loaded.processor)]
    expected = sum(loss * count for loss, count in zip(alone, counts, strict=True)) / sum(counts)
    torch.testing.assert_close(torch.stack(losses), expected.expand(2), rtol=1e-5, atol=1e-5)


def test_language_models_that_are_not_packed():
    batch = {"input_ids": torch.ones(1, 3)}
    assert can_pack(PreTrainedConfig(), batch)
    assert not can_pack(PreTrainedConfig(), batch | {"mm_token_type_ids": torch.ones(1, 3)})
    for limit in (
        {"sliding_window": 8}, {"attn_logit_softcapping": 50.0}, {"rope_parameters": {"mrope_section": [2, 3, 3]}},
        {"layer_types": ["full_attention", "sliding_attention"]},
    ):  # fmt: skip
        assert not can_pack(PreTrainedConfig(**limit), batch)


def test_answers_of_a_batch_are_those_of_each_alone(saved):
    chat = hfmm.LlavaChat(saved)
    texts, pictures = zip(*ASKED, strict=True)
    together = chat.ask_each(texts, pictures, max_new_tokens=4)
    assert together == [chat.ask_each([text], [shown], max_new_tokens=4)[0] for text, shown in ASKED]
    for text, shown in ASKED:
        chat.ask(text, shown, max_new_tokens=2)
    assert len(chat.messages) == 2 * len(ASKED)
    chat.clear()
    assert "".join(chat.stream(*ASKED[0], max_new_tokens=4)).strip() == together[0]


def test_adapters_reach_the_language_model_and_not_the_tower(loaded):
    assert {"language", "vision", "projector"} <= {*lora.parts(loaded.model)}
    chosen = lora.layers(loaded.model, ["language"])
    assert chosen
    assert not any("vision" in name for name in chosen)
    with pytest.raises(UsageError, match="also reaches"):
        lora.layers(loaded.model, [r".*\.(q_proj|k_proj|v_proj)"])


def test_a_run_from_adapters_to_one_published_model(saved, tmp_path):
    given = {**FLAGS, "init_from": str(saved), "data": "scenes:dialogue"}
    run = hfmm.train("llava_1_5", tmp_path / "run", recipe="lora", overrides=FEW, **given).output_dir
    chat = hfmm.LlavaChat(run)
    said = chat.ask_each(["what"], [[WIDE]], max_new_tokens=4)
    row = hfmm.evaluate(run, limit=2)[-1]
    assert row["preset"] is None
    assert row["metrics"].keys() >= {"exact", "blind"}
    card = (run / "README.md").read_text()
    assert f"# {chat.loaded.row.title}" in card
    assert "Liu" not in card  # LLaVA's paper is not its own
    folder = tmp_path / "merged"
    hfmm.publish(run, "me/other", local_dir=folder, merge=True)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    assert type(model) is type(chat.loaded.model)
    assert hfmm.LlavaChat(folder).ask_each(["what"], [[WIDE]], max_new_tokens=4) == said


def test_the_published_card_shows_how_to_converse(saved, tmp_path, monkeypatch, capsys):
    hfmm.publish(saved, "me/other", local_dir=tmp_path / "me" / "other")
    WIDE.save(tmp_path / "picture.jpg")
    monkeypatch.chdir(tmp_path)
    code = (tmp_path / "me" / "other" / "README.md").read_text().split("```python\n")[1].split("```")[0]
    assert "trust_remote_code" not in code  # there is none
    exec(code)  # as a reader would
    assert capsys.readouterr().out


def test_all_of_it_learns_in_fp32_though_it_is_stored_in_half(saved, tmp_path):
    half = tmp_path / "half"
    loading.load(saved).model.to(torch.float16).save_pretrained(half)
    loading.load(saved).processor.save_pretrained(half)
    given = {**FLAGS, "init_from": str(half), "data": "scenes:dialogue"}
    overrides = {"evaluation.size": 1, "data.workers": 0}
    run = hfmm.train("llava_1_5", tmp_path / "run", overrides=overrides, **given).output_dir
    learned, before = (dict(loading.load(where).model.named_parameters()) for where in (run, half))
    assert {parameter.dtype for parameter in AutoModelForImageTextToText.from_pretrained(run).parameters()} == {
        torch.float32
    }
    moved = [name for name, parameter in learned.items() if not torch.equal(parameter, before[name])]
    assert any("language_model" in name or "text_model" in name for name in moved)
    assert any("projector" in name or "connector" in name for name in moved)
    assert not any("vision" in name for name in moved)  # the recipe freezes the picture tower


def test_where_an_answer_looked():
    with seeded():
        model, processor = KINDS["idefics3"]()
    found = explain_dialogue(model.eval(), processor, WIDE, ["what"])
    (turn,) = found.data["turns"]
    assert torch.tensor(turn["attention"]).shape[1:] == (2, 2)  # of the tile that is all of the picture


def test_a_processor_that_does_not_tell_where_pictures_stand_is_refused(monkeypatch):
    _, processor = KINDS["llava_next"]()
    told = type(processor).__call__

    def silent(self, *args, return_text_replacement_offsets, **kwargs):  # as those of some models are
        return told(self, *args, **kwargs)

    monkeypatch.setattr(type(processor), "__call__", silent)
    with pytest.raises(UsageError, match="does not tell where in a text pictures stand"):
        encode(processor, talk(1), [WIDE], "one")


def test_a_model_without_a_template_is_refused(tmp_path):
    model, processor = KINDS["llava_next"]()
    processor.chat_template = None
    for part in (model, processor):
        part.save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="'llava_next', which has no chat template with"):
        loading.load(tmp_path)
