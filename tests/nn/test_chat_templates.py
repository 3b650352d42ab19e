"""LLaVA's templates as its code writes them, a tokenizer of any corpus, and a language model's own template."""

import json

import pytest
import torch
from transformers import AutoProcessor

from hfmm.nn.chat_processing import SPECIAL, add_placeholder, chat_tokenizer, processor_over, set_template
from hfmm.nn.chat_templates import OWN, SYSTEMS, TEMPLATES, chat_template
from tests.models.generalist import tiny_llava as tiny

V0 = SYSTEMS["v0"]
GOLDEN = {  # of two turns, the second not yet answered
    "plain": "<image>red\n",
    "v0": f"{V0}###Human: <image>\nwhat color is the circle###Assistant: red###Human: where is it###Assistant:",
    "v0_mmtag": (
        f"{SYSTEMS['v0_mmtag']}###Human: <Image><image></Image>\nwhat color is the circle###Assistant: red###"
        "Human: where is it###Assistant:"
    ),
    "v1": f"{V0} USER: <image>\nwhat color is the circle ASSISTANT: red</s>USER: where is it ASSISTANT:",
    "llama_2": (
        f"[INST] <<SYS>>\n{SYSTEMS['llama_2']}\n<</SYS>>\n\n<image>\nwhat color is the circle [/INST] red </s>"
        "<s>[INST] where is it [/INST]"
    ),
}
ASKED = tiny.dialogue(("what color is the circle", "red"), ("where is it",))
CHATML = (  # a language model's own, which joins texts
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
    "'\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_strings(name):
    reader = tiny.processor(name, system=None)
    assert reader.apply_chat_template(ASKED, add_generation_prompt=True) == GOLDEN[name]


def test_every_template_is_known():
    assert set(TEMPLATES) == {*GOLDEN, OWN}
    with pytest.raises(ValueError, match="no conversation template 'v2': known are plain"):
        chat_template("v2")


@pytest.mark.parametrize("name", ["v0", "v1", "llama_2"])
def test_a_dialogues_own_system_message_takes_the_templates_place(name):
    reader = tiny.processor(name, system=None)
    told = reader.apply_chat_template([{"role": "system", "content": "Be brief."}, *tiny.TWO_TURNS])
    assert "Be brief." in told
    assert SYSTEMS[name] not in told
    assert SYSTEMS[name] in reader.apply_chat_template(tiny.TWO_TURNS)


def test_no_system_message_is_written_where_there_is_none():
    told = tiny.processor("v0").apply_chat_template(tiny.TWO_TURNS)
    assert told.startswith("Human: <image>\n")


def test_pictures_stand_where_they_are_spoken_of():
    content = [{"type": "text", "text": "first"}, {"type": "image"}, {"type": "image"}, {"type": "text", "text": "?"}]
    told = tiny.processor("v1").apply_chat_template([{"role": "user", "content": content}])
    assert told == "USER: first\n<image>\n<image>\n? "


def test_a_language_models_own_template_gets_texts():
    reader = tiny.processor()
    set_template(reader, OWN, own=CHATML)
    assert reader.apply_chat_template(ASKED, add_generation_prompt=True) == (
        "<|im_start|>user\n<image>\nwhat color is the circle<|im_end|>\n<|im_start|>assistant\nred<|im_end|>\n"
        "<|im_start|>user\nwhere is it<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_quotation_mark_in_a_system_message_stays_one():
    reader = tiny.processor(system='Say "yes" \\ no.\nAlways.')
    assert reader.apply_chat_template(ASKED).startswith('Say "yes" \\ no.\nAlways.###Human: ')


def test_a_tokenizer_gives_any_text_back():
    tokenizer = chat_tokenizer(["a red circle"], vocab_size=400)
    assert len(tokenizer) == 400
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL)) == list(range(len(SPECIAL)))
    text = "a red circle, ein Kreis: ○\n  zwei"
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    assert tokenizer("red")["input_ids"][0] == tokenizer.bos_token_id
    assert tokenizer.tokenize(" red circle") == ["Ġred", "Ġcircle"]


def test_a_tokenizer_is_a_function_of_its_corpus():
    texts = [json.dumps(tiny.TWO_TURNS), *tiny.WORDS] * 3
    first, second = (chat_tokenizer(texts).backend_tokenizer.to_str() for _ in range(2))
    assert first == second


def test_a_saved_processor_comes_back(tmp_path):
    reader = tiny.processor("v1", system=None)
    reader.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert type(loaded) is type(reader)
    assert loaded.chat_template == reader.chat_template
    text = reader.apply_chat_template(tiny.TWO_TURNS)
    given = {"images": [tiny.picture()], "text": [text], "return_tensors": "pt"}
    for name, value in reader(**given).items():
        assert torch.equal(loaded(**given)[name], value)


def test_any_tokenizer_gets_a_placeholder_and_something_to_fill_up_with():
    tokenizer = chat_tokenizer(tiny.WORDS)
    tokenizer.pad_token = None
    before = len(tokenizer)
    add_placeholder(tokenizer)
    reader = processor_over(tiny.processor().image_processor, tokenizer, tiny.PATCH)
    assert len(tokenizer) == before  # it was there
    assert reader.image_token_id == SPECIAL.index("<image>")
    assert tokenizer.pad_token == "<unk>"
