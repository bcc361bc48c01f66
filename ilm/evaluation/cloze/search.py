"""Best-first search that keeps true probabilities: the likeliest answers, and whether all of them were found.

An answer is written token by token. The likeliest beginning goes on first: the model says what may follow it, which
makes longer beginnings and answers. An answer's score is the sum of the log-probabilities of its tokens and of what
ends it, without any normalisation by length. Going on makes nothing likelier, so a beginning that is no likelier than
the worst answer that is wanted is given up (branch and bound); when none is left, the list is that of all strings but
for what the rarer spellings of an answer in tokens would add. A search that follows `width` beginnings of a length
already gives up others too, and says so if one of them was likely enough.

`ilm.infilling` has a search of its own, of an ILM model's cache and grammar, for all blanks of a text in one. Here
models of every kind are searched alike, so that none is served better than another: one blank at a time, with answers
that count as one where they read alike.

Legend: R beginnings that go on together, V rows of the model's output.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from ilm.errors import UserError
from ilm.evaluation.cloze.metrics import folded

Tokens = tuple[int, ...]


class Spelling(NamedTuple):
    """Tokens of an answer or of its beginning, and their log-probability in nats; an answer's with that of its end."""

    token_ids: Tokens
    log_probability: float


class Grammar(NamedTuple):
    """What an answer may consist of. Boolean (V,) on the CPU: `first` for its first token, `later` for the others.

    It ends with any of the tokens `closers` after at most `max_tokens` others; without closers it has just as many.
    All questions that are searched together have equally many closers.
    """

    first: torch.Tensor
    later: torch.Tensor
    closers: Tokens
    max_tokens: int


class Found:
    """The answers to a question found so far. Of those that read the same the probabilities are added.

    `reads` says what tokens read as, None if that is no answer; `wanted` answers are, of which those that differ by
    case alone count as one.
    """

    def __init__(self, reads: Callable[[Tokens], str | None], wanted: int):
        self._reads, self._wanted = reads, wanted
        self._sums: dict[str, float] = {}
        self._best: dict[str, float] = {}  # the likeliest of the words that differ by case alone
        self.answers: list[Spelling] = []
        self.bar = -math.inf  # the log-probability that an answer must surpass to be wanted

    def add(self, answer: Spelling) -> None:
        """Take an answer, if it is wanted and its tokens read as one."""
        if answer.log_probability <= self.bar or (word := self._reads(answer.token_ids)) is None:
            return
        self.answers.append(answer)
        total = float(np.logaddexp(self._sums.get(word, -math.inf), answer.log_probability))
        self._sums[word] = total
        self._best[folded(word)] = max(self._best.get(folded(word), -math.inf), total)
        if len(self._best) >= self._wanted:
            self.bar = heapq.nlargest(self._wanted, self._best.values())[-1]


class Search:
    """The search of question number `question`: what is begun waits in a heap, `found` is what was found.

    At most `width` beginnings of each number of tokens go on, so that long answers are reached however many short
    beginnings are likelier.
    """

    def __init__(self, question: int, grammar: Grammar, found: Found, width: int):
        self.question, self.grammar, self.found, self._width = question, grammar, found, width
        self._heap: list[tuple[float, Tokens]] = [(0.0, ())]
        self._begun: Counter = Counter()
        self._given_up = -math.inf  # the likeliest beginning that the width was too small for

    @property
    def is_complete(self) -> bool:
        """Whether nothing was given up that might have become a wanted answer."""
        return self._given_up <= self.found.bar

    def next(self, count: int) -> list[Spelling]:
        """The likeliest beginnings that may still become a wanted answer, at most `count`."""
        beginnings = []
        while self._heap and len(beginnings) < count and -self._heap[0][0] > self.found.bar:
            value, token_ids = heapq.heappop(self._heap)
            if self._begun[len(token_ids)] < self._width:
                self._begun[len(token_ids)] += 1
                beginnings.append(Spelling(token_ids, -value))
            else:
                self._given_up = max(self._given_up, -value)
        return beginnings

    def take(self, beginning: Spelling, end: float | None, following: Sequence[tuple[int, float]]) -> None:
        """What may come behind a beginning: its `end` (log-probability; None if it has none), and tokens with theirs.

        The tokens come best first, and those that are not there were left out for the width.
        """
        token_ids, value = beginning
        if end is not None and token_ids:
            self.found.add(Spelling(token_ids, value + end))
        if len(token_ids) == self.grammar.max_tokens:
            return
        is_whole = not self.grammar.closers and len(token_ids) + 1 == self.grammar.max_tokens
        for token, log_probability in following:
            longer = Spelling((*token_ids, token), value + log_probability)
            if is_whole:
                self.found.add(longer)
            elif longer.log_probability > self.found.bar:
                heapq.heappush(self._heap, (-longer.log_probability, longer.token_ids))
        if len(following) == self._width and not is_whole:
            self._given_up = max(self._given_up, value + following[-1][1])


def best_first(
    searches: Sequence[Search],
    following: Callable[[Sequence[tuple[Search, Tokens]]], torch.Tensor],
    *,
    rows: int,
    width: int,
) -> None:
    """Go on with all searches until each is done; about `rows` beginnings go on together, shared by those not done.

    `following` gives the logits (R, V) of what follows beginnings.

    Raises: UserError if the model computes NaN.
    """
    open_ones = list(searches)
    while begun := [(search, b) for search in open_ones for b in search.next(max(1, rows // len(open_ones)))]:
        open_ones = list(dict.fromkeys(search for search, _ in begun))
        logits = following([(search, beginning.token_ids) for search, beginning in begun])
        log_probabilities = checked_log_softmax(logits)
        ends, allowed = _ends(log_probabilities, begun), _allowed(begun)
        # What is no likelier than the worst wanted answer need not be looked at.
        least = torch.tensor([search.found.bar - beginning.log_probability for search, beginning in begun])
        tokens = _likeliest(log_probabilities, allowed, least, width)
        for (search, beginning), end, after in zip(begun, ends, tokens, strict=True):
            search.take(beginning, end, after)


def checked_log_softmax(logits: torch.Tensor) -> torch.Tensor:
    """Log-probabilities float32 (R, V).

    Raises: UserError for NaN.
    """
    log_probabilities = logits.float().log_softmax(-1)
    if log_probabilities.isnan().any():
        raise UserError("The model computes NaN: its weights are damaged. Give another folder, or train it again.")
    return log_probabilities


def _ends(log_probabilities: torch.Tensor, begun: Sequence[tuple[Search, Spelling]]) -> list[float | None]:
    """The log-probability that an answer ends behind each beginning, of those (R, V) of what follows them."""
    closers = torch.tensor([search.grammar.closers for search, _ in begun], device=log_probabilities.device)
    if not closers.numel():
        return [None] * len(begun)
    return log_probabilities.gather(1, closers).double().logsumexp(-1).tolist()


def _allowed(begun: Sequence[tuple[Search, Spelling]]) -> torch.Tensor:
    """Boolean (R, V): the tokens that may follow each beginning. One that ends an answer may be its first token."""
    allowed = torch.stack([s.grammar.later if beginning.token_ids else s.grammar.first for s, beginning in begun])
    for row, (search, beginning) in zip(allowed, begun, strict=True):
        if beginning.token_ids and search.grammar.closers:
            row[list(search.grammar.closers)] = False
    return allowed


def _likeliest(
    log_probabilities: torch.Tensor, allowed: torch.Tensor, least: torch.Tensor, count: int
) -> list[list[tuple[int, float]]]:
    """Of each row of log-probabilities (R, V) at most `count` tokens that are `allowed`, boolean (R, V), best first.

    Each row has its own `least` (R,), which they surpass.
    """
    device = log_probabilities.device
    usable = allowed.to(device) & (log_probabilities > least.to(device)[:, None])
    most = min(count, int(usable.sum(dim=1).max()))
    values, ids = log_probabilities.masked_fill(~usable, -math.inf).topk(most)
    return [
        [(token, value) for token, value in zip(*row, strict=True) if value > -math.inf]
        for row in zip(ids.tolist(), values.double().tolist(), strict=True)
    ]
