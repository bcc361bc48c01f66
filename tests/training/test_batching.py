from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stored import StoredExamples, shuffled_plan
from torch.utils.data import DataLoader

from ilm.examples.layout import Example
from ilm.training.batching import MicroBatch, MicroBatches, ResumableRange, pack, row_length


def example(ids, types):
    return Example(np.array(ids, np.int32), np.array(types, np.uint8), np.full(len(ids), -1, np.int8), len(ids))


FIRST = example([10, 11, 12, 13, 14], [1, 2, 1, 3, 4])
SECOND = example([20, 21, 22], [3, 4, 5])


def test_a_row_of_two_examples():
    (row,) = pack([FIRST, SECOND], 8)
    assert row.input_ids.tolist() == [[10, 11, 12, 13, 14, 20, 21, 22]]
    assert row.position_ids.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2]]
    # Neither the first token, nor the blank 11, nor a separator is a target.
    assert row.targets.tolist() == [12, 14, 21, 22]
    assert row.predictors.tolist() == [1, 3, 5, 6]
    assert row.target_types.tolist() == [1, 4, 4, 5]
    assert row.examples.tolist() == [0, 0, 1, 1]


def test_examples_are_never_cut_across_rows():
    assert [row.input_ids.shape[1] for row in pack([FIRST, SECOND, SECOND, FIRST], 8)] == [8, 8]
    assert [row.input_ids.shape[1] for row in pack([FIRST, FIRST, SECOND], 7)] == [5, 5, 3]
    with pytest.raises(ValueError, match="does not fit"):
        pack([FIRST], 4)


def test_a_row_without_targets_is_left_out():
    assert pack([example([7], [1]), example([8, 9], [1, 3])], 8) == ()


def test_row_length():
    assert row_length(700, torch.device("cpu"), 256) == 700
    assert row_length(None, torch.device("cpu"), 256) == 2048
    assert row_length(None, torch.device("cpu"), 9000) == 9000


def test_every_micro_batch_carries_the_totals_of_its_step():
    store = StoredExamples([FIRST, SECOND, FIRST, SECOND, FIRST])
    plan = shuffled_plan(store, batch_size=1, accumulate=2)
    batches = MicroBatches(store, plan, row_tokens=16, level_codes=np.array([0, 1, 1]), n_levels=2)
    for step in range(3):
        numbers = plan.step(step)
        contexts = sum(int(store[n] is FIRST) for n in numbers)
        infills = sum(1 if store[n] is FIRST else 2 for n in numbers)
        for micro_batch in range(2):
            batch = batches[2 * step + micro_batch]
            assert batch.index == 2 * step + micro_batch
            assert (batch.step.context_targets, batch.step.infill_targets) == (contexts, infills)
            assert batch.step.examples == len(numbers)
            assert batch.step.tokens == sum(len(store[n].input_ids) for n in numbers)
            by_level = [sum(2 for n in numbers if (n % 3 > 0) == level) for level in (False, True)]
            assert batch.step.level_targets.tolist() == by_level
    # Five examples in steps of two: the last micro-batch of the last step is empty.
    assert batches[5].rows == ()


class Recording(StoredExamples):
    def __init__(self, examples):
        super().__init__(examples)
        self.laid_out = []

    def lay_out(self, numbers):
        self.laid_out += numbers.tolist()
        return super().lay_out(numbers)


def test_a_micro_batch_lays_out_its_own_examples_alone():
    store = Recording([FIRST, SECOND] * 12)
    batches = MicroBatches(
        store,
        shuffled_plan(store, batch_size=3, accumulate=2, world_size=2),
        row_tokens=16,
        rank=1,
        level_codes=np.zeros(3, int),
        n_levels=1,
    )
    assert batches[1].numbers.tolist() == store.laid_out
    assert len(store.laid_out) == 3


def tensors(batch: MicroBatch) -> list:
    return [value.tolist() if hasattr(value, "tolist") else value for row in batch.rows for value in vars(row).values()]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_change_nothing(method):
    store = StoredExamples([FIRST, SECOND] * 9)
    batches = MicroBatches(
        store, shuffled_plan(store, batch_size=5), row_tokens=8, level_codes=np.zeros(3, int), n_levels=1
    )
    arguments = {"batch_size": None, "num_workers": 1, "multiprocessing_context": method}
    loaded = list(DataLoader(batches, sampler=range(3, 8), **arguments))
    for index, batch in zip(range(3, 8), loaded, strict=True):
        assert batch.index == index
        assert batch.numbers.tolist() == batches[index].numbers.tolist()
        assert tensors(batch) == tensors(batches[index])
        assert [value.dtype for value in vars(batch.rows[0]).values() if hasattr(value, "dtype")] == [
            value.dtype for value in vars(batches[index].rows[0]).values() if hasattr(value, "dtype")
        ]


@given(st.lists(st.integers(1, 12), max_size=12), st.integers(12, 30))
def test_rows_hold_every_target_once_and_in_order(lengths, row_tokens):
    draw = np.random.default_rng(len(lengths))
    examples = [example(draw.integers(0, 99, n), draw.integers(1, 7, n)) for n in lengths]
    rows = pack(examples, row_tokens)
    assert all(row.input_ids.shape[1] <= row_tokens for row in rows)
    found = [
        (int(number), int(target), int(kind))
        for row in rows
        for number, target, kind in zip(row.examples, row.targets, row.target_types, strict=True)
    ]
    expected = [
        (number, int(token), int(kind))
        for number, one in enumerate(examples)
        for token, kind in zip(one.input_ids[1:], one.target_types[1:], strict=True)
        if kind not in (2, 3)
    ]
    assert found == expected
    for row in rows:
        ids, positions = row.input_ids[0], row.position_ids[0]
        assert (ids[row.predictors + 1] == row.targets).all()
        assert (positions[row.predictors + 1] == positions[row.predictors] + 1).all()
        boundaries = row.boundaries.tolist()
        assert torch.equal(positions, torch.cat([torch.arange(b - a) for a, b in pairwise(boundaries)]))
        assert row.longest == max(b - a for a, b in pairwise(boundaries))


def test_a_resumed_range_starts_where_it_was_left_every_time():
    sampler = ResumableRange(10)
    sampler.start = 7
    assert list(sampler) == list(sampler) == [7, 8, 9]
    assert len(sampler) == 10
