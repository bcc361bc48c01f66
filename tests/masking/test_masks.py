import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.masking.functions import Span
from ilm.masking.masks import Masks, offsets, ranges

TYPES = ("a", "b")
spans = st.lists(st.tuples(st.sampled_from(TYPES), st.integers(0, 9), st.integers(1, 9)), max_size=3)
documents = st.lists(st.lists(spans, max_size=4), max_size=6)


def as_lists(masks: Masks) -> list[list[list[tuple[str, int, int]]]]:
    return [
        [
            [(TYPES[t], int(start), int(length)) for t, start, length in zip(*masks.spans(mask), strict=True)]
            for mask in range(masks.mask_offsets[k], masks.mask_offsets[k + 1])
        ]
        for k in range(len(masks.documents))
    ]


@given(documents, st.data())
def test_masks_hold_what_they_are_made_of_and_any_of_it_can_be_selected(listed, data):
    masks = Masks.of(range(5, 5 + len(listed)), listed, TYPES)
    assert as_lists(masks) == listed
    chosen = data.draw(st.lists(st.booleans(), min_size=len(listed), max_size=len(listed)))
    for some in (np.array(chosen, dtype=bool), np.flatnonzero(chosen)):
        selected = masks.select(some)
        assert as_lists(selected) == [of_one for of_one, wanted in zip(listed, chosen, strict=True) if wanted]
        assert selected.documents.tolist() == [5 + k for k, wanted in enumerate(chosen) if wanted]


@given(documents)
def test_what_is_written_is_read(tmp_path_factory, listed):
    path = tmp_path_factory.mktemp("masks") / "train.arrow"
    Masks.of(range(len(listed)), listed, TYPES).write(path, TYPES)
    masks, mask_types = Masks.read(path)
    assert as_lists(masks) == listed
    assert mask_types == b'["a", "b"]'


def test_more_spans_than_arrow_has_offsets_for_are_refused(tmp_path):
    masks = Masks.of([0], [[[Span("a", 0, 1)]]], TYPES)
    masks.span_offsets[1] = 2**31
    with pytest.raises(pa.ArrowInvalid):
        masks.write(tmp_path / "train.arrow", TYPES)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), max_size=8))
def test_ranges_one_after_another(pairs):
    begins, lengths = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    expected = [number for begin, length in pairs for number in range(begin, begin + length)]
    assert ranges(begins, begins + lengths).tolist() == expected
    assert offsets(lengths).tolist() == [sum(lengths[:k]) for k in range(len(lengths) + 1)]
