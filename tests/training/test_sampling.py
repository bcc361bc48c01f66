import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.training.sampling import Balanced

# Examples of each level, at least one, in any order.
SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def level_codes(sizes: list[int], seed: int = 0) -> np.ndarray:
    codes = np.repeat(np.arange(len(sizes)) * 2, sizes)  # not every level of a corpus need be there
    return np.random.default_rng(seed).permutation(codes)


def run(order: Balanced, epochs: int) -> np.ndarray:
    return np.concatenate([order.epoch(number) for number in range(epochs)])


@given(SIZES, st.integers(0, 3), st.integers(1, 24))
def test_every_stretch_has_as_many_of_each_level(sizes, epoch, stretch):
    codes = level_codes(sizes)
    order = Balanced(codes, seed=1).epoch(epoch)
    assert len(order) == len(codes)
    for begin in range(0, len(order), stretch):
        counts = np.bincount(codes[order[begin : begin + stretch]] // 2, minlength=len(sizes))
        assert counts.max() - counts.min() <= 1


@given(SIZES, st.integers(0, 5))
def test_a_level_is_seen_as_a_whole_before_any_of_it_comes_again(sizes, seed):
    codes = level_codes(sizes)
    drawn = run(Balanced(codes, seed), epochs=4)
    for level, size in enumerate(sizes):
        of_level = drawn[codes[drawn] == 2 * level]
        for begin in range(0, len(of_level), size):
            part = of_level[begin : begin + size]
            assert len(set(part)) == len(part)


@given(SIZES, st.integers(0, 5), st.integers(0, 4))
def test_an_epoch_depends_on_the_seed_and_its_number_alone(sizes, seed, epoch):
    codes = level_codes(sizes)
    order = Balanced(codes, seed)
    whole = run(order, epoch + 1)
    assert np.array_equal(Balanced(codes, seed).epoch(epoch), whole[epoch * len(codes) :])


def test_passes_and_seeds_have_orders_of_their_own():
    codes = level_codes([50, 50])
    order, other = Balanced(codes, 0), Balanced(codes, 1)
    assert not np.array_equal(order.epoch(0), other.epoch(0))
    assert not np.array_equal(order.epoch(0), order.epoch(1))
    assert sorted(order.epoch(1)) == list(range(100))


@given(SIZES, st.integers(0, 200))
def test_how_often_each_level_is_seen(sizes, n_examples):
    codes = level_codes(sizes)
    order = Balanced(codes, 0)
    drawn = run(order, -(-n_examples // len(codes)) + 1)[:n_examples]
    counts = np.bincount(codes[drawn], minlength=2 * len(sizes))
    for code, times in order.times_seen(n_examples / len(codes)).items():
        assert times == pytest.approx(counts[code] / sizes[code // 2], abs=1 / sizes[code // 2])
