"""Keyed choices: the same examples and the same choices for any start, any spread over processes, any worker."""

from itertools import chain
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from hfmm.data.examples import Example, Examples
from hfmm.data.keyed import KeyedExamples, StepSampler, keyed_random
from hfmm.errors import DataError, UsageError


class Numbers(Examples):
    """Rows that say their number; some cannot be read."""

    name, split, features = "numbers", "train", {"number": "number"}

    def __init__(self, size: int, bad: tuple[int, ...] = ()) -> None:
        self.size, self.bad = size, bad

    def __len__(self) -> int:
        return self.size

    def read(self, row: int) -> Example:
        if row in self.bad:
            raise DataError("damaged")
        return {"id": str(row), "number": row}


def draw(example: Example, random: Random) -> tuple[int, float]:
    return example["number"], random.random()


def test_random_numbers_of_a_key():
    assert keyed_random(1, 2, 3).random() == keyed_random(1, 2, 3).random()
    values = {keyed_random(*key).random() for key in [(1, 2, 3), (1, 2, 4), (1, 3, 2), (12, 3), (1, 23), (2, 2, 3)]}
    assert len(values) == 6


def test_random_numbers_never_change_between_versions():
    assert keyed_random(0, 0, 0).getrandbits(32) == 2447686993
    assert list(StepSampler(7, 3, seed=5, num_steps=2)) == [[(0, 1), (0, 4), (0, 2)], [(0, 3), (0, 6), (0, 5)]]


def test_an_item_is_a_function_of_its_key():
    examples = KeyedExamples(Numbers(10), draw, seed=3)
    assert examples[2, 7] == examples[2, 7] == KeyedExamples(Numbers(10), draw, seed=3)[2, 7]
    assert examples[2, 7][0] == 7
    assert (
        len({examples[2, 7][1], examples[3, 7][1], examples[2, 6][1], KeyedExamples(Numbers(10), draw, 4)[2, 7][1]})
        == 4
    )


def test_a_bad_example_is_an_error_by_default():
    with pytest.raises(DataError, match="numbers train row 4: damaged"):
        KeyedExamples(Numbers(10, bad=(4,)), draw, seed=0)[0, 4]


def test_a_replacement_is_a_function_of_the_key():
    bad = (1, 4, 5, 6)
    first, second = (KeyedExamples(Numbers(10, bad), draw, 0, "skip") for _ in range(2))
    keys = [(epoch, row) for epoch in range(3) for row in range(10)]
    items = [first[key] for key in keys]
    assert items == [second[key] for key in reversed(keys)][::-1]
    assert not {number for number, _ in items} & set(bad)
    assert [number for (_, row), (number, _) in zip(keys, items, strict=True) if row not in bad] == [
        0,
        2,
        3,
        7,
        8,
        9,
    ] * 3


def test_replacements_are_told_once_and_counted_by_example():
    examples = KeyedExamples(Numbers(10, bad=(1, 4)), draw, 0, "skip")
    assert examples.report() is None
    for epoch in range(3):
        examples[epoch, 4]
    assert examples.bad.sum() == 1
    told = "1 of 10 examples could not be read and others took their place: numbers train row 4"
    assert examples.report() == told
    assert len(examples) == 10


def test_workers_share_the_count_and_give_the_same_items():
    sampler = [[(0, row) for row in range(start, start + 5)] for start in range(0, 20, 5)]
    alone, shared = (KeyedExamples(Numbers(20, bad=(3, 18)), draw, 0, "skip") for _ in range(2))
    items = list(DataLoader(alone, batch_sampler=sampler, collate_fn=list))
    assert list(DataLoader(shared, batch_sampler=sampler, collate_fn=list, num_workers=2)) == items
    assert shared.report() == alone.report()


def test_data_that_cannot_be_read_at_all():
    with pytest.raises(DataError, match=r"row 1: damaged \(and none of 100 others"):
        KeyedExamples(Numbers(3, bad=(0, 1, 2)), draw, 0, "skip")[0, 1]


def test_a_choice_that_there_is_not():
    with pytest.raises(UsageError, match="unknown on_bad_example 'ignore'"):
        KeyedExamples(Numbers(3), draw, 0, "ignore")


SIZES = {
    "num_examples": st.integers(1, 40),
    "batch_size": st.integers(1, 12),
    "seed": st.integers(0, 2**70),
    "num_steps": st.integers(0, 12),
}


def chained(num_examples: int, seed: int, count: int) -> list[tuple[int, int]]:
    """The endless list's beginning: one permutation an epoch."""
    keys = []
    for epoch in range(-(-count // num_examples)):
        order = np.random.default_rng((seed % 2**64, epoch)).permutation(num_examples)
        keys += [(epoch, int(index)) for index in order]
    return keys[:count]


@settings(max_examples=100, deadline=None)
@given(**SIZES)
def test_one_process_walks_through_chained_epochs(num_examples, batch_size, seed, num_steps):
    batches = list(StepSampler(num_examples, batch_size, seed, num_steps=num_steps))
    assert list(chain(*batches)) == chained(num_examples, seed, batch_size * num_steps)
    assert {len(batch) for batch in batches} <= {batch_size}


@settings(max_examples=100, deadline=None)
@given(**SIZES, processes=st.sampled_from([1, 2, 3, 4]), accumulation=st.sampled_from([1, 2, 3]))
def test_every_spread_gives_the_global_batch(num_examples, batch_size, seed, num_steps, processes, accumulation):
    whole = StepSampler(num_examples, batch_size * processes * accumulation, seed, num_steps=num_steps)
    spread = [
        list(
            StepSampler(
                num_examples, batch_size, seed, 0, num_steps, processes, process_index, accumulation=accumulation
            )
        )
        for process_index in range(processes)
    ]
    for step, expected in enumerate(whole):
        micros = range(step * accumulation, (step + 1) * accumulation)
        assert list(chain(*(spread[process][micro] for micro in micros for process in range(processes)))) == expected


@settings(max_examples=100, deadline=None)
@given(**SIZES, start=st.integers(0, 12), accumulation=st.sampled_from([1, 2]))
def test_any_start_gives_the_tail(num_examples, batch_size, seed, num_steps, start, accumulation):
    def sampler(start_step: int, steps: int) -> StepSampler:
        return StepSampler(num_examples, batch_size, seed, start_step, steps, 2, 1, accumulation)

    start = min(start, num_steps)
    tail = sampler(start, num_steps - start)
    assert list(tail) == list(sampler(0, num_steps))[start * accumulation :]
    assert len(tail) == (num_steps - start) * accumulation


def test_one_by_eight_is_two_by_four_is_one_by_four_twice():
    eight = next(iter(StepSampler(100, 8, seed=1)))
    two = [next(iter(StepSampler(100, 4, 1, num_processes=2, process_index=index))) for index in range(2)]
    twice = iter(StepSampler(100, 4, 1, accumulation=2))
    assert eight == two[0] + two[1] == next(twice) + next(twice)


def test_every_example_once_an_epoch_in_another_order():
    keys = list(chain(*StepSampler(30, 5, seed=2, num_steps=12)))
    orders = [[index for at, index in keys if at == epoch] for epoch in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(30))
    assert orders[0] != orders[1]


def test_seeds_differ():
    assert list(StepSampler(30, 5, seed=2, num_steps=2)) != list(StepSampler(30, 5, seed=3, num_steps=2))


def test_steps_and_epochs():
    sampler = StepSampler(30, 5, 0, num_processes=2, accumulation=3)
    assert sampler.global_batch == 30
    assert sampler.epochs_at(4) == 4.0
    with pytest.raises(TypeError, match="endless"):
        len(sampler)


@pytest.mark.parametrize("wrong", [{"num_examples": 0}, {"batch_size": 0}, {"process_index": 2}, {"accumulation": 0}])
def test_sizes_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="cannot sample"):
        StepSampler(**{"num_examples": 5, "batch_size": 2, "seed": 0, "num_processes": 2} | wrong)
