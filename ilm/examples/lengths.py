"""What an example holds, counted from its mask alone: the tokens and the targets of its loss.

The targets are CONTEXT tokens (context targets) and INFILL, INFILL_SPECIAL and INFILL_REDUNDANT tokens (infill
targets); neither blanks nor the separator are, nor the first token of an example, which nothing stands before. Equal
to counting in the example that `ilm.examples.layout` lays out.

Legend: E examples, S spans in all of them.
"""

from typing import NamedTuple

import numpy as np

from ilm.examples.layout import MaskedSpans, example_length


class ExampleCounts(NamedTuple):
    """What each of E examples holds after the cut, (E,): tokens, and targets by kind."""

    lengths: np.ndarray
    context_targets: np.ndarray
    infill_targets: np.ndarray


class MaskShapes:
    """The sizes of E examples of any objective: documents of `document_tokens` (E,) tokens with these spans.

    `sharing` (E,) says where two spans share a token; sizes mean nothing there.
    """

    def __init__(self, document_tokens: np.ndarray, spans: MaskedSpans):
        self._document_tokens, self._n_spans, self._firsts = document_tokens, spans.counts, spans.firsts
        ends = np.cumsum(spans.counts)
        self._begins = ends - spans.counts
        self._example = np.repeat(np.arange(len(spans.counts)), spans.counts)  # (S,)
        # Masked tokens before each span, of all examples; the last entry is their total.
        self._masked = np.concatenate([[0], np.cumsum(spans.lasts - spans.firsts)])
        self._masked_tokens = self._masked[ends] - self._masked[self._begins]
        shared = (self._example[1:] == self._example[:-1]) & (spans.firsts[1:] < spans.lasts[:-1])
        self.sharing = np.zeros(len(spans.counts), dtype=bool)
        self.sharing[self._example[1:][shared]] = True

    def lengths(self, objective: str) -> np.ndarray:
        """Full lengths in tokens, (E,)."""
        return example_length(objective, self._document_tokens, self._masked_tokens, self._n_spans)

    def counts(self, objective: str, max_length: int) -> ExampleCounts:
        """What the examples hold when cut at `max_length` tokens."""
        lengths = np.minimum(self.lengths(objective), max_length)
        if objective not in ("ilm", "naive"):
            return ExampleCounts(lengths, np.zeros_like(lengths), lengths - 1)
        before_separator = self._document_tokens - self._masked_tokens + self._n_spans
        context = np.minimum(before_separator, max_length) - self._blanks(before_separator, max_length)
        context -= self._begins_with_context()
        return ExampleCounts(lengths, context, np.maximum(lengths - before_separator - 1, 0))

    def _blanks(self, before_separator: np.ndarray, max_length: int) -> np.ndarray:
        """Blanks among the first `max_length` tokens of each example, (E,)."""
        if before_separator.max(initial=0) <= max_length:
            return self._n_spans
        masked_before = self._masked[:-1] - self._masked[self._begins][self._example]
        places = self._firsts - masked_before + np.arange(len(self._example)) - self._begins[self._example]
        return np.bincount(self._example[places < max_length], minlength=len(self._n_spans))

    def _begins_with_context(self) -> np.ndarray:
        """Whether the first token of each example is one of the document's, (E,)."""
        begins = self._document_tokens > 0
        some = self._n_spans > 0
        begins[some] = self._firsts[self._begins[some]] > 0
        return begins
