"""The plan of a run's steps: what each holds, how it is divided, and the sums over all of them."""

from itertools import accumulate, chain, islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.training import batch_plan as steps
from ilm.training.batch_plan import StepPlan
from ilm.training.sampling import Shuffled
from tests.training.stored import OfLengths, shuffled_plan

BLOCK = 16
# How a step of the same size can be divided: (units of a micro-batch, accumulate, ranks).
DIVISIONS = [(24, 1, 1), (8, 3, 1), (12, 1, 2), (4, 3, 2), (1, 4, 6), (2, 12, 1)]
LENGTHS = st.lists(st.integers(1, BLOCK), min_size=1, max_size=150)
MODES = ["examples", "tokens"]


def plan_of(store: OfLengths, mode: str, units: int, accumulate: int = 1, ranks: int = 1, seed: int = 0) -> StepPlan:
    size = {"batch_size": units} if mode == "examples" else {"max_tokens": units * BLOCK, "block_tokens": BLOCK}
    return shuffled_plan(store, seed, accumulate=accumulate, world_size=ranks, **size)


BOTH = ("context", "infill")


def first_steps(plan: StepPlan, number: int) -> list[list[int]]:
    return [plan.step(step).tolist() for step in range(number)]


def test_an_epoch_is_a_permutation_drawn_from_seed_and_epoch():
    order = Shuffled(500, seed=3)
    assert sorted(order.epoch(4)) == list(range(500))
    assert order.epoch(4).dtype == np.int32
    assert order.epoch(4).tolist() == Shuffled(500, seed=3).epoch(4).tolist()
    assert order.epoch(4).tolist() not in (order.epoch(5).tolist(), Shuffled(500, seed=4).epoch(4).tolist())
    with pytest.raises(ValueError, match="epoch 0 has no examples"):
        shuffled_plan(OfLengths([]), batch_size=1).step(0)


@pytest.mark.parametrize("mode", MODES)
@given(lengths=LENGTHS, division=st.sampled_from(DIVISIONS), seed=st.integers(0, 3))
def test_steps_are_the_epochs_cut_and_shares_are_the_steps_cut(mode, lengths, division, seed):
    store = OfLengths(lengths)
    plan = plan_of(store, mode, *division, seed=seed)
    for epoch in range(3):
        begin, end = plan.steps_of_epochs(epoch), plan.steps_of_epochs(epoch + 1)
        assert [*chain(*first_steps(plan, end)[begin:])] == Shuffled(len(store), seed).epoch(epoch).tolist()
    for step in range(end):
        numbers = plan.step(step)
        shares = [
            plan.share(step, micro_batch, rank)
            for micro_batch in range(plan.accumulate)
            for rank in range(plan.world_size)
        ]
        assert np.concatenate(shares).tolist() == numbers.tolist()
        assert len(numbers)
        for share in shares:
            filled = len(share) if mode == "examples" else sum(store.lengths[share])
            assert filled <= division[0] * (1 if mode == "examples" else BLOCK)


@pytest.mark.parametrize("mode", MODES)
@given(lengths=LENGTHS, seed=st.integers(0, 3))
def test_steps_do_not_depend_on_how_they_are_divided(mode, lengths, seed):
    store = OfLengths(lengths)
    plans = [plan_of(store, mode, *division, seed=seed) for division in DIVISIONS]
    number = plans[0].steps_of_epochs(2)
    assert all(plan.size == plans[0].size and plan.steps_of_epochs(2) == number for plan in plans)
    assert all(first_steps(plan, number) == first_steps(plans[0], number) for plan in plans)


@pytest.mark.parametrize("mode", MODES)
def test_any_step_can_be_the_first_that_is_asked_for(mode):
    store = OfLengths(np.random.default_rng(0).integers(1, BLOCK + 1, 300))
    expected = first_steps(plan_of(store, mode, 3), 90)
    for step in (89, 0, 50, 51, 7):
        assert plan_of(store, mode, 3).step(step).tolist() == expected[step]
    plan = plan_of(store, mode, 3)
    assert [plan.step(step).tolist() for step in (89, 0, 50, 51, 7)] == [expected[s] for s in (89, 0, 50, 51, 7)]


@given(LENGTHS)
def test_blocks_are_as_full_as_whole_examples_allow(lengths):
    store = OfLengths(lengths)
    plan = plan_of(store, "tokens", 1)
    blocks = first_steps(plan, plan.steps_of_epochs(1))
    for block, following in pairwise(blocks):
        assert sum(store.lengths[block]) <= BLOCK < sum(store.lengths[block]) + store.lengths[following[0]]


def test_blocks_go_on_over_the_ends_of_what_is_read_at_a_time(monkeypatch):
    store = OfLengths(np.random.default_rng(1).integers(1, 9, 400))
    expected = first_steps(plan_of(store, "tokens", 2), 60)
    monkeypatch.setattr(steps, "EXAMPLES_AT_A_TIME", 50)
    assert first_steps(plan_of(store, "tokens", 2), 60) == expected


@pytest.mark.parametrize("mode", MODES)
@given(
    lengths=LENGTHS,
    targets=st.lists(st.integers(0, 9), min_size=150, max_size=150),
    division=st.sampled_from(DIVISIONS),
    wanted=st.integers(0, 300),
)
def test_the_first_step_reaching_is_that_of_adding_step_by_step(mode, lengths, targets, division, wanted):
    store = OfLengths(lengths, [1, *targets][: len(lengths)])
    plan = plan_of(store, mode, *division)
    seen = accumulate((int(store.targets[plan.step(step)].sum()) for step in range(10_000)), initial=0)
    brute = next(number for number, total in enumerate(islice(seen, 10_000)) if total >= wanted)
    assert plan.first_step_reaching(wanted, BOTH) == brute


def test_the_first_step_reaching_a_sum_of_many_parts(monkeypatch):
    store = OfLengths(np.random.default_rng(2).integers(1, BLOCK, 300))
    monkeypatch.setattr(steps, "EXAMPLES_AT_A_TIME", 7)
    for mode in MODES:
        plan = plan_of(store, mode, 3)
        seen = np.cumsum([int(store.targets[numbers].sum()) for numbers in first_steps(plan, 150)])
        for number in (0, 5, 60, 149):
            assert plan.first_step_reaching(int(seen[number]), BOTH) == number + 1
            assert plan.first_step_reaching(int(seen[number]) + 1, BOTH) == number + 2


def test_no_targets_at_all_are_never_reached():
    with pytest.raises(ValueError, match="has no targets"):
        plan_of(OfLengths([3, 4], [0, 0]), "examples", 1).first_step_reaching(1, BOTH)


@pytest.mark.parametrize("mode", MODES)
def test_counts_of_steps_examples_and_epochs(mode):
    store = OfLengths(np.random.default_rng(3).integers(1, BLOCK + 1, 100))
    plan = plan_of(store, mode, 4)
    per_epoch = [plan.steps_of_epochs(n + 1) - plan.steps_of_epochs(n) for n in range(3)]
    assert plan.steps_of_epochs(3) == sum(per_epoch)
    assert plan_of(store, mode, 4).steps_of_epochs(10**9, 60) == 60
    assert plan.steps_of_epochs(1, 10**9) == per_epoch[0]
    assert plan.epochs_until(per_epoch[0]) == 1.0
    assert plan.epochs_until(per_epoch[0] + 1) == 1.0 + 1 / per_epoch[1]
    examples, tokens = plan.means()
    assert (examples, tokens) == (100 / per_epoch[0], store.lengths.sum() / per_epoch[0])


def test_an_example_longer_than_a_block_is_refused():
    with pytest.raises(ValueError, match="5 tokens does not fit in a block of 4"):
        shuffled_plan(OfLengths([3, 5]), max_tokens=4, block_tokens=4).step(0)
