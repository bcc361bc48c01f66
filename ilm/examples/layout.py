"""How a document and a mask become an example: the five objectives of Donahue et al. 2020.

The document "She ate leftover pasta for lunch." with the spans (ngram, 7, 15) and (word, 26, 6), that is
"leftover pasta" and "lunch" with their leading spaces, becomes

    ilm             She ate<|infill_ngram|> for<|infill_word|>.
                    <|startofinfill|> leftover pasta<|endofinfill|> lunch<|endofinfill|>
    no_context_ilm  <|startofinfill|> leftover pasta<|endofinfill|> lunch<|endofinfill|>
    naive           She ate<|infill_ngram|> for<|infill_word|>.
                    <|startofinfill|>She ate leftover pasta for lunch.<|endofinfill|>
    lm              <|startofinfill|>She ate leftover pasta for lunch.<|endofinfill|>
    reverse_lm      <|startofinfill|>. lunch for pasta leftover ateShe<|endofinfill|>

without the line breaks (naive is the paper's LM-All, reverse_lm its LM-Rev; the names are those of the reference's
`--task`). Each token has a target type. For `ilm`, with C context, S blank, | separator, I answer and E its end:

    She ate<|infill_ngram|> for<|infill_word|>.<|startofinfill|> leftover pasta<|endofinfill|> lunch<|endofinfill|>
    C   C  S                C  S              C|                 I        I    E              I     E

In the last three objectives the copied document is INFILL_REDUNDANT, its masked tokens are INFILL, and the one
token after each masked span is INFILL_SPECIAL unless it is masked itself.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from ilm.examples import OBJECTIVES
from ilm.examples.vocabulary import Vocabulary

NO_ANSWER = -1


class TargetType(IntEnum):
    """What a token is to the loss; the numbers are the reference's (`ilm/constants.py`, TargetType)."""

    PAD = 0
    CONTEXT = 1
    CONTEXT_SPECIAL = 2
    CONTEXT_INFILL_SEP = 3
    INFILL = 4
    INFILL_SPECIAL = 5
    INFILL_REDUNDANT = 6


class TokenSpan(NamedTuple):
    """A masked run of tokens: the index of its mask type, its first token and the one after its last."""

    mask_type: int
    first: int
    last: int


class Example(NamedTuple):
    """T tokens of one example.

    `input_ids` int32 (T,); `target_types` uint8 (T,), values of `TargetType`; `answer_types` int8 (T,), for INFILL
    and INFILL_SPECIAL tokens the index of the mask type of the span they belong to, else NO_ANSWER;
    `full_length`, the number of tokens before the cut at `max_length`.
    """

    input_ids: np.ndarray
    target_types: np.ndarray
    answer_types: np.ndarray
    full_length: int


class _Builder:
    """Runs of tokens in the order they are added; `cut` makes the example."""

    def __init__(self):
        self.ids: list[int] = []
        self.target_types = bytearray()
        self.answer_types = bytearray()

    def add(self, ids: list[int], target_type: int, answer_type: int = NO_ANSWER) -> None:
        self.ids += ids
        self.target_types += bytes((target_type,)) * len(ids)
        self.answer_types += bytes((answer_type & 0xFF,)) * len(ids)

    def cut(self, max_length: int) -> Example:
        return Example(
            np.array(self.ids[:max_length], dtype=np.int32),
            np.frombuffer(bytes(self.target_types[:max_length]), dtype=np.uint8),
            np.frombuffer(bytes(self.answer_types[:max_length]), dtype=np.int8),
            len(self.ids),
        )


def lay_out(
    document: list[int], spans: list[TokenSpan], vocabulary: Vocabulary, objective: str, max_length: int
) -> Example:
    """The example of a document's token ids and its masked spans (sorted, disjoint), cut at `max_length` tokens.

    Raises: ValueError for an unknown objective, or spans that are unsorted, overlapping or out of bounds.
    """
    _require_ordered(spans, len(document))
    end = vocabulary.end_of_infill
    example = _Builder()
    if objective in ("ilm", "naive"):
        _add_context(example, document, spans, vocabulary)
    example.add([vocabulary.start_of_infill], TargetType.CONTEXT_INFILL_SEP)
    if objective in ("ilm", "no_context_ilm"):
        for mask_type, first, last in spans:
            example.add(document[first:last], TargetType.INFILL, mask_type)
            example.add([end], TargetType.INFILL_SPECIAL, mask_type)
    elif objective in ("naive", "lm"):
        _add_copy(example, [*document, end], spans)
    elif objective == "reverse_lm":
        n = len(document)
        mirrored = [TokenSpan(span.mask_type, n - span.last, n - span.first) for span in reversed(spans)]
        _add_copy(example, [*reversed(document), end], mirrored)
    else:
        raise ValueError(f"objective {objective!r} is none of {', '.join(OBJECTIVES)}")
    return example.cut(max_length)


def example_length(objective: str, document_tokens, masked_tokens, n_spans):
    """The full length in tokens of `lay_out`'s example, from counts alone (integers or arrays of them)."""
    return {
        "ilm": document_tokens + 2 * n_spans + 1,
        "no_context_ilm": masked_tokens + n_spans + 1,
        "naive": 2 * document_tokens - masked_tokens + n_spans + 2,
        "lm": document_tokens + 2,
        "reverse_lm": document_tokens + 2,
    }[objective]


def _add_context(example: _Builder, document: list[int], spans: list[TokenSpan], vocabulary: Vocabulary) -> None:
    done = 0
    for mask_type, first, last in spans:
        example.add(document[done:first], TargetType.CONTEXT)
        example.add([int(vocabulary.blanks[mask_type])], TargetType.CONTEXT_SPECIAL)
        done = last
    example.add(document[done:], TargetType.CONTEXT)


def _add_copy(example: _Builder, copy: list[int], spans: list[TokenSpan]) -> None:
    """The whole document and its end token, with the masked parts marked as what is asked for."""
    done = 0
    for i, (mask_type, first, last) in enumerate(spans):
        example.add(copy[done:first], TargetType.INFILL_REDUNDANT)
        example.add(copy[first:last], TargetType.INFILL, mask_type)
        done = last
        if i + 1 == len(spans) or spans[i + 1].first > last:
            example.add([copy[last]], TargetType.INFILL_SPECIAL, mask_type)
            done = last + 1
    example.add(copy[done:], TargetType.INFILL_REDUNDANT)


def _require_ordered(spans: list[TokenSpan], n_tokens: int) -> None:
    previous = 0
    for span in spans:
        if not previous <= span.first < span.last <= n_tokens:
            raise ValueError(f"{span} of a document of {n_tokens} tokens: spans must be sorted, disjoint and in bounds")
        previous = span.last
