import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.examples.alignment import TokenSpans, align
from ilm.examples.tokenize import token_positions
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from tests.reference_data import DOCUMENTS, MASK_TYPES

VOCABULARY = Vocabulary(gpt2_tokenizer(), MASK_TYPES)


def tokenize(text: str) -> tuple[list[int], np.ndarray]:
    encoded = VOCABULARY.tokenizer(
        text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
    )
    return encoded.input_ids, token_positions(encoded.offset_mapping, len(text))


def aligned(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    _, positions = tokenize(text)
    first, last = align(positions, np.array([s for s, _ in spans]), np.array([n for _, n in spans]))
    return list(zip(first.tolist(), last.tolist(), strict=True))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["name"])
def test_ids_are_those_of_the_reference(document):
    ids, positions = tokenize(document["text"])
    assert ids == document["ids_official"]
    known = [(mine, offset) for mine, offset in zip(positions, document["token_offsets"], strict=False) if offset]
    assert all(mine == offset for mine, offset in known)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["name"])
def test_aligned_spans_are_those_of_the_reference(document):
    for mask in document["masks"]:
        if isinstance(mask.get("aligned"), list) and mask["aligned"]:
            found = aligned(document["text"], [(start, length) for _, start, length in mask["mask"]])
            assert found == [(first, first + n) for _, first, n in mask["aligned"]]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["name"])
def test_where_the_reference_failed_the_answers_are_the_text_they_stand_for(document):
    """Curly quotes, emoji, CJK: characters of several tokens lost the reference its documents."""
    text = document["text"]
    ids, positions = tokenize(text)
    for mask in document["masks"]:
        if not mask["name"].startswith("hand_all_words") and not isinstance(mask.get("aligned"), dict):
            continue
        for _, start, length in mask["mask"] if isinstance(mask["mask"], list) else []:
            if length == 0 or start + length > len(text):
                continue
            ((first, last),) = aligned(text, [(start, length)])
            answer = VOCABULARY.decode(ids[first:last])
            assert answer == text[positions[first] : positions[last]]
            assert text[start : start + length] in answer
            assert "�" not in answer or "�" in text


def test_a_token_of_one_character_and_a_part_of_the_next():
    # " 李" is three tokens: one of the space and the first byte of 李, two of its other bytes.
    text = "is 李明"
    ids, positions = tokenize(text)
    assert ids == [271, 10545, 251, 236, 23626, 236]
    assert positions.tolist() == [0, 2, 2, 2, 4, 4, 5]
    assert aligned(text, [(3, 1)]) == [(1, 4)]
    assert aligned(text, [(4, 1)]) == [(4, 6)]
    assert aligned(text, [(3, 2)]) == [(1, 6)]


def test_spans_that_share_a_token_overlap():
    assert aligned("I can't go", [(2, 2), (4, 3)]) == [(1, 2), (1, 3)]


def test_white_space_left_out_of_offsets_goes_to_the_token_after_it():
    assert token_positions([(0, 3), (4, 7), (7, 8)], 9).tolist() == [0, 3, 7, 9]


@given(st.text(max_size=60), st.data())
def test_any_run_covers_its_span_and_decodes_to_whole_characters(text, data):
    ids, positions = tokenize(text)
    assert len(positions) == len(ids) + 1
    assert (np.diff(positions) >= 0).all()
    if not text:
        return
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(1, len(text) - start))
    ((first, last),) = aligned(text, [(start, length)])
    assert positions[first] <= start
    assert positions[last] >= start + length
    assert VOCABULARY.decode(ids[first:last]) == text[positions[first] : positions[last]]
    # The smallest such run: neither end can move inwards to another character boundary.
    inner = [p for p in positions.tolist() if positions[first] < p <= start]
    assert not inner
    assert not [p for p in positions.tolist() if start + length <= p < positions[last]]


@given(st.text(max_size=80))
def test_plain_text_survives_encoding(text):
    assert VOCABULARY.decode(VOCABULARY.encode(text)) == text


@pytest.mark.parametrize("control", ["<|endoftext|>", "<|endofinfill|>", "<|infill_word|>", "<|startofinfill|>"])
def test_a_literal_control_token_stays_text(control):
    ids = VOCABULARY.encode(f"I write {control} here")
    assert max(ids) < VOCABULARY.base_size - 1  # 50256 is <|endoftext|>
    assert VOCABULARY.decode(ids) == f"I write {control} here"


def test_examples_whose_spans_share_a_token():
    spans = TokenSpans.of([[(0, 0, 2), (0, 1, 3)], [], [(0, 0, 2), (0, 2, 3)]])
    assert spans.overlapping().tolist() == [True, False, False]
    assert spans.counts.tolist() == [2, 0, 2]
    assert spans.examples.tolist() == [0, 0, 2, 2]
    assert spans.masked_tokens.tolist() == [4, 0, 3]
