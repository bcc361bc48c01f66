"""Counting what an example holds and laying many out together, against laying out each alone."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ilm.config.sections import OBJECTIVES
from ilm.examples.alignment import TokenSpans
from ilm.examples.layout import Example, Examples, TargetType, lay_out, lay_out_all
from ilm.examples.lengths import count_answers, count_examples, full_lengths
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from tests.reference_data import MASK_TYPES

VOCABULARY = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
INFILL = (TargetType.INFILL, TargetType.INFILL_SPECIAL, TargetType.INFILL_REDUNDANT)
Masked = list[tuple[list[int], list[tuple[int, int, int]]]]


@st.composite
def masked_documents(draw) -> Masked:
    result = []
    for _ in range(draw(st.integers(0, 6))):
        ids = draw(st.lists(st.integers(0, 50256), max_size=30))
        cuts = sorted(draw(st.sets(st.integers(0, len(ids)), max_size=10)))
        # Neighbouring spans, too: each cut may end one and begin the next.
        pairs = [pair for pair in pairwise(cuts) if draw(st.booleans())]
        result.append((ids, [(draw(st.integers(0, 4)), first, last) for first, last in pairs]))
    return result


def together(documents: Masked) -> tuple[np.ndarray, np.ndarray, np.ndarray, TokenSpans]:
    """Ids of all documents with others between them, where each begins, its size, and all spans."""
    pool, begins = [7], []
    for ids, _ in documents:
        begins.append(len(pool))
        pool += [*ids, 7]
    sizes = np.array([len(ids) for ids, _ in documents], dtype=np.int64)
    spans = TokenSpans.of([spans for _, spans in documents])
    return np.array(pool, dtype=np.uint16), np.array(begins, dtype=np.int64), sizes, spans


@given(masked_documents(), st.sampled_from(OBJECTIVES), st.integers(2, 50))
def test_many_examples_are_laid_out_as_each_alone(documents, objective, max_length):
    many = lay_out_all(*together(documents), VOCABULARY, objective, max_length)
    alone = [lay_out(ids, spans, VOCABULARY, objective, max_length) for ids, spans in documents]
    assert len(many) == len(alone)
    for got, expected in zip(many, alone, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))
    for column, expected in zip(vars(many).values(), vars(Examples.of(alone)).values(), strict=True):
        assert np.array_equal(column, expected)
        assert column.dtype == expected.dtype


@given(masked_documents(), st.sampled_from(OBJECTIVES), st.integers(2, 50))
@example([([1, 2, 3], [(4, 0, 1)]), ([1, 2, 3], [(4, 1, 3)]), ([], [])], "ilm", 2)
def test_counts_are_those_of_the_examples_laid_out(documents, objective, max_length):
    _, _, sizes, spans = together(documents)
    counts, full = count_examples(objective, sizes, spans, max_length), full_lengths(objective, sizes, spans)
    assert not spans.overlapping().any()
    examples = [lay_out(ids, spans, VOCABULARY, objective, max_length) for ids, spans in documents]
    assert full.tolist() == [one.full_length for one in examples]
    assert counts.lengths.tolist() == [len(one.input_ids) for one in examples]
    assert counts.context_targets.tolist() == [n_targets(one, [TargetType.CONTEXT]) for one in examples]
    assert counts.infill_targets.tolist() == [n_targets(one, INFILL) for one in examples]
    uncut = [lay_out(ids, spans, VOCABULARY, objective, 1000) for ids, spans in documents]
    answers, kept = count_answers(objective, sizes, spans, max_length)
    for counted, laid_out in ((answers, uncut), (kept, examples)):
        assert counted.tolist() == [n_targets(one, (TargetType.INFILL, TargetType.INFILL_SPECIAL)) for one in laid_out]


def n_targets(one: Example, kinds) -> int:
    return int(np.isin(one.target_types[1:], kinds).sum())


def test_an_example_that_is_not_there():
    with pytest.raises(IndexError):
        Examples.of([])[0]
