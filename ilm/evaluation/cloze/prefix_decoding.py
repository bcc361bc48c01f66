"""Models that generate answers from left to right, behind a prefix that is computed once.

The keys and values of the prefix are cached; those of a hypothesis, which has few tokens, are computed anew each time,
so hypotheses may come in any order.

Legend: B prefixes, R hypotheses, T tokens, V rows of the model's output.
"""

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import NamedTuple

import torch

from ilm.evaluation.cloze.base import ClozeModel
from ilm.evaluation.cloze.search import BestFirstSearch, TokenIds, best_first
from ilm.evaluation.cloze.subwords import EncodedItem

MOST_ROWS = 160  # hypotheses in one forward pass: each has its own copy of the keys and values of its prefix


class Prompt(NamedTuple):
    """`encoder_ids` (none of a decoder-only model), the decoder's `prefix`, and the tokens that end an answer."""

    encoder_ids: TokenIds
    prefix: TokenIds
    end_tokens: TokenIds


class PrefixDecoder:
    """A decoder that has read a batch of prefixes, padded on the left, and keeps their cache.

    `forward(ids, mask, positions, rows, cache)` runs the model on ids (R, T) behind what the cache holds, with the mask
    (R, all) of both, positions (R, T), and the number of each row's prefix, (R,).
    """

    def __init__(self, forward: Callable, prefixes: Sequence[TokenIds], device: torch.device):
        longest = max(map(len, prefixes))
        ids = torch.tensor([[*[0] * (longest - len(tokens)), *tokens] for tokens in prefixes], device=device)
        self._lengths = torch.tensor([len(tokens) for tokens in prefixes], device=device)
        # (B, T): negative on the padding.
        positions = torch.arange(longest, device=device) - (longest - self._lengths)[:, None]
        self._mask = (positions >= 0).long()
        self._forward = forward
        output = forward(ids, self._mask, positions.clamp(min=0), torch.arange(len(prefixes), device=device), None)
        self._cache, self._logits = output.past_key_values, output.logits[:, -1]

    def next_logits(self, hypotheses: Sequence[tuple[int, TokenIds]]) -> torch.Tensor:
        """Logits (R, V) that follow hypotheses, each a prefix's number and the tokens behind it."""
        of_length = defaultdict(list)
        for at, (_, tokens) in enumerate(hypotheses):
            of_length[len(tokens)].append(at)
        order = [at for same in of_length.values() for at in same]
        logits = torch.cat([self._of_equal_length([hypotheses[at] for at in same]) for same in of_length.values()])
        return logits[torch.tensor(order, device=logits.device).argsort()]

    def _of_equal_length(self, hypotheses: Sequence[tuple[int, TokenIds]]) -> torch.Tensor:
        numbers, tokens = zip(*hypotheses, strict=True)
        rows, ids = (torch.tensor(column, device=self._mask.device) for column in (numbers, tokens))
        if not ids.numel():
            return self._logits[rows]
        cache = deepcopy(self._cache)
        cache.batch_select_indices(rows)
        mask = torch.cat([self._mask[rows], torch.ones_like(ids)], dim=1)
        positions = self._lengths[rows, None] + torch.arange(ids.shape[1], device=ids.device)
        return self._forward(ids, mask, positions, rows, cache).logits[:, -1]


class PrefixLM(ClozeModel):
    """A model whose answers follow a prefix."""

    width_per_candidate = 50

    @abstractmethod
    def _prompt(self, item: EncodedItem, blank: int, filled: Sequence[TokenIds]) -> Prompt:
        """The prompt for a blank, with the tokens `filled` in the blanks before it."""

    @abstractmethod
    def _decoder(self, prompts: Sequence[Prompt]) -> PrefixDecoder:
        """A decoder that has read these prompts."""

    def _search(self, items, blank, filled):
        prompts = [self._prompt(item, blank, before) for item, before in zip(items, filled, strict=True)]
        searches = [
            self.new_search(number, item, blank, prompt.end_tokens, self.options.max_answer_tokens)
            for number, (item, prompt) in enumerate(zip(items, prompts, strict=True))
        ]
        for begin in range(0, len(prompts), MOST_ROWS):
            part = slice(begin, begin + MOST_ROWS)
            self._search_part(searches[part], prompts[part])
        return searches

    def _search_part(self, searches: Sequence[BestFirstSearch], prompts: Sequence[Prompt]) -> None:
        decoder, first = self._decoder(prompts), searches[0].item

        def next_logits(hypotheses: Sequence[tuple[BestFirstSearch, TokenIds]]) -> torch.Tensor:
            return decoder.next_logits([(search.item - first, tokens) for search, tokens in hypotheses])

        best_first(searches, next_logits, rows=MOST_ROWS, width=self.search_width)
