"""Chooses what comes next: temperature, top-k, top-p, draws that depend only on a key, and the beams of a beam search.

Legend: N sequences, V rows of the model's output, K tokens kept by top_k_top_p.
"""

import math
from collections.abc import Sequence

import torch
from torch.nn.functional import pad

from ilm.hashing import order_key
from ilm.infilling.candidates import GeneratedSequence
from ilm.infilling.token_bytes import TokenBytes

FIRST_CANDIDATES = 256  # tokens; a trained model's nucleus is nearly always smaller
ROWS_AT_ONCE = 8  # rows that fit into a core's caches


def top_k_top_p(
    logits: torch.Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> tuple[torch.Tensor | None, torch.Tensor]:
    """The tokens to draw from, (N, K), and their log-probabilities up to a constant per row, (N, K).

    Takes logits (N, V); tokens at -inf are never drawn. Without `top_k` and `top_p` the tokens are None, meaning all V.
    `top_k` keeps exactly that many, breaking ties arbitrarily; the nucleus keeps all tokens tied with its last one.
    """
    size = logits.shape[1]
    tokens, values = None, logits
    if top_k is not None and top_k < size:
        values, tokens = logits.topk(top_k)
    weights = _tempered(values, temperature)
    if top_p is None or top_p == 1.0:
        return tokens, weights
    first = min(FIRST_CANDIDATES, size) if tokens is None else values.shape[1]
    places, weights = _nucleus(values, weights.logsumexp(-1, keepdim=True), temperature, top_p, first)
    return places if tokens is None else tokens.gather(-1, places), weights


def _nucleus(
    logits: torch.Tensor, whole: torch.Tensor, temperature: float, top_p: float, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `top_k_top_p`, from logits (N, V) and their logsumexp (N, 1); tries the `k` likeliest first."""
    values, tokens = logits.topk(k)
    weights = _tempered(values, temperature) - whole
    last = (weights.exp().cumsum(-1) < top_p).sum(-1, keepdim=True)
    least = weights.gather(-1, last.clamp(max=k - 1))
    kept = weights.masked_fill(weights < least, -math.inf)
    # A row is complete if its list extends to a token outside the nucleus.
    unknown = ((last == k) | (weights[:, -1:] >= least))[:, 0].nonzero()[:, 0]
    if k == logits.shape[1] or not len(unknown):
        return tokens, kept
    longer = min(16 * k, logits.shape[1])
    of_unknown = _nucleus(logits[unknown], whole[unknown], temperature, top_p, longer)
    beyond = (0, of_unknown[0].shape[1] - k)
    tokens, kept = pad(tokens, beyond), pad(kept, beyond, value=-math.inf)
    tokens[unknown], kept[unknown] = of_unknown[0], of_unknown[1].to(kept.dtype)
    return tokens, kept


def _tempered(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """float64, with row maxima shifted to 0 first, so that no temperature overflows."""
    wide = logits.double() if logits.shape[-1] <= 16 * FIRST_CANDIDATES else logits.float()
    return (wide - wide.amax(-1, keepdim=True)) / min(max(temperature, 1e-30), 1e30)


def gumbel_max(log_probabilities: torch.Tensor, tokens: torch.Tensor | None, keys: Sequence[int]) -> torch.Tensor:
    """Draw a token for each row of log-probabilities (N, K) of `tokens` (N, K), or of all V: int64 (N,).

    The Gumbel-max trick, with each token's noise a hash of the row's key and the token, so that draws do not depend on
    other tokens or the device. Batched and single forward passes differ in the last digits of their logits. Here this
    matters only if the two best tokens are that close; an inverse CDF would shift the bounds of all V tokens, and
    change a token every few sentences.
    """
    of_row = torch.tensor([_signed(key) for key in keys], device=log_probabilities.device)[:, None]
    if tokens is not None:
        winners = (log_probabilities.double() + gumbel(of_row, tokens)).argmax(-1)
        return tokens.gather(-1, winners[:, None])[:, 0]
    every = torch.arange(log_probabilities.shape[1], device=log_probabilities.device)
    blocks = zip(log_probabilities.split(ROWS_AT_ONCE), of_row.split(ROWS_AT_ONCE), strict=True)
    return torch.cat([(block.double() + gumbel(keys, every)).argmax(-1) for block, keys in blocks])


def gumbel(keys: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Standard Gumbel noise, float64, for broadcastable int64 keys and tokens.

    Uses the token-th output of SplitMix64 (Steele, Lea and Flood 2014) seeded with the key.
    """
    state = keys + (tokens + 1) * _signed(0x9E3779B97F4A7C15)
    state = _mixed(state, 30, 0xBF58476D1CE4E5B9)
    state = _mixed(state, 27, 0x94D049BB133111EB)
    state = state ^ _shifted(state, 31)
    # 53 bits at interval midpoints: neither 0 nor 1.
    uniform = (_shifted(state, 11).double() + 0.5).mul_(2.0**-53)
    return uniform.log_().neg_().log_().neg_()


def _mixed(state: torch.Tensor, bits: int, factor: int) -> torch.Tensor:
    return (state ^ _shifted(state, bits)).mul_(_signed(factor))


def _shifted(state: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift of int64."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)


def _signed(number: int) -> int:
    """The int64 with the bits of an unsigned 64-bit number."""
    return (number + 2**63) % 2**64 - 2**63


def candidate_key(seed: int, text: str, candidate: int) -> int:
    """The seed of a candidate's draws."""
    return order_key(seed, "infilling", text, candidate)


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
