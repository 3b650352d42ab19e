"""BERT's tokenizer over the words of any corpus, and upstream's processors of pictures and such words.

Words are whole pieces, and so are letters: a word that was not seen is spelled. All parts are upstream classes, so a
saved processor loads anywhere.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from string import ascii_lowercase, digits
from typing import Any

from transformers import BertTokenizer, ViltImageProcessorPil, ViltProcessor

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0 to 4


def word_piece_tokenizer(
    captions: Iterable[str],
    max_length: int = 40,
    min_count: int = 1,
    max_words: int | None = None,
    vocab_size: int | None = None,
) -> BertTokenizer:
    """Build a tokenizer of lower-case words, most frequent first, and of letters.

    Args:
        captions: The corpus.
        max_length: Pieces of a text, `[CLS]` and `[SEP]` included, where it is truncated.
        min_count: Keep words seen at least so often.
        max_words: Keep at most so many words.
        vocab_size: Fill up with pieces that no text has to so many.
    """
    template = BertTokenizer().backend_tokenizer
    counts: Counter[str] = Counter()
    for caption in captions:
        said = template.pre_tokenizer.pre_tokenize_str(template.normalizer.normalize_str(caption))
        counts.update(word for word, _ in said)
    letters = sorted({*ascii_lowercase, *digits}.union(*counts))
    kept = [word for word in counts if counts[word] >= min_count and len(word) > 1]
    words = sorted(kept, key=lambda word: (-counts[word], word))[:max_words]
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), *words]
    pieces += [f"[unused{number}]" for number in range(len(pieces), vocab_size or 0)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return BertTokenizer(vocabulary, model_max_length=max_length)


def word_piece_processor(  # noqa: PLR0913  settings of a preset
    captions: Iterable[str],
    image_size: int = 384,
    size_divisor: int = 32,
    image_mean: Sequence[float] = (0.5, 0.5, 0.5),
    image_std: Sequence[float] = (0.5, 0.5, 0.5),
    max_length: int = 40,
    min_count: int = 1,
    max_words: int | None = None,
    vocab_size: int | None = None,
) -> ViltProcessor:
    """Build ViLT's processor of pictures and texts.

    Args:
        captions: See [`word_piece_tokenizer`].
        image_size: Of a picture's shorter side, in pixels; the longer is at most 1333/800 of it.
        size_divisor: Both sides are multiples of this, that of a patch.
        image_mean: Of the channels.
        image_std: Of these.
        max_length: See [`word_piece_tokenizer`].
        min_count: See [`word_piece_tokenizer`].
        max_words: See [`word_piece_tokenizer`].
        vocab_size: See [`word_piece_tokenizer`].
    """
    settings: dict[str, Any] = {
        "size": {"shortest_edge": image_size},
        "crop_size": {"height": image_size, "width": image_size},  # what readers of pictures may shrink them to
        "size_divisor": size_divisor,
        "image_mean": list(image_mean),
        "image_std": list(image_std),
    }
    image_processor = ViltImageProcessorPil(**settings)
    return ViltProcessor(image_processor, word_piece_tokenizer(captions, max_length, min_count, max_words, vocab_size))
