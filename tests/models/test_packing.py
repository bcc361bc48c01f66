from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ilm.examples.layout import Example
from ilm.models.packing import pack, row_length


def example(ids, types):
    return Example(np.array(ids, np.int32), np.array(types, np.uint8), len(ids))


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
