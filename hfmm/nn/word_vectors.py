"""Word vectors by counting: pointwise mutual information and a truncated singular value decomposition.

Skip-gram with negative sampling factors the matrix PMI(w, c) - log k without writing it down (Levy and Goldberg, NIPS
2014); small corpora can have it written down and factored exactly.

Axes: V words, D dimensions.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize


def cooccurrences(sentences: Iterable[Sequence[int]], num_words: int, window: int) -> Tensor:
    """How often each word stands at most `window` words from another of its sentence. -> (V, V), symmetric.

    Args:
        sentences: Numbers of words.
        num_words: V.
        window: On each side; it does not cross the end of a sentence.
    """
    counts = torch.zeros(num_words * num_words)
    flat: list[int] = []
    lengths: list[int] = []
    for sentence in sentences:
        flat += sentence
        lengths.append(len(sentence))
    words = torch.tensor(flat, dtype=torch.long)
    owner = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths, dtype=torch.long))
    for distance in range(1, window + 1):
        inside = owner[distance:] == owner[:-distance]
        pairs = words[:-distance][inside] * num_words + words[distance:][inside]
        counts += torch.bincount(pairs, minlength=num_words**2)
    found = counts.view(num_words, num_words)
    return found + found.T


def shifted_pmi(counts: Tensor, shift: float = 1.0, positive: bool = True) -> Tensor:
    """log(#(w, c) |D| / (#(w) #(c))) - log k of every two words (Levy and Goldberg, Eqs. 7 and 11). (V, V) -> (V, V).

    Args:
        counts: Of words and their contexts.
        shift: k, the number of negative samples that it stands for.
        positive: Nothing below zero, which also is what pairs have that were never seen; -inf for these otherwise.
    """
    of_words, of_contexts = counts.sum(1, keepdim=True), counts.sum(0, keepdim=True)
    ratio = counts * counts.sum() / (of_words * of_contexts).clamp(min=torch.finfo(counts.dtype).tiny)
    values = ratio.log() - torch.tensor(shift).log()
    return values.clamp(min=0) if positive else values


def factor(matrix: Tensor, dimensions: int, power: float = 0.5) -> Tensor:
    """U_D S_D^power of the singular value decomposition U S V^T, the largest first (Levy and Goldberg, Eq. 12).

    Args:
        matrix: (V, V).
        dimensions: D, at most V.
        power: 1/2 is the symmetric choice; with 0 all dimensions weigh alike, which suits tasks that tell words apart
            whose contexts are alike (Levy, Goldberg and Dagan, TACL 2015, section 3.3).

    Returns:
        (V, D); a column's largest entry is positive, so that the result is unique.
    """
    left, values, _ = torch.linalg.svd(matrix.double())
    left = left[:, :dimensions]
    signs = left.gather(0, left.abs().argmax(0, keepdim=True)).sign()
    return (left * signs * values[:dimensions] ** power).to(matrix.dtype)


def learn_word_vectors(
    sentences: Iterable[Sequence[int]],
    num_words: int,
    dimensions: int,
    window: int = 5,
    shift: float = 1.0,
    power: float = 0.5,
) -> Tensor:
    """Unit vectors of words that stand near to others, and zeros of those that never do. -> (V, D).

    Args:
        sentences: Numbers of words.
        num_words: V.
        dimensions: D; columns beyond the number of words are zero.
        window: See [`cooccurrences`].
        shift: See [`shifted_pmi`].
        power: See [`factor`].
    """
    counts = cooccurrences(sentences, num_words, window)
    seen = counts.any(1).nonzero()[:, 0]
    inner = factor(shifted_pmi(counts[seen][:, seen], shift), dimensions, power)
    vectors = torch.zeros(num_words, dimensions)
    vectors[seen, : inner.shape[1]] = normalize(inner, dim=-1)
    return vectors


def mean_of_words(input_ids: Tensor, vectors: Tensor) -> Tensor:
    """The mean of the vectors of a text's words; words without one (zeros) do not count. (B, T), (V, D) -> (B, D)."""
    known = vectors.any(-1)[input_ids]  # B T
    return vectors[input_ids].sum(1) / known.sum(1, keepdim=True).clamp(min=1)
