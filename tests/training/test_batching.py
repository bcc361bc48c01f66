from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ilm.examples.layout import Example
from ilm.training.batching import MicroBatches, ResumableRange, StepPlan, pack, row_length


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
    assert row_length(None, torch.device("cpu"), 256) == 512
    assert row_length(None, torch.device("cpu"), 900) == 900


@given(st.integers(1, 60), st.integers(1, 7), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3))
def test_an_epoch_holds_every_example_once(n, batch_size, accumulate, world_size, seed):
    plan = StepPlan(n, batch_size=batch_size, accumulate=accumulate, world_size=world_size, seed=seed)
    for epoch in range(2):
        begin = epoch * plan.steps_per_epoch
        steps = [plan.step(begin + step) for step in range(plan.steps_per_epoch)]
        assert sorted(np.concatenate(steps).tolist()) == list(range(n))
        assert all(len(step) == plan.examples_per_step for step in steps[:-1])
        shared = [
            number
            for step in steps
            for micro_batch in range(accumulate)
            for rank in range(world_size)
            for number in step[plan.share(micro_batch, rank)].tolist()
        ]
        assert shared == np.concatenate(steps).tolist()


def test_the_steps_do_not_depend_on_how_they_are_divided():
    plans = [
        StepPlan(500, batch_size=24, seed=3),
        StepPlan(500, batch_size=8, accumulate=3, seed=3),
        StepPlan(500, batch_size=4, accumulate=3, world_size=2, seed=3),
    ]
    for step in (0, 20, 21, 45):
        assert len({tuple(plan.step(step).tolist()) for plan in plans}) == 1
    assert plans[0].step(0).tolist() != plans[0].step(21).tolist()
    assert plans[0].step(0).tolist() != StepPlan(500, batch_size=24, seed=4).step(0).tolist()


class Store(list):
    max_length = 16

    def key(self, number):
        return SimpleNamespace(document=number % 3, mask=0)


def test_every_micro_batch_carries_the_totals_of_its_step():
    store = Store([FIRST, SECOND, FIRST, SECOND, FIRST])
    plan = StepPlan(5, batch_size=1, accumulate=2, seed=0)
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


def test_a_resumed_range_starts_where_it_was_left_every_time():
    sampler = ResumableRange(10)
    sampler.start = 7
    assert list(sampler) == list(sampler) == [7, 8, 9]
    assert len(sampler) == 10
