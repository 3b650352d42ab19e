"""CLIP's tokenizer, learned from any corpus, and upstream's processor over it.

Bytes and the pairs of pieces that are merged, lower case, every text between `<|startoftext|>` and `<|endoftext|>`: no
text has a word that it does not know. All parts are upstream classes, so a saved processor loads anywhere.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.trainers import BpeTrainer
from transformers import CLIPProcessor, CLIPTokenizer

from hfmm.nn.central_square import central_square

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
PRIVATE = 0xE000  # letters that no text has
MOST_MERGES = 48_894  # CLIP's own


def byte_letters() -> list[str]:
    """A printable letter for each byte, in the order of GPT-2's table, which CLIP's ids follow."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]


def byte_pair_tokenizer(
    merges: Sequence[tuple[str, str]], max_length: int = 77, vocab_size: int | None = None
) -> CLIPTokenizer:
    """Build a tokenizer whose ids are in CLIP's order: bytes, bytes that end a word, merged pieces, start, end.

    Args:
        merges: Pairs of pieces, first learned first.
        max_length: Tokens of a text, start and end included, where it is truncated.
        vocab_size: Fill up with pieces that no text has, so that start and end are the last two of so many.
    """
    letters = byte_letters()
    pieces = [*letters, *(letter + WORD_END for letter in letters), *("".join(pair) for pair in merges)]
    unused = range(len(pieces), (vocab_size or 0) - 2)
    pieces += [*(f"<|unused{number}|>" for number in unused), START, END]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    pairs: list[Any] = list(merges)  # which upstream annotates as text
    return CLIPTokenizer(vocabulary, pairs, model_max_length=max_length)


def learn_merges(captions: Iterable[str], min_count: int = 2, max_merges: int = MOST_MERGES) -> list[tuple[str, str]]:
    """Learn which pairs of pieces to merge, the most frequent first.

    Args:
        captions: The corpus.
        min_count: Merge what is seen so often.
        max_merges: At most so many.
    """
    template = CLIPTokenizer().backend_tokenizer
    letters = byte_letters()
    last = {letter: chr(PRIVATE + place) for place, letter in enumerate(letters)}  # of a word: one letter, not two
    spoken = {**{value: letter + WORD_END for letter, value in last.items()}, **{letter: letter for letter in letters}}
    words = (
        word[:-1] + last[word[-1]]
        for caption in captions
        for word, _ in template.pre_tokenizer.pre_tokenize_str(template.normalizer.normalize_str(caption))
    )
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = WhitespaceSplit()
    trainer = BpeTrainer(
        vocab_size=len(spoken) + max_merges, min_frequency=min_count, initial_alphabet=list(spoken), show_progress=False
    )  # given the word ends as suffixes, it would number them as it meets them, in another order every time
    tokenizer.train_from_iterator(words, trainer)
    found = json.loads(tokenizer.to_str())["model"]["merges"]
    told = [("".join(map(spoken.__getitem__, left)), "".join(map(spoken.__getitem__, right))) for left, right in found]
    return told[:max_merges]


def pair_processor(
    captions: Iterable[str],
    image_size: int = 224,
    image_mean: Sequence[float] = (0.48145466, 0.4578275, 0.40821073),
    image_std: Sequence[float] = (0.26862954, 0.26130258, 0.27577711),
    min_count: int = 2,
    max_words: int | None = None,
    max_length: int = 77,
    vocab_size: int | None = None,
) -> CLIPProcessor:
    """Build a processor of pictures and texts.

    Args:
        captions: The corpus that the tokenizer learns from.
        image_size: Of the central square that pictures are cut to, in pixels.
        image_mean: Of the channels.
        image_std: Of these.
        min_count: Merge pairs of pieces that are seen so often.
        max_words: At most so many merged pieces; as many as CLIP's by default.
        max_length: See [`byte_pair_tokenizer`].
        vocab_size: See [`byte_pair_tokenizer`].
    """
    image_processor = central_square(image_size, image_mean, image_std)
    merges = learn_merges(captions, min_count, max_words or MOST_MERGES)
    return CLIPProcessor(image_processor, byte_pair_tokenizer(merges, max_length, vocab_size))
