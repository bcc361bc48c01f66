"""Beam search that keeps true probabilities: what comes out is sorted by the probability of being the whole answer.

Every beam is closed at every step, whatever its rank: an answer's score is the sum of the log-probabilities of its
tokens and of the token that closes it, without any normalisation by length. The search of a row ends when no open beam
can reach the worst answer kept any more, so it differs from a search of all answers only by what fell off the beam.

Legend: B rows (questions), R open beams of all of them, V rows of the model's output.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ilm.errors import UserError


@dataclass(frozen=True)
class Beam:
    """Tokens of an answer, and their log-probability in nats with that of the closing token."""

    token_ids: tuple[int, ...]
    log_probability: float


@dataclass(frozen=True)
class Grammar:
    """What an answer may consist of. Boolean (V,) on the CPU: `first` for its first token, `later` for the others.

    It ends with the token `closer`, not before a token of `text` was in it; where `closer` is None, after exactly
    `length` tokens.
    """

    first: torch.Tensor
    later: torch.Tensor
    text: torch.Tensor
    closer: int | None = None
    length: int | None = None


def beam_search(
    logits: torch.Tensor,
    advance: Callable[[Sequence[int], Sequence[int]], torch.Tensor],
    grammars: Sequence[Grammar],
    *,
    width: int,
    max_tokens: int,
) -> list[list[Beam]]:
    """The likeliest answers of each row, at most `width` of them, best first (equal ones by their token ids).

    `logits` (B, V) are the model's for the first token. `advance(parents, tokens)` appends tokens to beams, given by
    their places among those of the step before, and returns logits (R, V). `max_tokens` bounds an answer without its
    closing token.

    Raises: UserError if the model computes NaN.
    """
    running = [[Beam((), 0.0)] for _ in grammars]
    done: list[list[Beam]] = [[] for _ in grammars]
    for step in range(max_tokens + 1):
        owners = [row for row, beams in enumerate(running) for _ in beams]
        log_probabilities = logits.float().log_softmax(-1)
        if log_probabilities.isnan().any():
            raise UserError("The model computes NaN: its weights are damaged. Give another folder, or train it again.")
        _close(running, done, owners, log_probabilities, grammars, step, width)
        if step == max_tokens:
            break
        running, parents = _grow(running, owners, log_probabilities, grammars, step, width)
        parents = _drop_hopeless(running, parents, done, grammars, step + 1, width)
        if not parents:
            break
        logits = advance(parents, [beam.token_ids[-1] for beams in running for beam in beams])
    return done


def _close(running, done, owners, log_probabilities, grammars, step, width) -> None:
    """Close every open beam that may be closed now, and keep the best answers."""
    beams = [beam for row in running for beam in row]
    closers = torch.tensor([grammars[row].closer or 0 for row in owners], device=log_probabilities.device)
    closing = log_probabilities.gather(1, closers[:, None])[:, 0].cpu().double().tolist()
    for beam, row, value in zip(beams, owners, closing, strict=True):
        grammar = grammars[row]
        if grammar.closer is not None and any(grammar.text[token] for token in beam.token_ids):
            done[row].append(Beam(beam.token_ids, beam.log_probability + value))
    for row in set(owners):
        done[row] = _best(done[row], width)


def _grow(running, owners, log_probabilities, grammars, step, width) -> tuple[list[list[Beam]], list[list[int]]]:
    """The best beams that are one token longer, and for each the place of the beam it continues."""
    allowed = torch.stack([grammars[row].later if step else grammars[row].first for row in owners])
    if step:
        for place, row in enumerate(owners):
            if grammars[row].closer is not None:
                allowed[place, grammars[row].closer] = False
    masked = log_probabilities.masked_fill(~allowed.to(log_probabilities.device), -math.inf)
    values, ids = masked.topk(min(width, masked.shape[-1]))
    values, ids = values.cpu().double().numpy(), ids.cpu().numpy()
    grown: list[list[Beam]] = []
    parents: list[list[int]] = []
    place = 0
    for row in running:
        found = []
        for beam in row:
            usable = np.flatnonzero(np.isfinite(values[place]))
            found += [
                (Beam((*beam.token_ids, int(ids[place, at])), beam.log_probability + float(values[place, at])), place)
                for at in usable
            ]
            place += 1
        found.sort(key=lambda pair: (-pair[0].log_probability, pair[0].token_ids))
        grown.append([beam for beam, _ in found[:width]])
        parents.append([parent for _, parent in found[:width]])
    return grown, parents


def _drop_hopeless(running, parents, done, grammars, length, width) -> list[int]:
    """Empty the rows that are finished; returns the parents of the beams that are left, in their order."""
    kept = []
    for row, grammar in enumerate(grammars):
        if grammar.length == length:
            done[row], running[row] = _best(running[row], width), []
        elif (
            len(done[row]) == width
            and running[row]
            and running[row][0].log_probability <= done[row][-1].log_probability
        ):
            running[row] = []
        kept += parents[row] if running[row] else []
    return kept


def _best(beams: list[Beam], width: int) -> list[Beam]:
    return sorted(beams, key=lambda beam: (-beam.log_probability, beam.token_ids))[:width]
