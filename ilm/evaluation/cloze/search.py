"""Best-first search with exact probabilities: the likeliest answers, and whether the list is certain to be complete.

An answer is generated token by token. The likeliest hypothesis is expanded first: the model's next-token distribution
yields longer hypotheses and finished answers. A score is the sum of the log-probabilities of the tokens and of the
answer's end, without length normalisation. The segmentations of one word add up. Expanding a hypothesis never makes it
likelier (branch and bound). Let the *bar* be the worst word wanted so far:

1. hypotheses likelier than the bar are expanded, so every segmentation likelier than it is found;
2. then those that might lift a word above it together, with its found segmentations and waiting beginnings added up.

So no word likelier than the bar is missing, except for segmentations with less than a tenth of its probability each. A
search that has expanded `width` hypotheses of a length prunes the others too, and records whether one was likelier than
the bar.

`ilm.infilling` has a search of its own, for the KV cache and constraints of ILM models and all blanks of a text at
once. Here all kinds of model are searched alike, so that none has an advantage: one blank at a time, and answers that
spell the same word count as one.

Legend: R hypotheses expanded together, V rows of the model's output.
"""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from ilm.errors import UserError
from ilm.evaluation.cloze.metrics import folded

TokenIds = tuple[int, ...]

RARER = math.log(10)  # how far below the bar a segmentation counts, in nats


class Hypothesis(NamedTuple):
    """Tokens of an answer or its beginning, and their log-probability in nats; an answer's includes its end."""

    token_ids: TokenIds
    log_probability: float


class TokenConstraint(NamedTuple):
    """The tokens allowed in an answer. Boolean (V,) on the CPU: `first` for its first token, `later` for the others.

    It ends with any of `end_tokens` after at most `max_tokens` others; without end tokens it has exactly that many.
    All searches of one `best_first` call have the same number of end tokens.
    """

    first: torch.Tensor
    later: torch.Tensor
    end_tokens: TokenIds
    max_tokens: int


class TopWords:
    """The answers found so far; the probabilities of segmentations of one word add up.

    `decode` gives the word that tokens spell, None if they spell none. `n` words are wanted; those that differ only in
    case count as one. The n-th best is the `bar`.
    """

    def __init__(self, decode: Callable[[TokenIds], str | None], n: int):
        self.decode, self._n = decode, n
        self.sums: dict[str, float] = {}
        self._best: dict[str, float] = {}  # the likeliest of the words that differ only in case
        self.hypotheses: list[Hypothesis] = []
        self.bar = -math.inf

    @property
    def least(self) -> float:
        """The log-probability below which nothing counts."""
        return self.bar - RARER

    def add(self, answer: Hypothesis) -> None:
        """Add an answer, if it may count and spells a word."""
        if answer.log_probability <= self.least or (word := self.decode(answer.token_ids)) is None:
            return
        self.hypotheses.append(answer)
        total = float(np.logaddexp(self.sums.get(word, -math.inf), answer.log_probability))
        self.sums[word] = total
        self._best[folded(word)] = max(self._best.get(folded(word), -math.inf), total)
        if len(self._best) >= self._n:
            self.bar = heapq.nlargest(self._n, self._best.values())[-1]


class BestFirstSearch:
    """The search for item number `item`: hypotheses wait in a heap, finished answers are in `top`.

    At most `width` hypotheses of each length are expanded, so that long answers are reached even if many short
    hypotheses are likelier.
    """

    def __init__(self, item: int, constraint: TokenConstraint, top: TopWords, width: int):
        self.item, self.constraint, self.top, self._width = item, constraint, top, width
        self._heap: list[tuple[float, TokenIds]] = [(0.0, ())]
        self._expanded: Counter = Counter()
        self._pruned = -math.inf  # the likeliest hypothesis that was pruned for the width
        self._texts: dict[TokenIds, str] = {}

    @property
    def is_complete(self) -> bool:
        """Whether nothing was pruned for the width that might have become a wanted answer."""
        return self._pruned <= self.top.bar

    def pop(self, count: int) -> list[Hypothesis]:
        """The likeliest unexpanded hypotheses, at most `count`."""
        popped: list[Hypothesis] = []
        while self._heap and len(popped) < count and -self._heap[0][0] > self.top.bar:
            value, token_ids = heapq.heappop(self._heap)
            if self._expanded[len(token_ids)] < self._width:
                popped.append(self._taken(value, token_ids))
            else:
                self._pruned = max(self._pruned, -value)
        # Rarer segmentations cannot make an incomplete list complete.
        return popped if popped or not self.is_complete else self._pop_together(count)

    def _pop_together(self, count: int) -> list[Hypothesis]:
        """Hypotheses below the bar that, added to others and to a word's found segmentations, may lift it above."""
        waiting = sorted(h for h in self._heap if -h[0] > self.top.least and self._expanded[len(h[1])] < self._width)
        for _, token_ids in waiting:
            if token_ids not in self._texts:
                self._texts[token_ids] = self.top.decode(token_ids) or ""  # half a character begins any word
        texts = [self._texts[token_ids] for _, token_ids in waiting]
        chances: dict[str, float] = defaultdict(float)
        for text, (value, _) in zip(texts, waiting, strict=True):
            chances[text] += math.exp(-value)
        lifted: set[str] = set()
        for text in {*chances, *self.top.sums} if waiting else ():
            beginnings = [text[:end] for end in range(len(text) + 1)]
            together = sum(chances.get(beginning, 0.0) for beginning in beginnings)
            if together + math.exp(self.top.sums.get(text, -math.inf)) > math.exp(self.top.bar):
                # The others may not be needed once the likeliest one is expanded.
                lifted.add(max(beginnings, key=lambda beginning: chances.get(beginning, 0.0)))
        chosen = [hypothesis for hypothesis, text in zip(waiting, texts, strict=True) if text in lifted][:count]
        self._heap = [hypothesis for hypothesis in waiting if hypothesis not in chosen]  # sorted, so a heap
        return [self._taken(value, token_ids) for value, token_ids in chosen]

    def _taken(self, value: float, token_ids: TokenIds) -> Hypothesis:
        self._expanded[len(token_ids)] += 1
        return Hypothesis(token_ids, -value)

    def expand(self, hypothesis: Hypothesis, end: float | None, next_tokens: Sequence[tuple[int, float]]) -> None:
        """Add a hypothesis's continuations: its `end` (log-probability, None without end tokens) and `next_tokens`.

        The tokens come with their log-probabilities, best first; others were left out because of the width.
        """
        token_ids, value = hypothesis
        if end is not None and token_ids:
            self.top.add(Hypothesis(token_ids, value + end))
        if len(token_ids) == self.constraint.max_tokens:
            return
        finishes = not self.constraint.end_tokens and len(token_ids) + 1 == self.constraint.max_tokens
        for token, log_probability in next_tokens:
            longer = Hypothesis((*token_ids, token), value + log_probability)
            if finishes:
                self.top.add(longer)
            else:
                heapq.heappush(self._heap, (-longer.log_probability, longer.token_ids))
        if len(next_tokens) == self._width and not finishes:
            self._pruned = max(self._pruned, value + next_tokens[-1][1])


def best_first(
    searches: Sequence[BestFirstSearch],
    next_logits: Callable[[Sequence[tuple[BestFirstSearch, TokenIds]]], torch.Tensor],
    *,
    rows: int,
    width: int,
) -> None:
    """Run all searches to the end, expanding about `rows` hypotheses at a time, shared by the unfinished searches.

    `next_logits` gives the logits (R, V) after hypotheses.

    Raises: UserError if the model computes NaN.
    """
    unfinished = list(searches)
    while popped := [(search, h) for search in unfinished for h in search.pop(max(1, rows // len(unfinished)))]:
        unfinished = list(dict.fromkeys(search for search, _ in popped))
        logits = next_logits([(search, hypothesis.token_ids) for search, hypothesis in popped])
        log_probabilities = logits.float().log_softmax(-1)
        if log_probabilities.isnan().any():
            raise UserError("The model computes NaN: its weights are damaged. Name another folder, or train it again.")
        ends = _end_log_probabilities(log_probabilities, popped)
        allowed = torch.stack([s.constraint.later if h.token_ids else s.constraint.first for s, h in popped])
        for row, (search, hypothesis) in zip(allowed, popped, strict=True):
            # An end token may be an answer's first token.
            if hypothesis.token_ids and search.constraint.end_tokens:
                row[list(search.constraint.end_tokens)] = False
        least = torch.tensor([search.top.least - hypothesis.log_probability for search, hypothesis in popped])
        next_tokens = _likeliest(log_probabilities, allowed, least, width)
        for (search, hypothesis), end, tokens in zip(popped, ends, next_tokens, strict=True):
            search.expand(hypothesis, end, tokens)


def _end_log_probabilities(
    log_probabilities: torch.Tensor, popped: Sequence[tuple[BestFirstSearch, Hypothesis]]
) -> list[float | None]:
    """The log-probability that an answer ends after each hypothesis, from those (R, V) of the next token."""
    end_tokens = torch.tensor([search.constraint.end_tokens for search, _ in popped], device=log_probabilities.device)
    if not end_tokens.numel():
        return [None] * len(popped)
    return log_probabilities.gather(1, end_tokens).double().logsumexp(-1).tolist()


def _likeliest(
    log_probabilities: torch.Tensor, allowed: torch.Tensor, least: torch.Tensor, count: int
) -> list[list[tuple[int, float]]]:
    """At most `count` tokens of each row of log-probabilities (R, V), best first.

    They are `allowed`, boolean (R, V), and likelier than the row's `least` (R,).
    """
    device = log_probabilities.device
    usable = allowed.to(device) & (log_probabilities > least.to(device)[:, None])
    most = min(count, int(usable.sum(dim=1).max()))
    values, ids = log_probabilities.masked_fill(~usable, -math.inf).topk(most)
    return [
        [(token, value) for token, value in zip(*row, strict=True) if value > -math.inf]
        for row in zip(ids.tolist(), values.double().tolist(), strict=True)
    ]
