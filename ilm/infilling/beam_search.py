"""Beam search over answers: which continuations to keep, and which finished candidates."""

import math
from collections.abc import Sequence

import torch

from ilm.infilling.candidates import GeneratedSequence
from ilm.infilling.token_bytes import TokenBytes


def select_beams(scores: torch.Tensor, blanks: Sequence[int], end: int, width: int) -> list[tuple[int, int]]:
    """At most `width` continuations (sequence, token) to keep, from scores (N, V) of N sequences.

    `blanks`: the blank each sequence is answering. Continuations of the same answer form a pool, those that close it
    another; pools share the beam equally, and unused shares go to the others (after the dynamic beam allocation of Post
    and Vilar, NAACL 2018). Otherwise sequences that keep extending an answer would crowd out those that close it: each
    step costs them less, although the total is far less likely.
    """
    closing = scores[:, end].tolist()
    scores[:, end] = -math.inf
    pools: list[list[tuple[float, int, int]]] = []
    for blank in sorted(set(blanks)):
        rows = [row for row, own in enumerate(blanks) if own == blank]
        flat = scores[rows].flatten()
        best = flat.topk(min(width, len(flat)))
        places = [(rows[place // scores.shape[1]], place % scores.shape[1]) for place in best.indices.tolist()]
        going_on = [(score, *place) for score, place in zip(best.values.tolist(), places, strict=True)]
        pools += [going_on, sorted(((closing[row], row, end) for row in rows), reverse=True)]
    pools = [[candidate for candidate in pool if candidate[0] > -math.inf] for pool in pools]
    share = max(1, width // max(1, sum(map(bool, pools))))
    first = sorted((c for pool in pools for c in pool[:share]), reverse=True)
    rest = sorted((c for pool in pools for c in pool[share:]), reverse=True)
    return [(row, token) for _, row, token in [*first, *rest][:width]]


def top_sequences(sequences: list[GeneratedSequence], count: int, token_bytes: TokenBytes) -> list[GeneratedSequence]:
    """The `count` most likely sequences; duplicates in their answers are dropped."""
    found: dict[tuple[str, ...], GeneratedSequence] = {}
    for sequence in sorted(sequences, key=lambda s: -s.log_probability):
        found.setdefault(sequence.answers(token_bytes), sequence)
    return list(found.values())[:count]
