"""Neighbors of words."""

import numpy as np
import pytest
import torch

import hfmm
from hfmm.explanation.words import neighbors, word_neighbors


def test_neighbors_are_nearest_by_cosine_and_leave_out_the_query():
    angles = torch.arange(9) * 0.2
    lengths = torch.arange(1, 10)  # which cosine does not see
    embeddings = torch.stack([angles.cos(), angles.sin()], 1) * lengths[:, None]
    found = neighbors(embeddings, 0, k=3)
    assert [index for index, _ in found] == [1, 2, 3]
    assert [value for _, value in found] == pytest.approx(np.cos([0.2, 0.4, 0.6]), abs=1e-6)
    assert 5 not in dict(neighbors(embeddings, 5, k=100))
    assert len(neighbors(embeddings, 5, k=100)) == 8


@pytest.mark.parametrize("name", ["show_and_tell", "show_attend_tell"])
def test_neighbors_are_named_and_words_without_a_place_are_left_out(name):
    model, processor = hfmm.create_model(name), hfmm.create_processor(name)
    red, blue = (processor.tokenizer.convert_tokens_to_ids(word) for word in ("red", "blue"))
    with torch.no_grad():
        model.get_input_embeddings().weight[red] = 2 * model.get_input_embeddings().weight[blue]
    found = word_neighbors(model, processor, ["red", "zebra"], k=4)
    assert list(found) == ["red"]
    assert found["red"][0] == ("blue", pytest.approx(1, abs=1e-6))
    assert not {word for word, _ in found["red"]} & set(processor.tokenizer.all_special_tokens)
    assert len(found["red"]) == 4
