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

from ilm.examples.alignment import TokenSpans
from ilm.examples.lengths import WITH_ANSWERS, WITH_CONTEXT, full_lengths
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

    Raises: ValueError for spans that are unsorted, overlapping or out of bounds.
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
    spans.require_ordered(sizes)
    direction = 1
    if objective == "reverse_lm":
        # A reversed document starts at its last token and runs backwards.
        spans, begins, direction = spans.reversed(sizes), begins + sizes - 1, -1
    kinds, firsts, lengths, specials = _runs(objective, begins, sizes, direction, spans, vocabulary)
    starts, n_tokens = np.cumsum(lengths) - lengths, int(lengths.sum())
    sources = np.repeat(firsts - direction * starts, lengths) + direction * np.arange(n_tokens)
    # Indices may be out of bounds at special tokens, which replace what is copied there.
    input_ids = ids.take(sources, mode="clip").astype(np.int32)
    is_special = specials >= 0
    input_ids[starts[is_special]] = specials[is_special]
    full = full_lengths(objective, sizes, spans)
    ends = np.cumsum(full)
    if objective not in WITH_ANSWERS:
        input_ids[ends - 1] = vocabulary.end_of_infill
    target_types = np.repeat(kinds, lengths)
    if full.max(initial=0) > max_length:
        kept = np.arange(n_tokens) - np.repeat(ends - full, full) < max_length
        input_ids, target_types = input_ids[kept], target_types[kept]
    return Examples(input_ids, target_types, np.minimum(full, max_length), full)


def _runs(
    objective: str, begins: np.ndarray, sizes: np.ndarray, direction: int, spans: TokenSpans, vocabulary: Vocabulary
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The runs of all examples, (R,): target types, indices of the first token, lengths, special tokens.

    A run is one special token, or has -1 there and copies tokens of its document, from `begins` (E,) in `direction`.
    """
    counts, of, nth, firsts, lasts = spans.counts, spans.examples, spans.places, spans.firsts, spans.lasts
    every = np.arange(len(sizes))
    separator = 2 * counts + 1 if objective in WITH_CONTEXT else 0 * counts  # its place among an example's runs
    n_runs = separator + 1 + (2 * counts if objective in WITH_ANSWERS else 3 * counts + 1)
    origin = np.cumsum(n_runs) - n_runs
    kinds, sources = np.zeros(n_runs.sum(), dtype=np.uint8), np.zeros(n_runs.sum(), dtype=np.int64)
    lengths, specials = np.ones_like(sources), np.full_like(sources, -1)

    def copy(kind: TargetType, example: np.ndarray, place: np.ndarray, first: np.ndarray, last: np.ndarray) -> None:
        runs = origin[example] + place
        kinds[runs], sources[runs], lengths[runs] = kind, begins[example] + direction * first, last - first

    def special(kind: TargetType, example: np.ndarray, place: np.ndarray, token: int | np.ndarray) -> None:
        runs = origin[example] + place
        kinds[runs], specials[runs] = kind, token

    if objective in WITH_CONTEXT:
        before, rest = spans.between(lasts)
        copy(TargetType.CONTEXT, of, 2 * nth, before, firsts)
        special(TargetType.CONTEXT_SPECIAL, of, 2 * nth + 1, vocabulary.blanks[spans.types])
        copy(TargetType.CONTEXT, every, 2 * counts, rest, sizes)
    special(TargetType.CONTEXT_INFILL_SEP, every, separator, vocabulary.start_of_infill)
    if objective in WITH_ANSWERS:
        place = separator[of] + 1 + 2 * nth
        copy(TargetType.INFILL, of, place, firsts, lasts)
        special(TargetType.INFILL_SPECIAL, of, place + 1, vocabulary.end_of_infill)
    else:
        # The end token counts as the document's last one.
        place, after = separator[of] + 1 + 3 * nth, lasts + spans.followed()
        before, rest = spans.between(after)
        copy(TargetType.INFILL_REDUNDANT, of, place, before, firsts)
        copy(TargetType.INFILL, of, place + 1, firsts, lasts)
        copy(TargetType.INFILL_SPECIAL, of, place + 2, lasts, after)
        copy(TargetType.INFILL_REDUNDANT, every, n_runs - 1, rest, sizes + 1)
    return kinds, sources, lengths, specials
