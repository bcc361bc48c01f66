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

Many examples are laid out at once, as runs of tokens: one is copied from a document, or is one special token. The
columns of the runs are filled for all examples together, then repeated to tokens; nothing is done token by token.

Legend: E examples, S spans in all of them, R runs, T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from ilm.config.sections import OBJECTIVES
from ilm.examples.alignment import TokenSpans
from ilm.examples.vocabulary import Vocabulary


class TargetType(IntEnum):
    """What a token is to the loss; the numbers are the reference's (`ilm/constants.py`, TargetType)."""

    PAD = 0
    CONTEXT = 1
    CONTEXT_SPECIAL = 2
    CONTEXT_INFILL_SEP = 3
    INFILL = 4
    INFILL_SPECIAL = 5
    INFILL_REDUNDANT = 6


class Example(NamedTuple):
    """T tokens of one example.

    `input_ids` int32 (T,); `target_types` uint8 (T,), values of `TargetType`; `full_length`, the number of tokens
    before the cut at `max_length`.
    """

    input_ids: np.ndarray
    target_types: np.ndarray
    full_length: int


@dataclass(frozen=True, eq=False)
class Examples:
    """E examples end to end: the columns of `Example` (T,), and `lengths`, `full_lengths` int64 (E,) in tokens."""

    input_ids: np.ndarray
    target_types: np.ndarray
    lengths: np.ndarray
    full_lengths: np.ndarray

    @classmethod
    def of(cls, examples: Sequence[Example]) -> "Examples":
        """Lay examples end to end."""
        if not examples:
            return cls(*(np.zeros(0, dtype) for dtype in (np.int32, np.uint8, np.int64, np.int64)))
        *columns, full_lengths = zip(*examples, strict=True)
        lengths = np.array([len(ids) for ids in columns[0]], dtype=np.int64)
        input_ids, target_types = map(np.concatenate, columns)
        return cls(input_ids, target_types, lengths, np.array(full_lengths, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> Example:
        if not 0 <= number < len(self):
            raise IndexError(f"example {number} of {len(self)}")
        end = int(self.lengths[: number + 1].sum())
        tokens = slice(end - int(self.lengths[number]), end)
        return Example(self.input_ids[tokens], self.target_types[tokens], int(self.full_lengths[number]))


def tell(examples: Examples, prefixes: Sequence[np.ndarray]) -> Examples:
    """The examples with the tokens of a line before each (`ilm.examples.conditions`); `full_lengths` stay.

    Neither the line nor the first token behind it is a target.
    """
    added = np.array([len(ids) for ids in prefixes], dtype=np.int64)
    begins = np.cumsum(examples.lengths) - examples.lengths
    types, first = examples.target_types.copy(), begins[added > 0]
    types[first[types[first] == TargetType.CONTEXT]] = TargetType.CONTEXT_SPECIAL
    places = np.repeat(begins, added)
    return Examples(
        np.insert(examples.input_ids, places, np.concatenate([np.zeros(0, np.int32), *prefixes])),
        np.insert(types, places, TargetType.CONTEXT_SPECIAL),
        examples.lengths + added,
        examples.full_lengths,
    )


def lay_out(
    ids: Sequence[int],
    spans: Sequence[tuple[int, int, int]],
    vocabulary: Vocabulary,
    objective: str,
    max_length: int,
) -> Example:
    """The example of a document's token ids and its masked spans, cut at `max_length` tokens.

    `spans` are (index of the mask type, first token, the one after the last), sorted and disjoint.

    Raises: ValueError for an unknown objective, or spans that are unsorted, overlapping or out of bounds.
    """
    # `lay_out_all` asks for one token at least.
    pool = np.array([*ids, vocabulary.end_of_infill])
    sizes, masked = np.array([len(ids)]), TokenSpans.of([spans])
    return lay_out_all(pool, np.array([0]), sizes, masked, vocabulary, objective, max_length)[0]


def lay_out_all(
    ids: np.ndarray,
    begins: np.ndarray,
    sizes: np.ndarray,
    spans: TokenSpans,
    vocabulary: Vocabulary,
    objective: str,
    max_length: int,
) -> Examples:
    """As `lay_out` for E documents at once; that of example e is ids[begins[e] : begins[e] + sizes[e]].

    `ids` holds at least one token. Raises: ValueError as `lay_out` does.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective {objective!r} is none of {', '.join(OBJECTIVES)}")
    spans.require_ordered(sizes)
    end, direction = vocabulary.end_of_infill, 1
    if objective == "reverse_lm":
        # The first token of a reversed document is its last, and the next one stands before it.
        spans, begins, direction = spans.reversed(sizes), begins + sizes - 1, -1
    has_context, has_answers = objective in ("ilm", "naive"), objective in ("ilm", "no_context_ilm")
    n_runs = spans.counts * (2 * has_context + (2 if has_answers else 3)) + has_context + (1 if has_answers else 2)
    first_runs = np.cumsum(n_runs) - n_runs
    runs = _Runs(int(n_runs.sum()), spans, begins, direction)
    at = first_runs
    if has_context:
        at = runs.add_context(at, sizes, vocabulary.blanks)
    at = runs.add_special(at, TargetType.CONTEXT_INFILL_SEP, vocabulary.start_of_infill)
    if has_answers:
        runs.add_answers(at, end)
    else:
        runs.add_copy(at, sizes)
    return runs.repeated(ids, first_runs, max_length, closed_by=None if has_answers else end)


class _Runs:
    """R runs of tokens. Columns: `starts`, indices of the first token copied; `lengths`; `target_types`;
    `specials`, the id of a run that is one special token, else -1.

    Each `add_` takes `at` (E,), the number of the first run it adds to each example, and returns the one after its
    last. Document tokens are counted from `begins` (E,) in `direction` 1 or -1.
    """

    def __init__(self, n_runs: int, spans: TokenSpans, begins: np.ndarray, direction: int):
        self.starts, self.lengths = np.zeros(n_runs, dtype=np.int64), np.ones(n_runs, dtype=np.int64)
        self.target_types = np.zeros(n_runs, dtype=np.uint8)
        self.specials = np.full(n_runs, -1, dtype=np.int64)
        self.spans, self.begins, self.direction = spans, begins, direction
        self.example = spans.examples
        self.within = np.arange(len(self.example)) - spans.offsets[self.example]  # (S,), place in its example

    def add_context(self, at: np.ndarray, sizes: np.ndarray, blanks: np.ndarray) -> np.ndarray:
        types, firsts, lasts = self.spans.types, self.spans.firsts, self.spans.lasts
        before, after = self._following(lasts)
        runs = at[self.example] + 2 * self.within
        self._copy(runs, self.example, before, firsts - before, TargetType.CONTEXT)
        self.target_types[runs + 1] = TargetType.CONTEXT_SPECIAL
        self.specials[runs + 1] = blanks[types]
        at = at + 2 * self.spans.counts
        self._copy(at, slice(None), after, sizes - after, TargetType.CONTEXT)
        return at + 1

    def add_special(self, at: np.ndarray, target_type: TargetType, special: int) -> np.ndarray:
        self.target_types[at], self.specials[at] = target_type, special
        return at + 1

    def add_answers(self, at: np.ndarray, end: int) -> None:
        firsts, lasts = self.spans.firsts, self.spans.lasts
        runs = at[self.example] + 2 * self.within
        self._copy(runs, self.example, firsts, lasts - firsts, TargetType.INFILL)
        self.add_special(runs + 1, TargetType.INFILL_SPECIAL, end)

    def add_copy(self, at: np.ndarray, sizes: np.ndarray) -> None:
        """The whole document and its end token, with the masked parts marked as what is asked for."""
        firsts, lasts = self.spans.firsts, self.spans.lasts
        special = self.spans.followed()
        before, after = self._following(lasts + special)
        runs = at[self.example] + 3 * self.within
        self._copy(runs, self.example, before, firsts - before, TargetType.INFILL_REDUNDANT)
        self._copy(runs + 1, self.example, firsts, lasts - firsts, TargetType.INFILL)
        self._copy(runs + 2, self.example, lasts, special, TargetType.INFILL_SPECIAL)
        self._copy(at + 3 * self.spans.counts, slice(None), after, sizes + 1 - after, TargetType.INFILL_REDUNDANT)

    def repeated(self, ids: np.ndarray, first_runs: np.ndarray, max_length: int, closed_by: int | None) -> Examples:
        """The tokens of the runs, cut at `max_length` for each example; those of `first_runs` (E,) begin one.

        The last token of every example is `closed_by`, where given.
        """
        ends = np.cumsum(self.lengths)
        begins = ends - self.lengths
        n_tokens = int(ends[-1]) if len(ends) else 0
        sources = np.repeat(self.starts - self.direction * begins, self.lengths)
        sources += self.direction * np.arange(n_tokens)
        # Where a special token stands, what is copied first may be out of bounds.
        input_ids = ids.take(sources, mode="clip").astype(np.int32)
        one_special = self.specials >= 0
        input_ids[begins[one_special]] = self.specials[one_special]
        first_tokens = begins[first_runs]
        full_lengths = np.diff(first_tokens, append=n_tokens)
        if closed_by is not None:
            input_ids[first_tokens + full_lengths - 1] = closed_by
        target_types = np.repeat(self.target_types, self.lengths)
        if full_lengths.max(initial=0) > max_length:
            kept = np.arange(n_tokens) - np.repeat(first_tokens, full_lengths) < max_length
            input_ids, target_types = input_ids[kept], target_types[kept]
        return Examples(input_ids, target_types, np.minimum(full_lengths, max_length), full_lengths)

    def _copy(
        self,
        runs: np.ndarray | slice,
        examples: np.ndarray | slice,
        firsts: np.ndarray,
        lengths: np.ndarray,
        target_type: TargetType,
    ) -> None:
        """`lengths` tokens from token `firsts` of the documents of `examples`."""
        self.starts[runs] = self.begins[examples] + self.direction * firsts
        self.lengths[runs] = lengths
        self.target_types[runs] = target_type

    def _following(self, lasts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of a column (S,): for each span the value of the one before it in its example, and for each example that
        of its last span; 0 where there is none."""
        before = np.zeros_like(lasts)
        before[1:] = lasts[:-1]
        before[self.within == 0] = 0
        after = np.zeros(len(self.spans.counts), dtype=np.int64)
        some = self.spans.counts > 0
        after[some] = lasts[self.spans.offsets[1:][some] - 1]
        return before, after
