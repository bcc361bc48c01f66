"""Keys and values of contexts and of the candidates that grow behind them: read once, written in place, never copied.

One forward pass takes a single row of N tokens, whatever they belong to: the contexts of new groups, end to end, and
one token of every candidate that is being written. So the linear layers, which take most of the time, see no padding.
Only attention knows of groups. A group is a context with its candidates, and has one row of the cache:

    row     context ... | candidate 1 | candidate 2 | candidate 1 | candidate 3 | ...      columns in order of writing

A candidate sees the context and its own columns, by its row of `visible` (the tree attention of Miao et al. 2024,
SpecInfer, arXiv 2305.09781). The context is stored once for all its candidates, and a candidate that goes on from
another one's tokens, as in a beam search, needs a copy of that row of booleans alone.

It is one more attention of transformers (`AttentionInterface`), chosen in memory for the time of a forward pass.

Legend: N tokens of a pass, H heads, K key heads, D size of a head (D' of its values), R rows, W candidates of a row,
T columns.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel

from ilm.errors import UserError

NAME = "ilm_candidates"
# Settings of models whose attention is another one than that of this file.
UNKNOWN_SETTINGS = ("attn_logit_softcapping",)
UNKNOWN_ARGUMENTS = ("softcap", "s_aux", "position_bias")
UNKNOWN = "fills no blanks: its attention is of a kind that is not known here. GPT-2, Llama, Qwen and others are."


@contextmanager
def candidate_attention(model: PreTrainedModel) -> Iterator[None]:
    """The model attends by the `candidates` of a pass, `Tokens`, in this context, and drops nothing out.

    Raises: UserError for an architecture whose attention cannot be replaced.
    """
    can_set = getattr(model, "_can_set_attn_implementation", None)
    if can_set is None or not can_set() or any(getattr(model.config, name, None) for name in UNKNOWN_SETTINGS):
        raise UserError(f"{type(model).__name__} {UNKNOWN}")
    own, was_training = model.config._attn_implementation, model.training
    model.config._attn_implementation = NAME
    model.eval()
    try:
        yield
    finally:
        model.config._attn_implementation = own
        model.train(was_training)


@dataclass(frozen=True)
class Tokens:
    """Which of a pass's N tokens are what: contexts first, then one token of each of M candidates; and their `cache`.

    `contexts`: (first token, last exclusive, row) of each. `rows`, `columns` int64 (M,): where the keys of each
    candidate's token go. `places` int64 (R, W): which of the M tokens asks as candidate w of row r, any one where there
    is none; `back` int64 (M,): the same the other way round, as an index into R * W. `mask` (R, 1, W, T): what each
    sees, 0 or minus infinity.
    """

    cache: "CandidateCache"
    contexts: tuple[tuple[int, int, int], ...]
    rows: torch.Tensor
    columns: torch.Tensor
    places: torch.Tensor
    back: torch.Tensor
    mask: torch.Tensor | None

    @property
    def end_of_contexts(self) -> int:
        return self.contexts[-1][1] if self.contexts else 0


class CandidateCache:
    """The keys and values of up to `rows` groups, of up to `width` candidates each, grown as needed."""

    def __init__(self, rows: int, columns: int, width: int, device: torch.device):
        self.keys: dict[int, torch.Tensor] = {}  # by layer, (R, K, T, D)
        self.values: dict[int, torch.Tensor] = {}
        self._size = (rows, columns)
        self.visible = torch.zeros(rows, width, columns, dtype=torch.bool, device=device)

    def begin(self, row: int, context_tokens: int) -> None:
        """A row for a new group, whose candidates all see its context."""
        self.reserve(row + 1, context_tokens + 1)
        self.visible[row] = False
        self.visible[row, :, :context_tokens] = True

    def reserve(self, rows: int, columns: int) -> None:
        """Make place for so many rows and columns; what is there stays."""
        have = self._size
        if rows <= have[0] and columns <= have[1]:
            return
        wanted = zip((rows, columns), have, strict=True)
        self._size = tuple(old if n <= old else max(n, old + old // 2) for n, old in wanted)
        self.visible = _grown(self.visible, (self._size[0], self.visible.shape[1], self._size[1]))
        for part in (self.keys, self.values):
            for layer, old in part.items():
                part[layer] = _grown(old, (self._size[0], old.shape[1], self._size[1], old.shape[3]))

    def move(self, row: int, to: int, columns: int) -> None:
        """The group of `row`, which has so many columns, goes on in the row `to`."""
        self.visible[to] = self.visible[row]
        for part in (self.keys, self.values):
            for stored in part.values():
                stored[to, :, :columns] = stored[row, :, :columns]

    def follow(self, row: int, parents: Sequence[int]) -> None:
        """Candidate w of a row goes on from what candidate `parents[w]` sees."""
        self.visible[row, : len(parents)] = self.visible[row, list(parents)]

    def mask(self, slots: torch.Tensor, columns: int, dtype: torch.dtype) -> torch.Tensor:
        """What the candidates `slots` int64 (R, W) of the first R rows see: (R, 1, W, T), 0 or minus infinity."""
        rows = torch.arange(len(slots), device=slots.device)[:, None]
        seen = self.visible[rows, slots, :columns]
        return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))[:, None]

    def layer(self, number: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys (R, K, T, D) and values (R, K, T, D') of a layer; those of a pass tell their kind the first time."""
        if number not in self.keys:
            rows, columns = self._size
            for part, like in ((self.keys, key), (self.values, value)):
                # Zeros, since what is masked is multiplied by 0 all the same.
                part[number] = like.new_zeros(rows, like.shape[1], columns, like.shape[3])
        return self.keys[number], self.values[number]


def _grown(old: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    new = old.new_zeros(shape)
    new[tuple(slice(n) for n in old.shape)] = old
    return new


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    candidates: Tokens | None = None,
    **others,
) -> tuple[torch.Tensor, None]:
    """As transformers calls it: query (1, H, N, D), key (1, K, N, D), value (1, K, N, D'); returns (1, N, H, D').

    Raises: UserError where the model does not say which tokens it asks for, or asks for what is not known here.
    """
    if candidates is None or any(others.get(name) is not None for name in UNKNOWN_ARGUMENTS):
        raise UserError(f"{type(module).__name__} {UNKNOWN}")
    tokens = candidates
    keys, values = tokens.cache.layer(module.layer_idx, key, value)
    shared = query.shape[1] // key.shape[1]  # heads that share a key head
    out = query.new_empty(query.shape[2], query.shape[1], value.shape[3])
    for first, last, row in tokens.contexts:
        k, v = key[:, :, first:last], value[:, :, first:last]
        keys[row, :, : last - first], values[row, :, : last - first] = k[0], v[0]
        if shared > 1:
            k, v = k.repeat_interleave(shared, dim=1), v.repeat_interleave(shared, dim=1)
        found = scaled_dot_product_attention(query[:, :, first:last], k, v, is_causal=True, scale=scaling)
        out[first:last] = found[0].transpose(0, 1)
    if tokens.mask is not None:
        begin = tokens.end_of_contexts
        keys[tokens.rows, :, tokens.columns] = key[0, :, begin:].transpose(0, 1)
        values[tokens.rows, :, tokens.columns] = value[0, :, begin:].transpose(0, 1)
        rows, _, width, columns = tokens.mask.shape
        # (R, H, W, D); heads that share a key head ask it one after another, so that no key is repeated.
        asked = query[0, :, begin:].transpose(0, 1)[tokens.places].transpose(1, 2)
        asked = asked.reshape(rows, key.shape[1], shared * width, -1)
        found = scaled_dot_product_attention(
            *(asked, keys[:rows, :, :columns], values[:rows, :, :columns]),
            attn_mask=tokens.mask.repeat(1, 1, shared, 1) if shared > 1 else tokens.mask,
            scale=scaling,
        )
        by_token = found.reshape(rows, query.shape[1], width, -1).transpose(1, 2).flatten(0, 1)
        out[begin:] = by_token[tokens.back]
    return out[None], None


AttentionInterface.register(NAME, attend)
