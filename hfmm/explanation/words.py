"""Words that training put near each other: neighbors of word embeddings (Vinyals et al. 2015, table 6)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity


def neighbors(embeddings: Tensor, token_id: int, k: int = 5) -> list[tuple[int, float]]:
    """The words whose embeddings lie nearest to a word's own, by cosine, the word itself left out.

    Args:
        embeddings: (V, E).
        token_id: The word.
        k: How many.

    Returns:
        (token id, cosine), nearest first.
    """
    similarity = cosine_similarity(embeddings, embeddings[token_id][None], dim=1)  # V
    similarity[token_id] = -torch.inf
    nearest = similarity.topk(min(k, len(embeddings) - 1))
    return list(zip(nearest.indices.tolist(), nearest.values.tolist(), strict=True))


@torch.no_grad()
def word_neighbors(model: Any, processor: Any, words: Sequence[str], k: int = 5) -> dict[str, list[tuple[str, float]]]:
    """Neighbors of words in a model's own embeddings.

    Args:
        model: With input embeddings.
        processor: Its processor, which has a tokenizer.
        words: Those that the vocabulary lacks are left out.
        k: How many of each.

    Returns:
        Of each word, its neighbors with their cosines, nearest first; no special words among them.
    """
    tokenizer, embeddings = processor.tokenizer, model.get_input_embeddings().weight
    known = tokenizer.get_vocab()
    special = set(tokenizer.all_special_ids)
    found = {}
    for word in words:
        if word in known:
            near = neighbors(embeddings, known[word], k + len(special))
            named = [(tokenizer.convert_ids_to_tokens(index), cosine) for index, cosine in near if index not in special]
            found[word] = named[:k]
    return found
