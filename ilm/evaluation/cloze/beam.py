"""Beam search that keeps true probabilities: what comes out is sorted by the probability of being the whole answer.

Every beam is closed at every step, whatever its rank: an answer's score is the sum of the log-probabilities of its
tokens and of what closes it, without any normalisation by length. A beam is given up when it is less likely than the
worst answer that is wanted, since going on only makes it less likely; so the search differs from one of all answers by
what fell off the beam, and by what the rarer spellings of an answer in tokens would add.

`ilm.infilling` has a search of its own, of an ILM model's cache and grammar, for all blanks of a text in one. Here
models of every kind are searched alike, so that none is served better than another: one blank at a time, with answers
that count as one where they read alike. Masked models, whose answers have a length and no end, share all but the steps.

Legend: B rows (questions), R open beams of all of them, V rows of the model's output, C closing tokens.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ilm.errors import UserError

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Beam:
    """Tokens of an answer, and their log-probability in nats with that of its end."""

    token_ids: Tokens
    log_probability: float


@dataclass(frozen=True)
class Grammar:
    """What an answer may consist of. Boolean (V,) on the CPU: `first` for its first token, `later` for the others.

    It ends with any of the tokens `closers`, as many for each row of a search.
    """

    first: torch.Tensor
    later: torch.Tensor
    closers: Tokens


class Found:
    """The answers to a question found so far. Of those that read alike the probabilities are added.

    `reads` says what tokens read as, None if that is no answer; `wanted` answers are.
    """

    def __init__(self, reads: Callable[[Tokens], str | None], wanted: int):
        self._reads, self._wanted = reads, wanted
        self._answers: list[Beam] = []
        self._sums: dict[str, float] = {}
        self.bar = -math.inf  # the log-probability that an answer must surpass to be wanted

    def add(self, answer: Beam) -> None:
        """Take an answer, if it is wanted and its tokens read as one."""
        if answer.log_probability <= self.bar or (text := self._reads(answer.token_ids)) is None:
            return
        self._answers.append(answer)
        self._sums[text] = float(np.logaddexp(self._sums.get(text, -math.inf), answer.log_probability))
        if len(self._sums) >= self._wanted:
            self.bar = sorted(self._sums.values())[-self._wanted]

    def best_first(self) -> list[Beam]:
        """The `wanted` likeliest and others, equal ones by their token ids."""
        return sorted(self._answers, key=_order)


def _order(beam: Beam) -> tuple[float, Tokens]:
    return -beam.log_probability, beam.token_ids


class _Row:
    """The search of one question: its `open` beams, likeliest first, and what it found."""

    def __init__(self, grammar: Grammar, found: Found):
        self.grammar, self.found = grammar, found
        self.open = [Beam((), 0.0)]

    def grow(self, children: list[tuple[Beam, int]], width: int) -> list[int]:
        """The likeliest children become the open beams; their parents' places come with them, and are returned."""
        children.sort(key=lambda child: _order(child[0]))
        kept = [child for child in children[:width] if child[0].log_probability > self.found.bar]
        self.open = [beam for beam, _ in kept]
        return [parent for _, parent in kept]


def beam_search(
    logits: torch.Tensor,
    advance: Callable[[Sequence[int], Sequence[int]], torch.Tensor],
    grammars: Sequence[Grammar],
    reads: Callable[[Tokens], str | None],
    *,
    wanted: int,
    width: int,
    max_tokens: int,
) -> list[list[Beam]]:
    """The answers found for each row, best first (equal ones by their token ids): the `wanted` likeliest, and others.

    `reads` and `wanted` as in `Found`. `logits` (B, V) are the model's for the first token. `advance(parents, tokens)`
    appends tokens to beams, given by their places among those of the step before, and returns logits (R, V). Each row
    has at most `width` open beams. `max_tokens` bounds an answer without its end.

    Raises: UserError if the model computes NaN.
    """
    rows = [_Row(grammar, Found(reads, wanted)) for grammar in grammars]
    for step in range(max_tokens + 1):
        log_probabilities = checked_log_softmax(logits)
        if step:
            _close(rows, log_probabilities)
        if step == max_tokens:
            break
        parents = _grow(rows, log_probabilities, step, width)
        if not parents:
            break
        logits = advance(parents, [beam.token_ids[-1] for row in rows for beam in row.open])
    return [row.found.best_first() for row in rows]


def checked_log_softmax(logits: torch.Tensor) -> torch.Tensor:
    """Log-probabilities float32 (R, V).

    Raises: UserError for NaN.
    """
    log_probabilities = logits.float().log_softmax(-1)
    if log_probabilities.isnan().any():
        raise UserError("The model computes NaN: its weights are damaged. Give another folder, or train it again.")
    return log_probabilities


def likeliest(log_probabilities: torch.Tensor, allowed: torch.Tensor, count: int) -> list[list[tuple[int, float]]]:
    """Of each row of log-probabilities (R, V) at most `count` tokens that are `allowed`, boolean (R, V), best first."""
    masked = log_probabilities.masked_fill(~allowed.to(log_probabilities.device), -math.inf)
    values, ids = masked.topk(min(count, masked.shape[-1]))
    return [
        [(token, value) for token, value in zip(*row, strict=True) if value > -math.inf]
        for row in zip(ids.tolist(), values.double().tolist(), strict=True)
    ]


def _close(rows: Sequence[_Row], log_probabilities: torch.Tensor) -> None:
    """Close every open beam, by log-probabilities (R, V) of its next token."""
    # (R, C) to (R,)
    ends = log_probabilities.gather(1, _closers(rows, log_probabilities.device)).double().logsumexp(-1)
    values = iter(ends.tolist())
    for row in rows:
        for beam in row.open:
            row.found.add(Beam(beam.token_ids, beam.log_probability + next(values)))


def _grow(rows: Sequence[_Row], log_probabilities: torch.Tensor, step: int, width: int) -> list[int]:
    """Make every open beam one token longer, in the likeliest ways; returns the places of the parents of those kept."""
    allowed = torch.stack([row.grammar.later if step else row.grammar.first for row in rows for _ in row.open])
    if step:
        allowed.scatter_(1, _closers(rows, allowed.device), False)
    following = likeliest(log_probabilities, allowed, width)
    parents, place = [], 0
    for row in rows:
        children = []
        for beam in row.open:
            children += [
                (Beam((*beam.token_ids, token), beam.log_probability + value), place)
                for token, value in following[place]
            ]
            place += 1
        parents += row.grow(children, width)
    return parents


def _closers(rows: Sequence[_Row], device: torch.device) -> torch.Tensor:
    """int64 (R, C)"""
    return torch.tensor([row.grammar.closers for row in rows for _ in row.open], device=device)
