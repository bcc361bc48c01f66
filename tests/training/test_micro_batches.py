import numpy as np
import pytest
from torch.utils.data import DataLoader

from ilm.examples.layout import Example
from ilm.training.micro_batches import MicroBatch, MicroBatchDataset
from tests.training.stored import StoredExamples, require_no_lightning, shuffled_plan

# (token ids, target types) of two examples: one target each of context and answer; two answer's targets.
FIRST, SECOND = (
    Example(np.array(ids, np.int32), np.array(types, np.uint8), len(ids))
    for ids, types in (([10, 11, 12, 13, 14], [1, 2, 1, 3, 4]), ([20, 21, 22], [3, 4, 5]))
)


def test_every_micro_batch_carries_the_totals_of_its_step():
    store = StoredExamples([FIRST, SECOND, FIRST, SECOND, FIRST])
    plan = shuffled_plan(store, batch_size=1, accumulate=2)
    batches = MicroBatchDataset(store, plan, row_tokens=16, level_codes=np.array([0, 1, 1]), n_levels=2)
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
            by_level = [[n for n in numbers if (n % 3 > 0) == level] for level in (False, True)]
            assert batch.step.level_targets.tolist() == [
                [sum(store[n] is FIRST for n in of_level) for of_level in by_level],
                [sum(1 if store[n] is FIRST else 2 for n in of_level) for of_level in by_level],
            ]
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
    batches = MicroBatchDataset(
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
    batches = MicroBatchDataset(
        store, shuffled_plan(store, batch_size=5), row_tokens=8, level_codes=np.zeros(3, int), n_levels=1
    )
    arguments = {"batch_size": None, "num_workers": 1, "multiprocessing_context": method}
    if method == "spawn":
        arguments["worker_init_fn"] = require_no_lightning  # which every worker would wait for
    loaded = list(DataLoader(batches, sampler=range(3, 8), **arguments))
    for index, batch in zip(range(3, 8), loaded, strict=True):
        assert batch.index == index
        assert batch.numbers.tolist() == batches[index].numbers.tolist()
        assert tensors(batch) == tensors(batches[index])
        assert [value.dtype for value in vars(batch.rows[0]).values() if hasattr(value, "dtype")] == [
            value.dtype for value in vars(batches[index].rows[0]).values() if hasattr(value, "dtype")
        ]
