"""The processor of the captioners: a word-level tokenizer built from a corpus beside an upstream image processor.

Both parts are upstream classes, so a saved processor needs no code of its own but its few lines of `<Name>Processor`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import BatchFeature, PreTrainedTokenizerFast, ProcessorMixin

from hfmm.nn.captioning import IGNORED
from hfmm.nn.central_square import central_square

UNKNOWN, START, END, PAD = SPECIAL_WORDS = ("<unk>", "<start>", "<end>", "<pad>")  # ids 0 to 3; see `word_tokenizer`


def word_tokenizer(
    captions: Iterable[str], min_count: int = 1, max_words: int | None = None
) -> PreTrainedTokenizerFast:
    """Build a word-level tokenizer: lower case, words and punctuation marks apart, most frequent words first.

    `<pad>` is not id 0, because beam search fills finished rows with `pad or end`, which would be `<end>` for 0.

    Args:
        captions: The training captions.
        min_count: Keep words seen at least so often (5 in Show and Tell).
        max_words: Keep at most so many words, special ones not counted.

    Returns:
        A tokenizer whose ids are 0 `<unk>`, 1 `<start>`, 2 `<end>`, 3 `<pad>`, then words by falling count.
    """
    normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    splitter = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    counts: Counter[str] = Counter()
    for caption in captions:
        counts.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(caption)))
    words = sorted(
        (word for word, count in counts.items() if count >= min_count), key=lambda word: (-counts[word], word)
    )
    vocabulary = {word: index for index, word in enumerate((*SPECIAL_WORDS, *words[:max_words]))}

    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.post_processor = TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, vocabulary[START]), (END, vocabulary[END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=UNKNOWN, bos_token=START, eos_token=END, pad_token=PAD,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


class CaptioningProcessor(ProcessorMixin):
    """Pictures to `pixel_values`, captions to `labels`, and a prompt (or nothing) to the words a caption starts with.

    Args:
        image_processor: Any upstream image processor.
        tokenizer: A tokenizer with start, end and padding words, such as [`word_tokenizer`] builds.
    """

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, **kwargs: Any) -> None:
        super().__init__(image_processor, tokenizer, **kwargs)

    @classmethod
    def from_corpus(
        cls,
        captions: Iterable[str],
        image_size: int = 224,
        image_mean: Sequence[float] = (0.485, 0.456, 0.406),
        image_std: Sequence[float] = (0.229, 0.224, 0.225),
        min_count: int = 1,
        max_words: int | None = None,
    ) -> Self:
        """Build a processor for training captions; pictures are cut to a central square of `image_size` pixels."""
        image_processor = central_square(image_size, image_mean, image_std)
        return cls(image_processor, word_tokenizer(captions, min_count, max_words))

    def __call__(
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        text_target: str | Sequence[str] | None = None,
        return_tensors: str = "pt",
        **kwargs: Any,
    ) -> BatchFeature:
        """Prepare one picture or several.

        Args:
            images: Pictures (PIL, arrays or tensors).
            text: How each caption starts, or None; never ends with `<end>`. One length a batch.
            text_target: Whole captions, for training and scoring.
            return_tensors: As the image processor takes it.
            kwargs: Passed to the image processor.

        Returns:
            `pixel_values` (B, 3, H, W) for pictures; with `text_target`, `labels` (B, T) ending with `<end>` and padded
            with -100; otherwise `decoder_input_ids` (B, T) starting with `<start>`.

        Raises:
            ValueError: Prompts of one batch differ in length: a recurrent decoder cannot skip padding.
        """
        data: dict[str, Any] = {}
        if images is not None:
            data.update(self.image_processor(images, return_tensors=return_tensors, **kwargs))
        if text_target is not None:
            targets = [text_target] if isinstance(text_target, str) else list(text_target)
            data["labels"] = self._labels(targets)
        else:
            count = len(data["pixel_values"]) if images is not None else 1
            prompts = [text] * count if text is None or isinstance(text, str) else list(text)
            data["decoder_input_ids"] = self._prompt_ids(prompts)
        return BatchFeature(data)

    def _labels(self, captions: list[str]) -> torch.Tensor:
        rows = [ids[1:] for ids in self.tokenizer(captions)["input_ids"]]  # without <start>
        labels = torch.full((len(rows), max(map(len, rows), default=0)), IGNORED)
        for row, ids in zip(labels, rows, strict=True):
            row[: len(ids)] = torch.tensor(ids)
        return labels  # B T

    def _prompt_ids(self, prompts: Sequence[str | None]) -> torch.Tensor:
        rows = [self.tokenizer(prompt or "")["input_ids"][:-1] for prompt in prompts]  # without <end>
        if len({len(row) for row in rows}) > 1:
            raise ValueError("prompts of one batch differ in number of words: caption them one by one")
        return torch.tensor(rows)  # B T

    def post_process_image_text_to_text(
        self, generated_outputs: Any, skip_special_tokens: bool = True, **kwargs: Any
    ) -> list[str]:
        """Generated ids (B, T) to captions."""
        return self.tokenizer.batch_decode(generated_outputs, skip_special_tokens=skip_special_tokens)

    @property
    def model_input_names(self) -> list[str]:
        """What the models read."""
        return ["pixel_values", "decoder_input_ids", "labels"]
