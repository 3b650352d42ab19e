"""Structured joint embedding processor: sentences as characters, or as words."""

from collections.abc import Iterable
from typing import Any, Self

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hfmm.nn.pair_processing import PairProcessor

# Of the released code, where "-" occurs twice: its later slot is the one that is used.
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
PAD, UNKNOWN, UNUSED = "<pad>", "<unk>", "<unused>"


def character_tokenizer() -> PreTrainedTokenizerFast:
    """Build a tokenizer of lower-case characters.

    Returns:
        A tokenizer whose ids are 0 `<pad>`, 1 to 70 the slots of the alphabet, 71 `<unk>`.
    """
    vocabulary = {PAD: 0} | {character: slot for slot, character in enumerate(ALPHABET, 1)}
    vocabulary |= {UNUSED: ALPHABET.index("-") + 1, UNKNOWN: len(ALPHABET) + 1}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=UNKNOWN, pad_token=PAD,
        clean_up_tokenization_spaces=False, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


class CharCnnRnnProcessor(PairProcessor):
    """Pictures to `pixel_values`, sentences to characters of a fixed alphabet, or to words."""

    @classmethod
    def from_corpus(  # type: ignore[override]
        cls, captions: Iterable[str], level: str = "character", max_length: int = 201, **settings: Any
    ) -> Self:
        """Build a processor.

        Args:
            captions: Whose words are the vocabulary where words are read.
            level: "character" or "word".
            max_length: Characters or words of a sentence; more are cut off where `truncation` is asked for.
            settings: Those of captioners: of pictures, and `min_count` and `max_words` of words.

        Raises:
            ValueError: Another level.
        """
        if level not in ("character", "word"):
            raise ValueError(f"level is '{level}': a sentence is read by 'character' or by 'word'")
        processor = super().from_corpus(captions, **settings)
        if level == "character":
            processor.tokenizer = character_tokenizer()
        processor.tokenizer.model_max_length = max_length
        return processor
