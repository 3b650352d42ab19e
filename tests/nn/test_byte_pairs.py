"""The byte-pair tokenizer: CLIP's own from its merges, learned ones, and a processor that comes back."""

import gzip
import subprocess
import sys

import pytest
from PIL import Image
from transformers import AutoProcessor, CLIPProcessor

from hfmm.data import scenes
from hfmm.nn.byte_pairs import byte_pair_tokenizer, learn_merges, pair_processor
from tests.testing import assert_equal_outputs, shared_data

CORPUS = ["a small red star in the top left", "a blue ring , and a green heart", "a red ring"]


def test_clips_own_merges_give_clips_own_ids():
    path = shared_data("vocab") / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")[1 : 49_152 - 256 - 2 + 1]
    tokenizer = byte_pair_tokenizer([tuple(line.split()) for line in lines])
    assert len(tokenizer) == 49_408
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]


def test_every_word_of_the_grammar_becomes_one_piece():
    words = scenes.vocabulary()
    tokenizer = byte_pair_tokenizer(learn_merges(words, min_count=1))
    assert [word for word in words if len(tokenizer.tokenize(word)) != 1] == []


def test_learning_is_the_same_in_any_process():
    code = f"from hfmm.nn.byte_pairs import learn_merges; print(learn_merges({CORPUS}, min_count=1))"
    found = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)]
    assert found == [f"{learn_merges(CORPUS, min_count=1)}\n"] * 2


def test_the_most_frequent_pairs_come_first_and_rare_ones_not_at_all():
    merges = learn_merges(["ab ab ab", "cd cd", "ef"])
    assert merges == [("a", "b</w>"), ("c", "d</w>")]
    assert learn_merges(["ab ab ab", "cd cd", "ef"], max_merges=1) == merges[:1]


def test_any_text_is_known_and_comes_back():
    processor = pair_processor(CORPUS)
    texts = ["a small red star", "ünïcode 3 dogs", "日本 !"]
    ids = processor(text=texts, padding=True, return_tensors="pt")["input_ids"]
    assert processor.tokenizer.batch_decode(ids, skip_special_tokens=True) == texts


def test_texts_are_cut_before_their_end():
    processor = pair_processor(CORPUS, max_length=6)
    tokenizer = processor.tokenizer
    ids = processor(text=[CORPUS[0], "a"], padding=True, truncation=True, return_tensors="pt")["input_ids"]
    assert ids.shape == (2, 6)
    assert ids[:, 0].tolist() == [tokenizer.bos_token_id] * 2
    assert ids[0, -1] == ids[1, 2] == tokenizer.eos_token_id


def test_start_and_end_may_be_the_last_of_a_larger_vocabulary():
    tokenizer = byte_pair_tokenizer(learn_merges(CORPUS), vocab_size=1000)
    assert (len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id) == (1000, 998, 999)


@pytest.mark.parametrize("vocab_size", [None, 900])
def test_a_saved_processor_comes_back(tmp_path, vocab_size):
    processor = pair_processor(CORPUS, image_size=8, max_length=16, vocab_size=vocab_size)
    processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert type(loaded) is CLIPProcessor
    given = {"images": [Image.new("RGB", (9, 12), "red")] * 2, "text": [CORPUS[0] * 4, "unheard of"]}
    prepared = [each(**given, padding=True, truncation=True, return_tensors="pt") for each in (loaded, processor)]
    assert_equal_outputs(*prepared)
    assert set(prepared[0]) == {"pixel_values", "input_ids", "attention_mask"}
