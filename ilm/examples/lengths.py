"""Counts tokens and loss targets of examples from their spans, without laying them out.

Targets are CONTEXT tokens (context targets) and INFILL, INFILL_SPECIAL and INFILL_REDUNDANT tokens (infill targets),
but not blanks, the separator, or the first token of an example, which nothing precedes. The counts equal those of
examples laid out by `ilm.examples.layout`.

Legend: E examples, S spans in all of them.
"""

from typing import NamedTuple

import numpy as np

from ilm.examples.alignment import TokenSpans
from ilm.masking.masks import offsets

# Objectives whose examples begin with the context; and those with one answer per span, not a copy of the document.
WITH_CONTEXT, WITH_ANSWERS = ("ilm", "naive"), ("ilm", "no_context_ilm")


class ExampleCounts(NamedTuple):
    """Tokens, and targets by kind, of each of E examples after truncation, (E,)."""

    lengths: np.ndarray
    context_targets: np.ndarray
    infill_targets: np.ndarray


def full_lengths(objective: str, document_tokens: np.ndarray, spans: TokenSpans) -> np.ndarray:
    """Example lengths in tokens before truncation, (E,), for documents of `document_tokens` (E,) tokens."""
    masked_tokens, n_spans = spans.masked_tokens, spans.counts
    return {
        "ilm": document_tokens + 2 * n_spans + 1,
        "no_context_ilm": masked_tokens + n_spans + 1,
        "naive": 2 * document_tokens - masked_tokens + n_spans + 2,
        "lm": document_tokens + 2,
        "reverse_lm": document_tokens + 2,
    }[objective]


def count_examples(objective: str, document_tokens: np.ndarray, spans: TokenSpans, max_length: int) -> ExampleCounts:
    """Counts after truncation at `max_length` tokens; meaningless if spans overlap."""
    lengths = np.minimum(full_lengths(objective, document_tokens, spans), max_length)
    if objective not in WITH_CONTEXT:
        return ExampleCounts(lengths, np.zeros_like(lengths), lengths - 1)
    before_separator = document_tokens - spans.masked_tokens + spans.counts
    context = np.minimum(before_separator, max_length) - _blanks(spans, before_separator, max_length)
    begins_with_context = document_tokens > 0
    some = spans.counts > 0
    begins_with_context[some] = spans.firsts[spans.offsets[:-1][some]] > 0
    context -= begins_with_context
    return ExampleCounts(lengths, context, np.maximum(lengths - before_separator - 1, 0))


def count_answers(
    objective: str, document_tokens: np.ndarray, spans: TokenSpans, max_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Answer tokens with end tokens, before and after truncation at `max_length` tokens, (E,) each.

    For objectives that copy the whole document: its masked tokens and the one after each masked span.
    """
    counts = spans.counts
    begins = 1 + (document_tokens - spans.masked_tokens + counts if objective in WITH_CONTEXT else 0 * counts)
    if objective in WITH_ANSWERS:
        answers = spans.masked_tokens + counts
        return answers, np.clip(max_length - begins, 0, answers)
    if objective == "reverse_lm":
        spans = spans.reversed(document_tokens)
    lengths = spans.lasts - spans.firsts + spans.followed()
    kept = np.clip(max_length - begins[spans.examples] - spans.firsts, 0, lengths)
    return tuple(np.diff(offsets(tokens)[spans.offsets]) for tokens in (lengths, kept))


def _blanks(spans: TokenSpans, before_separator: np.ndarray, max_length: int) -> np.ndarray:
    """Blanks among the first `max_length` tokens of each example, (E,)."""
    if before_separator.max(initial=0) <= max_length:
        return spans.counts
    # A blank follows the context before it and the blanks of earlier spans.
    own = spans.offsets[:-1][spans.examples]
    masked_before = spans.tokens_before[:-1] - spans.tokens_before[own]
    places = spans.firsts - masked_before + np.arange(len(own)) - own
    return np.bincount(spans.examples[places < max_length], minlength=len(spans.counts))
