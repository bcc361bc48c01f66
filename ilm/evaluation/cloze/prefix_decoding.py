"""A decoder that has read what is written, and is asked what follows it and the beginnings of answers.

What is written is read once, and its keys and values are kept; those of a beginning, which has few tokens, are computed
again each time, so beginnings may be asked for in any order.

Legend: B questions, R rows (beginnings of their answers), T tokens, V rows of the model's output.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from copy import deepcopy

import torch

from ilm.evaluation.cloze.search import Tokens


class Reading:
    """What a decoder has read: rows of different lengths, with padding on the left, and a cache, which is kept.

    `forward(ids, mask, positions, rows, cache)` runs the model on ids (R, T) after what the cache holds, with the mask
    (R, all) of both, positions (R, T), and the number of the question of each row, (R,).
    """

    def __init__(self, forward: Callable, written: Sequence[Tokens], device: torch.device):
        longest = max(map(len, written))
        ids = torch.tensor([[*[0] * (longest - len(tokens)), *tokens] for tokens in written], device=device)
        self._lengths = torch.tensor([len(tokens) for tokens in written], device=device)
        # (B, T): negative on the padding.
        positions = torch.arange(longest, device=device) - (longest - self._lengths)[:, None]
        self._mask = (positions >= 0).long()
        self._forward = forward
        output = forward(ids, self._mask, positions.clamp(min=0), torch.arange(len(written), device=device), None)
        self._cache, self._logits = output.past_key_values, output.logits[:, -1]

    def following(self, begun: Sequence[tuple[int, Tokens]]) -> torch.Tensor:
        """Logits (R, V) of what follows the tokens behind what is written of a question, each (its number, tokens)."""
        of_length = defaultdict(list)
        for place, (_, tokens) in enumerate(begun):
            of_length[len(tokens)].append(place)
        places = [place for same in of_length.values() for place in same]
        logits = torch.cat([self._read_on([begun[place] for place in same]) for same in of_length.values()])
        return logits[torch.tensor(places, device=logits.device).argsort()]

    def _read_on(self, begun: Sequence[tuple[int, Tokens]]) -> torch.Tensor:
        """As `following`, of equally many tokens."""
        questions, tokens = zip(*begun, strict=True)
        rows, ids = (torch.tensor(column, device=self._mask.device) for column in (questions, tokens))
        if not ids.numel():
            return self._logits[rows]
        cache = deepcopy(self._cache)
        cache.batch_select_indices(rows)
        mask = torch.cat([self._mask[rows], torch.ones_like(ids)], dim=1)
        positions = self._lengths[rows, None] + torch.arange(ids.shape[1], device=ids.device)
        return self._forward(ids, mask, positions, rows, cache).logits[:, -1]
