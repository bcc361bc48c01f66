"""A store of examples that are given, with what training needs of `ilm.examples.dataset.InfillingDataset`."""

import sys
from collections.abc import Sequence

import numpy as np

from ilm.examples.layout import Examples, TargetType
from ilm.examples.lengths import ExampleCounts
from ilm.training.batch_plan import StepPlan
from ilm.training.sampling import Shuffled


class StoredExamples(list):
    """Example number n is of document n % 3; what they hold is counted token by token."""

    max_length = 16

    def lay_out(self, numbers: np.ndarray) -> Examples:
        return Examples.of([self[number] for number in numbers])

    def counts_of(self, numbers: np.ndarray) -> ExampleCounts:
        kinds = [[TargetType(kind) for kind in self[number].target_types[1:]] for number in numbers]
        context = [sum(kind == TargetType.CONTEXT for kind in of_one) for of_one in kinds]
        infill = [sum(kind >= TargetType.INFILL for kind in of_one) for of_one in kinds]
        lengths = [len(self[number].input_ids) for number in numbers]
        return ExampleCounts(*(np.array(column, dtype=np.int64) for column in (lengths, context, infill)))

    def keys(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(numbers) % 3, np.zeros(len(numbers), dtype=np.int64)


class OfLengths:
    """Examples of these lengths, each with `targets` targets, half of them context."""

    def __init__(self, lengths: Sequence[int], targets: Sequence[int] | None = None):
        self.lengths = np.array(lengths, dtype=np.int64)
        self.targets = self.lengths if targets is None else np.array(targets, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def counts_of(self, numbers: np.ndarray) -> ExampleCounts:
        targets = self.targets[numbers]
        return ExampleCounts(self.lengths[numbers], targets // 2, targets - targets // 2)


def shuffled_plan(store, seed: int = 0, **division) -> StepPlan:
    """A plan of all examples of a store."""
    return StepPlan(Shuffled(len(store), seed), store, **division)


def require_no_lightning(worker: int) -> None:
    """A `worker_init_fn`; here, since spawning the worker imports its module."""
    assert "pytorch_lightning" not in sys.modules
