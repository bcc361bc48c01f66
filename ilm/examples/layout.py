"""Turns a document and a mask into an example: the five objectives of Donahue et al. 2020.

The document "She ate leftover pasta for lunch." with the spans (ngram, 7, 15) and (word, 26, 6), which are
" leftover pasta" and " lunch", becomes (without the line breaks)

    ilm             She ate<|infill_ngram|> for<|infill_word|>.
                    <|startofinfill|> leftover pasta<|endofinfill|> lunch<|endofinfill|>
    no_context_ilm  <|startofinfill|> leftover pasta<|endofinfill|> lunch<|endofinfill|>
    naive           She ate<|infill_ngram|> for<|infill_word|>.
                    <|startofinfill|>She ate leftover pasta for lunch.<|endofinfill|>
    lm              <|startofinfill|>She ate leftover pasta for lunch.<|endofinfill|>
    reverse_lm      <|startofinfill|>. lunch for pasta leftover ateShe<|endofinfill|>

(naive is the paper's LM-All, reverse_lm its LM-Rev; the names are those of the reference's `--task`). Each token has a
target type. For `ilm`, with C context, S blank, | separator, I answer and E its end:

    She ate<|infill_ngram|> for<|infill_word|>.<|startofinfill|> leftover pasta<|endofinfill|> lunch<|endofinfill|>
    C   C  S                C  S              C|                 I        I    E              I     E

In the last three objectives the copied document is INFILL_REDUNDANT, its masked tokens are INFILL, and the token after
each masked span is INFILL_SPECIAL unless masked itself.

Many examples are laid out at once, as runs: either tokens copied from a document, or one special token. The runs of all
examples are arrays, expanded to tokens at the end; nothing loops over tokens.

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
    """The role of a token in the loss; values as in the reference (`ilm/constants.py`, TargetType)."""

    PAD = 0
    CONTEXT = 1
    CONTEXT_SPECIAL = 2
    CONTEXT_INFILL_SEP = 3
    INFILL = 4
    INFILL_SPECIAL = 5
    INFILL_REDUNDANT = 6


class Example(NamedTuple):
    """T tokens of one example.

    `input_ids`: int32 (T,). `target_types`: uint8 (T,), values of `TargetType`. `full_length`: number of tokens before
    truncation at `max_length`.
    """

    input_ids: np.ndarray
    target_types: np.ndarray
    full_length: int


@dataclass(frozen=True, eq=False)
class Examples:
    """E concatenated examples: the columns of `Example` (T,), and `lengths`, `full_lengths` int64 (E,) in tokens."""

    input_ids: np.ndarray
    target_types: np.ndarray
    lengths: np.ndarray
    full_lengths: np.ndarray

    @classmethod
    def of(cls, examples: Sequence[Example]) -> "Examples":
        """Concatenate examples."""
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


def add_prefixes(examples: Examples, prefixes: Sequence[np.ndarray]) -> Examples:
    """Prepend a prefix to each example (`ilm.examples.conditions`); `full_lengths` do not change.

    Neither the prefix nor the first token after it is a target.
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
    """The example of a document's token ids and masked spans, truncated at `max_length` tokens.

    `spans`: (mask type index, first token, exclusive last token), sorted and disjoint.

    Raises: ValueError for an unknown objective, or spans that are unsorted, overlapping or out of bounds.
    """
    # `lay_out_all` needs at least one token.
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
    """`lay_out` for E documents at once; example e's document is ids[begins[e] : begins[e] + sizes[e]].

    `ids` has at least one token. Raises: ValueError as `lay_out`.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective {objective!r}: expected one of {', '.join(OBJECTIVES)}")
    spans.require_ordered(sizes)
    end, direction = vocabulary.end_of_infill, 1
    if objective == "reverse_lm":
        # A reversed document starts at its last token and runs backwards.
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
    `specials`, the id if the run is a special token, else -1.

    Each `add_` method takes `at` (E,), the index of the first run it adds to each example, and returns the next free
    one. Document tokens are counted from `begins` (E,) in `direction` 1 or -1.
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
        """Add the whole document and its end token, with masked parts marked as targets."""
        firsts, lasts = self.spans.firsts, self.spans.lasts
        special = self.spans.followed()
        before, after = self._following(lasts + special)
        runs = at[self.example] + 3 * self.within
        self._copy(runs, self.example, before, firsts - before, TargetType.INFILL_REDUNDANT)
        self._copy(runs + 1, self.example, firsts, lasts - firsts, TargetType.INFILL)
        self._copy(runs + 2, self.example, lasts, special, TargetType.INFILL_SPECIAL)
        self._copy(at + 3 * self.spans.counts, slice(None), after, sizes + 1 - after, TargetType.INFILL_REDUNDANT)

    def repeated(self, ids: np.ndarray, first_runs: np.ndarray, max_length: int, closed_by: int | None) -> Examples:
        """Expand the runs to tokens, truncating each example at `max_length`; `first_runs` (E,) start the examples.

        `closed_by`: overwrites the last token of every example, unless None.
        """
        ends = np.cumsum(self.lengths)
        begins = ends - self.lengths
        n_tokens = int(ends[-1]) if len(ends) else 0
        sources = np.repeat(self.starts - self.direction * begins, self.lengths)
        sources += self.direction * np.arange(n_tokens)
        # Indices may be out of bounds at special tokens, which overwrite what is copied there.
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
        """For a column (S,): the value of each span's predecessor in its example, and of each example's last span;
        0 if there is none."""
        before = np.zeros_like(lasts)
        before[1:] = lasts[:-1]
        before[self.within == 0] = 0
        after = np.zeros(len(self.spans.counts), dtype=np.int64)
        some = self.spans.counts > 0
        after[some] = lasts[self.spans.offsets[1:][some] - 1]
        return before, after
