from types import SimpleNamespace

import numpy as np
import pytest

from ilm.examples.epochs import EpochStores
from ilm.training.sampling import Shuffled, ShuffledEpochs


class Store:
    """Examples that tell which epoch and number they are."""

    max_length = 9

    def __init__(self, epoch: int, size: int):
        self.epoch, self.size = epoch, size

    def __len__(self):
        return self.size

    def tell(self, numbers):
        return [(self.epoch, int(number)) for number in numbers]

    lay_out = keys = counts_of = tell

    def key(self, number):
        return SimpleNamespace(document=self.epoch, mask=number)


def stores(*sizes: int) -> tuple[EpochStores, list[int]]:
    opened = []

    def open_epoch(epoch: int) -> Store:
        opened.append(epoch)
        return Store(epoch, sizes[epoch])

    return EpochStores(open_epoch), opened


def test_epochs_follow_each_other_and_are_opened_when_asked_for():
    found, opened = stores(5, 3, 4)
    assert opened == [0]
    assert found.numbers(0) == range(5)
    assert opened == [0]
    assert found.numbers(2) == range(8, 12)
    assert opened == [0, 1, 2]
    for read in (found.lay_out, found.keys, found.counts_of):
        assert read(np.array([4, 0])) == [(0, 4), (0, 0)]
        assert read(np.array([5, 7])) == [(1, 0), (1, 2)]
        assert read(np.array([8, 11])) == [(2, 0), (2, 3)]
    assert found.key(6).document == 1
    assert found.key(6).mask == 1
    assert found.max_length == 9


def test_a_step_is_of_one_epoch():
    found, _ = stores(5, 3)
    found.numbers(1)
    with pytest.raises(ValueError, match="several epochs"):
        found.lay_out(np.array([4, 5]))
    assert found.lay_out(np.array([], dtype=int)) == []


def test_the_order_of_epochs_of_their_own():
    found, opened = stores(50, 30, 40)
    order = ShuffledEpochs(found.numbers, seed=3)
    assert np.array_equal(order.epoch(0), Shuffled(50, seed=3).epoch(0))
    assert order.examples_in(1) == 30
    assert opened == [0, 1]
    drawn = order.epoch(2)
    assert sorted(drawn) == list(range(80, 120))
    assert np.array_equal(drawn, ShuffledEpochs(found.numbers, seed=3).epoch(2))
    assert not np.array_equal(drawn, ShuffledEpochs(found.numbers, seed=4).epoch(2))
