"""Examples: access, errors that say where, views and shards."""

import pickle

import pytest

from hfmm.data.examples import Example, Examples, ListExamples
from hfmm.errors import DataError


def letters(count: int = 7) -> ListExamples:
    return ListExamples(({"text": chr(ord("a") + row)} for row in range(count)), {"text": "text"}, name="letters")


class Broken(Examples):
    name, split, features = "broken", "test", {"text": "text"}

    def __len__(self) -> int:
        return 3

    def read(self, row: int) -> Example:
        if row == 1:
            raise DataError("no text")
        return {"id": str(row), "text": "t"}


def test_items_from_both_ends_and_ids_from_rows():
    examples = letters()
    assert [example["text"] for example in examples] == list("abcdefg")
    assert examples[-1] == {"id": "letters-train-6", "text": "g"}


@pytest.mark.parametrize("row", [7, -8])
def test_a_row_that_is_not_there(row):
    with pytest.raises(IndexError, match="letters train has 7 examples"):
        letters()[row]


def test_an_own_id_is_kept():
    assert ListExamples([{"id": "mine"}], {})[0] == {"id": "mine"}


def test_a_reader_cannot_change_what_the_next_one_gets():
    examples = letters()
    examples[0]["text"] = "changed"
    assert examples[0]["text"] == "a"


def test_an_error_says_where():
    with pytest.raises(DataError, match=r"^broken test row 1: no text$"):
        Broken()[1]


def test_an_error_through_views_says_where_in_the_whole():
    view = Broken().select([2, 1]).shard(2, 1)
    with pytest.raises(DataError, match=r"^broken test row 1: no text$"):
        view[0]


def test_select_keeps_order_repeats_and_description():
    chosen = letters().select([5, 0, 5])
    assert [example["text"] for example in chosen] == ["f", "a", "f"]
    assert (chosen.name, chosen.split, chosen.features) == ("letters", "train", {"text": "text"})


@pytest.mark.parametrize("rows", [[7], [-1], range(5, 9)])
def test_select_refuses_rows_that_are_not_there(rows):
    with pytest.raises(IndexError, match="has 7 examples"):
        letters().select(rows)


@pytest.mark.parametrize("num_shards", [1, 2, 3, 7, 9])
def test_shards_hold_every_row_once(num_shards):
    examples = letters()
    shards = [examples.shard(num_shards, index) for index in range(num_shards)]
    for index, shard in enumerate(shards):
        assert [example["id"] for example in shard] == [examples[row]["id"] for row in range(index, 7, num_shards)]
    assert sum(map(len, shards)) == 7


def test_shard_refuses_an_index_outside():
    with pytest.raises(ValueError, match=r"must be in 0\.\.1"):
        letters().shard(2, 2)


def test_a_column_alone_leaves_out_what_cannot_be_read():
    assert list(letters().select([1, 0]).column("text")) == ["b", "a"]
    assert list(Broken().column("text")) == ["t", "t"]


def test_pickling_and_sizing_change_nothing():
    examples = letters().select([1, 2])
    copied = pickle.loads(pickle.dumps(examples))
    assert list(copied) == list(examples) == list(examples.sized(8, 8))
