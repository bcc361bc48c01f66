"""Aligns character spans with tokens: the smallest run of tokens that covers a span and ends between characters.

Legend: E examples, S spans in all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ilm.masking.masks import offsets


def align(positions: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Character spans as runs of tokens: (first, last), `last` exclusive, both shaped like `starts`.

    `positions`: non-decreasing, of one document or many concatenated ones. A run is the smallest one that covers its
    span and starts and ends at character boundaries; two spans that share a token overlap.
    """
    containing = np.searchsorted(positions, starts, side="right") - 1
    first = np.searchsorted(positions, positions[containing], side="left")
    last = np.searchsorted(positions, starts + lengths, side="left")
    return first, last


@dataclass(frozen=True, eq=False)
class TokenSpans:
    """The concatenated masked spans of E examples; example e has spans `offsets[e] : offsets[e + 1]`.

    `types`, `firsts`, `lasts`: int64 (S,), a span's mask type index, first token and exclusive last token, relative to
    its document.
    """

    offsets: np.ndarray
    types: np.ndarray
    firsts: np.ndarray
    lasts: np.ndarray

    @classmethod
    def of(cls, examples: Sequence[Sequence[tuple[int, int, int]]]) -> "TokenSpans":
        """Build from the spans (type, first, last) of each example."""
        columns = np.array([span for spans in examples for span in spans], dtype=np.int64).reshape(-1, 3).T
        return cls(offsets([len(spans) for spans in examples]), *columns)

    @cached_property
    def counts(self) -> np.ndarray:
        """Spans of each example, (E,)."""
        return np.diff(self.offsets)

    @cached_property
    def examples(self) -> np.ndarray:
        """The example of each span, (S,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def places(self) -> np.ndarray:
        """The place of each span in its example, from 0, (S,)."""
        return np.arange(len(self.examples)) - self.offsets[self.examples]

    @cached_property
    def tokens_before(self) -> np.ndarray:
        """Cumulative masked tokens before each span, and the total, (S + 1,)."""
        return offsets(self.lasts - self.firsts)

    @cached_property
    def masked_tokens(self) -> np.ndarray:
        """Masked tokens of each example, (E,)."""
        return np.diff(self.tokens_before[self.offsets])

    def overlapping(self) -> np.ndarray:
        """Whether two spans of an example share a token, (E,)."""
        shared = (self.examples[1:] == self.examples[:-1]) & (self.firsts[1:] < self.lasts[:-1])
        result = np.zeros(len(self.counts), dtype=bool)
        result[self.examples[1:][shared]] = True
        return result

    def followed(self) -> np.ndarray:
        """1 if the token after a span is outside the next span, else 0, (S,)."""
        result = np.ones(len(self.lasts), dtype=np.int64)
        result[:-1] = (self.firsts[1:] > self.lasts[:-1]) | (self.examples[1:] != self.examples[:-1])
        return result

    def between(self, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the tokens between spans begin, given where each span ends: (S,) before it, (E,) after the last one."""
        before = np.where(self.places == 0, 0, np.append(0, ends)[:-1])
        after = np.zeros(len(self.counts), dtype=np.int64)
        after[self.examples] = ends  # that of the last span remains
        return before, after

    def reversed(self, document_tokens: np.ndarray) -> "TokenSpans":
        """The same spans in reversed documents of `document_tokens` (E,) tokens."""
        tokens = document_tokens[self.examples]
        # Reversing all spans also reverses the examples; the offsets restore their order.
        order = (self.offsets[1:] + self.offsets[:-1] - 1)[self.examples] - np.arange(len(tokens))
        return TokenSpans(self.offsets, self.types[order], tokens - self.lasts[order], tokens - self.firsts[order])

    def require_ordered(self, document_tokens: np.ndarray) -> None:
        """Raises: ValueError unless spans are sorted, disjoint and within documents of `document_tokens` (E,)."""
        tokens = document_tokens[self.examples]
        wrong = (self.firsts < 0) | (self.firsts >= self.lasts) | (self.lasts > tokens)
        wrong[1:] |= (self.firsts[1:] < self.lasts[:-1]) & (self.examples[1:] == self.examples[:-1])
        if wrong.any():
            span = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"tokens {self.firsts[span]} to {self.lasts[span]} of a document of {tokens[span]}: spans must be "
                "sorted, disjoint and in bounds"
            )
