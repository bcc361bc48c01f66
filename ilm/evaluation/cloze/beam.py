"""Beam search that keeps true probabilities: what comes out is sorted by the probability of being the whole answer.

Every beam is closed at every step, whatever its rank: an answer's score is the sum of the log-probabilities of its
tokens and of what closes it, without any normalisation by length. A beam is given up when it is less likely than the
worst answer that is wanted, since going on only makes it less likely; so the search differs from one of all answers by
what fell off the beam, and by what the rarer spellings of an answer in tokens would add.

`ilm.infilling` has a search of its own, of an ILM model's cache and grammar, for all blanks of a text in one. Here
models of every kind are searched alike, so that none is served better than another: one blank at a time, with answers
that count as one where they read alike, and with masked models, whose answers have a length and no end.

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

    It ends with any of the tokens `closers`, as many for each row of a search; where there are none, after exactly
    `length` tokens.
    """

    first: torch.Tensor
    later: torch.Tensor
    closers: Tokens = ()
    length: int | None = None


class _Row:
    """The search of one question: its `open` beams, likeliest first, and its answers."""

    def __init__(self, grammar: Grammar, reads: Callable[[Tokens], str | None], wanted: int):
        self.grammar, self._reads, self._wanted = grammar, reads, wanted
        self.open = [Beam((), 0.0)]
        self.answers: list[Beam] = []
        self._sums: dict[str, float] = {}
        self.bar = -math.inf  # the log-probability that an answer must surpass to be wanted

    def add(self, answer: Beam) -> None:
        """Take an answer, if its tokens read as one."""
        if answer.log_probability <= self.bar or (text := self._reads(answer.token_ids)) is None:
            return
        self.answers.append(answer)
        self._sums[text] = float(np.logaddexp(self._sums.get(text, -math.inf), answer.log_probability))
        if len(self._sums) >= self._wanted:
            self.bar = sorted(self._sums.values())[-self._wanted]

    def grow(self, children: list[tuple[Beam, int]], width: int) -> list[int]:
        """The likeliest children become the open beams, or answers where they have their length.

        `children` have the places of their parents with them. Returns those of the open ones.
        """
        children.sort(key=lambda child: (-child[0].log_probability, child[0].token_ids))
        if children and len(children[0][0].token_ids) == self.grammar.length:
            for beam, _ in children:
                self.add(beam)
            children = []
        kept = [child for child in children[:width] if child[0].log_probability > self.bar]
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

    `reads` says what tokens read as, None if that is no answer; of answers that read alike the probabilities are added.
    `logits` (B, V) are the model's for the first token. `advance(parents, tokens)` appends tokens to beams, given by
    their places among those of the step before, and returns logits (R, V). Each row has at most `width` open beams.
    `max_tokens` bounds an answer without its end.

    Raises: UserError if the model computes NaN.
    """
    rows = [_Row(grammar, reads, wanted) for grammar in grammars]
    for step in range(max_tokens + 1):
        log_probabilities = logits.float().log_softmax(-1)
        if log_probabilities.isnan().any():
            raise UserError("The model computes NaN: its weights are damaged. Give another folder, or train it again.")
        if step:
            _close(rows, log_probabilities)
        if step == max_tokens:
            break
        parents = _grow(rows, log_probabilities, step, width)
        if not parents:
            break
        logits = advance(parents, [beam.token_ids[-1] for row in rows for beam in row.open])
    return [sorted(row.answers, key=lambda beam: (-beam.log_probability, beam.token_ids)) for row in rows]


def _close(rows: Sequence[_Row], log_probabilities: torch.Tensor) -> None:
    """Close every open beam, by log-probabilities (R, V) of its next token."""
    closers = torch.tensor([row.grammar.closers for row in rows for _ in row.open], device=log_probabilities.device)
    if not closers.numel():
        return
    # (R, C) to (R,)
    ends = iter(log_probabilities.gather(1, closers).double().logsumexp(-1).tolist())
    for row in rows:
        for beam in row.open:
            row.add(Beam(beam.token_ids, beam.log_probability + next(ends)))


def _grow(rows: Sequence[_Row], log_probabilities: torch.Tensor, step: int, width: int) -> list[int]:
    """Make every open beam one token longer, in the likeliest ways; returns the places of the parents of those kept."""
    allowed = torch.stack([row.grammar.later if step else row.grammar.first for row in rows for _ in row.open])
    allowed = allowed.to(log_probabilities.device)
    if step and rows[0].grammar.closers:
        closers = torch.tensor([row.grammar.closers for row in rows for _ in row.open], device=allowed.device)
        allowed.scatter_(1, closers, False)
    best = log_probabilities.masked_fill_(~allowed, -math.inf).topk(min(width, log_probabilities.shape[-1]))
    values, ids = best.values.double().tolist(), best.indices.tolist()
    parents, place = [], 0
    for row in rows:
        children = []
        for beam in row.open:
            for value, token in zip(values[place], ids[place], strict=True):
                if value == -math.inf:
                    break
                children.append((Beam((*beam.token_ids, token), beam.log_probability + value), place))
            place += 1
        parents += row.grow(children, width)
    return parents
