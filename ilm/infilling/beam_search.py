"""What a search for the likeliest answers goes on with, and what of it is kept."""

import math
from collections.abc import Sequence

import torch

from ilm.infilling.candidates import OpenSequence
from ilm.infilling.constraints import Grammar


def shared_out(scores: torch.Tensor, answers: Sequence[int], end: int, width: int) -> list[tuple[int, int]]:
    """At most `width` continuations to go on with, (sequence, token), of scores (N, V) of N sequences.

    `answers` says which answer each sequence writes. Those that go on with one answer compete with each other alone, as
    do those that close it, and all have equal shares (after the dynamic beam allocation of Post and Vilar, NAACL 2018):
    going on costs less at each step than closing an answer and beginning another, and ends far less likely. What a
    share leaves free the others take.
    """
    closed = scores[:, end].tolist()
    scores[:, end] = -math.inf
    pools: list[list[tuple[float, int, int]]] = []
    for answer in sorted(set(answers)):
        rows = [row for row, own in enumerate(answers) if own == answer]
        own = scores[rows].flatten()
        best = own.topk(min(width, len(own)))
        places = [(rows[place // scores.shape[1]], place % scores.shape[1]) for place in best.indices.tolist()]
        going_on = [(score, *place) for score, place in zip(best.values.tolist(), places, strict=True)]
        pools += [going_on, sorted(((closed[row], row, end) for row in rows), reverse=True)]
    pools = [[candidate for candidate in pool if candidate[0] > -math.inf] for pool in pools]
    share = max(1, width // max(1, sum(map(bool, pools))))
    first = sorted((c for pool in pools for c in pool[:share]), reverse=True)
    rest = sorted((c for pool in pools for c in pool[share:]), reverse=True)
    return [(row, token) for _, row, token in [*first, *rest][:width]]


def likeliest(sequences: list[OpenSequence], count: int, grammar: Grammar) -> list[OpenSequence]:
    """The likeliest, those that read alike only once."""
    found: dict[tuple[str, ...], OpenSequence] = {}
    for sequence in sorted(sequences, key=lambda s: -s.total):
        found.setdefault(sequence.answers(grammar), sequence)
    return list(found.values())[:count]
