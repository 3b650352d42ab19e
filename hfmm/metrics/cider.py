"""CIDEr and CIDEr-D (Vedantam et al., CVPR 2015): agreement of n-grams, the rarer the weightier.

What coco-caption (and with it every published number of the MS COCO server) calls CIDEr is CIDEr-D: counts are clipped
to the reference's, and a Gaussian with sigma 6 punishes a difference in length. So `cider` and `cider_d` are one number
under two names: the first is what tables call it, the second what it is. The variant without clipping and penalty, the
paper's first formula, is not computed by coco-caption, nor here.

Two choices of its authors' code that the formulas leave open: term frequencies are counts, not shares of the caption
(which matters where they are clipped), and an n-gram in no reference weighs as if it were in one picture's.
"""

import numpy as np
from numpy.typing import NDArray

from .base import CaptionMetric, Scores, mean
from .ngrams import LONGEST, Corpus

SIGMA = 6.0  # words


def cider_d(corpus: Corpus) -> NDArray[np.float64]:
    """The score of every prediction (N,), between 0 and 10; document frequencies are those of the references.

    With one picture only, every n-gram is in all documents, weighs nothing, and the score is 0.
    """
    similarity = np.zeros(len(corpus.length))  # (S,) of each reference with its picture's prediction, over all n
    for ngrams in corpus.ngrams:
        if len(ngrams.group_start) == 0:
            continue
        is_reference = corpus.is_reference[ngrams.sentence]
        in_references = np.maximum.reduceat(is_reference, ngrams.group_start)  # (G,)
        documents = np.bincount(ngrams.group_ngram, in_references)
        rarity = np.log(corpus.num_pictures) - np.log(np.maximum(documents, 1))
        weight = ngrams.times * rarity[ngrams.group_ngram][ngrams.group]  # (E,)
        norm = np.sqrt(np.bincount(ngrams.sentence, weight * weight, len(corpus.length)))  # (S,)
        predicted = np.where(is_reference, 0.0, weight)[ngrams.group_start]  # (G,)
        product = np.where(is_reference, np.minimum(predicted[ngrams.group], weight) * weight, 0.0)
        product = np.bincount(ngrams.sentence, product, len(corpus.length))  # (S,)
        norms = norm * norm[corpus.prediction][corpus.picture]
        similarity += np.divide(product, norms, out=product, where=norms != 0)
    difference = corpus.length - corpus.length[corpus.prediction][corpus.picture]
    similarity *= np.exp(-(difference**2) / (2 * SIGMA**2))
    num_references = np.bincount(corpus.picture, corpus.is_reference, corpus.num_pictures)
    return 10 / LONGEST * np.bincount(corpus.picture, similarity, corpus.num_pictures) / num_references


class Cider(CaptionMetric):
    """CIDEr as coco-caption computes it."""

    keys = ("cider",)
    citation_text = "Vedantam et al., CIDEr: consensus-based image description evaluation, CVPR 2015"

    @staticmethod
    def score(corpus: Corpus) -> Scores:
        """See `cider_d`."""
        return mean({"cider": cider_d(corpus)})


class CiderD(CaptionMetric):
    """CIDEr-D: the same number as `cider` under its exact name."""

    keys = ("cider_d",)
    citation_text = Cider.citation_text

    @staticmethod
    def score(corpus: Corpus) -> Scores:
        """See `cider_d`."""
        return mean({"cider_d": cider_d(corpus)})
