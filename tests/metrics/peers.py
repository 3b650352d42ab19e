"""coco-caption as it is installed, to compare with: pycocoevalcap, and Java for its tokenizer."""

import shutil

import pytest


def coco_tokenize(captions):
    """What coco-caption's tokenizer makes of captions; skips where it cannot run."""
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    tokenizer = pytest.importorskip("pycocoevalcap.tokenizer.ptbtokenizer").PTBTokenizer()
    tokenized = tokenizer.tokenize({number: [{"caption": caption}] for number, caption in enumerate(captions)})
    return [tokenized[number][0] for number in range(len(captions))]


def coco_scores(predictions, references):
    """coco-caption's scores of tokenized captions: of the corpus, and of each caption."""
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu").Bleu(4)
    rouge = pytest.importorskip("pycocoevalcap.rouge.rouge").Rouge()
    cider = pytest.importorskip("pycocoevalcap.cider.cider").Cider()
    truth = {number: list(texts) for number, texts in enumerate(references)}
    said = {number: [text] for number, text in enumerate(predictions)}
    totals, lists = bleu.compute_score(truth, said, verbose=0)
    names = [f"bleu_{order}" for order in (1, 2, 3, 4)]
    total, each = dict(zip(names, totals, strict=True)), dict(zip(names, lists, strict=True))
    for name, metric in (("rouge_l", rouge), ("cider", cider)):
        total[name], each[name] = metric.compute_score(truth, said)
    return total, each
