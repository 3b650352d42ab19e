"""BLEU as the sacrebleu library computes it, for comparison with machine translation; not the BLEU of captioning."""

from typing import Any

from hfmm.errors import UsageError

from .base import InMemoryMetric, joined, words, words_of_lists


class Sacrebleu(InMemoryMetric):
    """sacrebleu's corpus BLEU, from 0 to 100.

    With `tokenizer="none"` its own default tokenizer works on the captions as they are; with "ptb" the captions are
    tokenized as coco-caption does, and sacrebleu splits at spaces. Where pictures have different numbers of references,
    those with fewer are compared with fewer.
    """

    keys = ("sacrebleu",)
    citation_text = "Post, A call for clarity in reporting BLEU scores, WMT 2018"

    def _compute(
        self,
        predictions: list[str],
        references: list[list[str]],
        tokenizer: str = "none",
        per_caption: bool = False,
    ) -> dict[str, Any]:
        try:
            from sacrebleu.metrics import BLEU
        except ImportError as error:
            raise UsageError('sacrebleu is not installed: pip install "hfmm[eval]"') from error
        hypotheses, lists = words(predictions, tokenizer), words_of_lists(references, tokenizer)
        most = max(map(len, lists))
        streams: Any = [[texts[i] if i < len(texts) else None for texts in lists] for i in range(most)]
        settings: dict[str, Any] = {} if tokenizer == "none" else {"tokenize": "none"}
        total = BLEU(**settings).corpus_score(hypotheses, streams).score
        if not per_caption:
            return {"sacrebleu": total}
        single = BLEU(effective_order=True, **settings)
        each = [single.sentence_score(text, texts).score for text, texts in zip(hypotheses, lists, strict=True)]
        return joined(({"sacrebleu": total}, {"sacrebleu": each}), per_caption)
