import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.config.sections import OBJECTIVES
from ilm.examples.alignment import TokenSpans
from ilm.examples.layout import TargetType, lay_out
from ilm.examples.lengths import full_lengths
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from tests.reference_data import DOCUMENTS, MASK_TYPES

VOCABULARY = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
TEXT = "She ate leftover pasta for lunch."
IDS = VOCABULARY.encode(TEXT)
NGRAM, WORD = 3, 4
SPANS = [(NGRAM, 2, 4), (WORD, 5, 6)]
REFERENCE_NAMES = {
    "ILM": "ilm",
    "NO_CONTEXT_ILM": "no_context_ilm",
    "NAIVE": "naive",
    "LM": "lm",
    "REVERSE_LM": "reverse_lm",
}
C, S, SEP, A, E, R = (int(TargetType(n)) for n in (1, 2, 3, 4, 5, 6))


@pytest.mark.parametrize(
    ("objective", "text", "target_types"),
    [
        (
            "ilm",
            "She ate<|infill_ngram|> for<|infill_word|>."
            "<|startofinfill|> leftover pasta<|endofinfill|> lunch<|endofinfill|>",
            [C, C, S, C, S, C, SEP, A, A, E, A, E],
        ),
        (
            "no_context_ilm",
            "<|startofinfill|> leftover pasta<|endofinfill|> lunch<|endofinfill|>",
            [SEP, A, A, E, A, E],
        ),
        (
            "naive",
            "She ate<|infill_ngram|> for<|infill_word|>."
            "<|startofinfill|>She ate leftover pasta for lunch.<|endofinfill|>",
            [C, C, S, C, S, C, SEP, R, R, A, A, E, A, E, R],
        ),
        ("lm", "<|startofinfill|>She ate leftover pasta for lunch.<|endofinfill|>", [SEP, R, R, A, A, E, A, E, R]),
        (
            "reverse_lm",
            "<|startofinfill|>. lunch for pasta leftover ateShe<|endofinfill|>",
            [SEP, R, A, E, A, A, E, R, R],
        ),
    ],
)
def test_the_examples_of_the_docstring(objective, text, target_types):
    example = lay_out(IDS, SPANS, VOCABULARY, objective, 256)
    assert VOCABULARY.decode(example.input_ids) == text
    assert example.target_types.tolist() == target_types
    assert example.full_length == len(example.input_ids)


def test_the_token_after_a_span_is_special_unless_it_is_masked_too():
    adjacent = [(WORD, 2, 3), (WORD, 3, 4)]
    assert lay_out(IDS, adjacent, VOCABULARY, "lm", 256).target_types.tolist() == [SEP, R, R, A, A, E, R, R, R]


def test_a_long_example_is_cut_at_the_end():
    example = lay_out(IDS, SPANS, VOCABULARY, "ilm", 9)
    assert (len(example.input_ids), example.full_length) == (9, 12)
    assert example.target_types.tolist() == [C, C, S, C, S, C, SEP, A, A]


@pytest.mark.parametrize(
    "spans",
    [
        [(WORD, 3, 4), (WORD, 1, 2)],
        [(WORD, 1, 3), (WORD, 2, 4)],
        [(WORD, 2, 2)],
        [(WORD, 6, 8)],
    ],
    ids=["unsorted", "overlapping", "empty", "out of bounds"],
)
def test_spans_that_are_no_mask_are_refused(spans):
    with pytest.raises(ValueError, match="sorted, disjoint"):
        lay_out(IDS, spans, VOCABULARY, "ilm", 256)


@pytest.mark.parametrize("length", [256, 64])
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["name"])
def test_rows_are_those_of_the_reference(document, length):
    compared = 0
    for mask in document["masks"]:
        # The reference makes wrong rows of unsorted spans; here they are refused (see above).
        if mask["name"] == "hand_unsorted" or mask.get("rows", {}).get(str(length)) is None:
            continue
        spans = [(MASK_TYPES.index(t.lower()), first, first + n) for t, first, n in mask["aligned"]]
        example = lay_out(document["ids_official"], spans, VOCABULARY, "ilm", length)
        expected = mask["rows"][str(length)]
        assert example.input_ids.tolist() == expected["inputs"]
        assert example.target_types.tolist() == expected["tts"]
        compared += 1
    failed = "'' " in document["text"] or any(offset is None for offset in document["token_offsets"])
    assert compared or failed


def test_rows_of_the_other_objectives_are_those_of_the_reference():
    compared = 0
    for document in DOCUMENTS:
        for mask in document["masks"]:
            for name, expected in mask.get("rows_other_tasks_64", {}).items():
                spans = [(MASK_TYPES.index(t.lower()), first, first + n) for t, first, n in mask["aligned"]]
                example = lay_out(document["ids_official"], spans, VOCABULARY, REFERENCE_NAMES[name], 64)
                padding = [0] * (64 - len(example.input_ids))
                assert example.input_ids.tolist() + padding == expected["inputs"]
                assert example.target_types.tolist() + padding == expected["tts"]
                compared += 1
    assert compared == 48


@st.composite
def masked_documents(draw):
    ids = draw(st.lists(st.integers(0, 50256), max_size=60))
    cuts = sorted(draw(st.sets(st.integers(0, len(ids)), max_size=10)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return ids, [(draw(st.integers(0, 4)), first, last) for first, last in pairs]


@given(masked_documents(), st.sampled_from(OBJECTIVES), st.integers(2, 80))
def test_every_layout_keeps_its_promises(masked, objective, max_length):
    ids, spans = masked
    whole = lay_out(ids, spans, VOCABULARY, objective, 10_000)
    masked_tokens = sum(last - first for _, first, last in spans)
    counted = full_lengths(objective, np.array([len(ids)]), TokenSpans.of([spans]))
    assert [whole.full_length] == [len(whole.input_ids)] == counted.tolist()
    assert (whole.target_types == TargetType.INFILL).sum() == masked_tokens
    cut = lay_out(ids, spans, VOCABULARY, objective, max_length)
    for part, full in zip(cut[:2], whole[:2], strict=True):
        assert part.tolist() == full[:max_length].tolist()


@given(masked_documents())
def test_context_with_the_answers_put_back_is_the_document(masked):
    ids, spans = masked
    tokens = lay_out(ids, spans, VOCABULARY, "ilm", 10_000).input_ids.tolist()
    separator = tokens.index(VOCABULARY.start_of_infill)
    answers, answer = [], []
    for token in tokens[separator + 1 :]:
        if token == VOCABULARY.end_of_infill:
            answers.append(answer)
            answer = []
        else:
            answer.append(token)
    rebuilt = []
    for token in tokens[:separator]:
        rebuilt += answers.pop(0) if token in VOCABULARY.blanks else [token]
    assert rebuilt == ids
