"""A KV cache in which the candidates of a context share its row.

A forward pass takes a single row of N tokens: the concatenated contexts of new groups, and one token of every running
candidate. So the linear layers, which take most of the time, see no padding; only attention distinguishes groups. A
group is a context with its candidates, and has one row of the cache:

    row     context ... | candidate 1 | candidate 2 | candidate 1 | candidate 3 | ...      columns in order of writing

A candidate attends to the context and its own columns, given by its row of `visible` (the tree attention of Miao et al.
2024, SpecInfer, arXiv 2305.09781). The context is stored once for all candidates, and a beam that continues another one
only copies that row of booleans.

It is registered with transformers' `AttentionInterface`, and selected during generation.

Legend: N tokens of a pass, H heads, K key heads, D head size (D' of values), R rows, W candidates of a row, T columns.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel

from ilm.errors import UserError
from ilm.models.packed_attention import replaced_attention

NAME = "ilm_candidates"
# Configuration keys of models with other kinds of attention.
UNKNOWN_SETTINGS = ("attn_logit_softcapping",)
UNKNOWN_ARGUMENTS = ("softcap", "s_aux", "position_bias")
UNKNOWN = "cannot fill blanks: its kind of attention is not supported. Use GPT-2, Llama, Qwen or similar models."


@contextmanager
def kv_cache_attention(model: PreTrainedModel) -> Iterator[None]:
    """Make the model attend by the `attention_metadata` of each pass, without dropout.

    Raises: UserError for an architecture whose attention cannot be replaced.
    """
    was_training = model.training
    with replaced_attention(model.eval(), NAME, UNKNOWN_SETTINGS) as replaced:
        if not replaced:
            raise UserError(f"{type(model).__name__} {UNKNOWN}")
        try:
            yield
        finally:
            model.train(was_training)


@dataclass(frozen=True)
class AttentionMetadata:
    """Describes the N tokens of a pass: contexts first, then one token of each of M candidates.

    `contexts`: (first token, exclusive last, row) of each. `rows`, `columns`: int64 (M,), where the keys and values of
    each candidate's token go. `query_of_place`: int64 (R, W), which of the M tokens is the query at place w of row r
    (arbitrary if there is none). `place_of_query`: int64 (M,), its inverse, an index into R * W. `mask`: (R, 1, W, T),
    additive attention mask, 0 or minus infinity.
    """

    cache: "KVCache"
    contexts: tuple[tuple[int, int, int], ...]
    rows: torch.Tensor | None = None
    columns: torch.Tensor | None = None
    query_of_place: torch.Tensor | None = None
    place_of_query: torch.Tensor | None = None
    mask: torch.Tensor | None = None


class KVCache:
    """The keys and values of up to `rows` groups with up to `width` candidates each; grows as needed."""

    def __init__(self, rows: int, columns: int, width: int, device: torch.device):
        self.keys: dict[int, torch.Tensor] = {}  # by layer, (R, K, T, D)
        self.values: dict[int, torch.Tensor] = {}
        self.visible = torch.zeros(rows, width, columns, dtype=torch.bool, device=device)

    def add_context(self, row: int, context_tokens: int) -> None:
        """Set up a row for a new group, whose candidates all attend to its context."""
        self.reserve(row + 1, context_tokens + 1)
        self.visible[row] = False
        self.visible[row, :, :context_tokens] = True

    def reserve(self, rows: int, columns: int) -> None:
        """Grow to `rows` and `columns`, keeping the contents."""
        old_rows, width, old_columns = self.visible.shape
        if rows <= old_rows and columns <= old_columns:
            return
        rows = old_rows if rows <= old_rows else max(rows, old_rows + old_rows // 2)
        columns = old_columns if columns <= old_columns else max(columns, old_columns + old_columns // 2)
        self.visible = _grown(self.visible, (rows, width, columns))
        for part in (self.keys, self.values):
            for layer, old in part.items():
                part[layer] = _grown(old, (rows, old.shape[1], columns, old.shape[3]))

    def move_row(self, row: int, to: int, columns: int) -> None:
        """Move the group of `row`, which uses `columns`, to the row `to`."""
        self.visible[to] = self.visible[row]
        for part in (self.keys, self.values):
            for stored in part.values():
                stored[to, :, :columns] = stored[row, :, :columns]

    def reorder(self, row: int, parents: Sequence[int]) -> None:
        """Make beam w of a row continue beam `parents[w]`."""
        self.visible[row, : len(parents)] = self.visible[row, list(parents)]

    def metadata(
        self,
        contexts: Sequence[tuple[int, int, int]],
        candidates: Sequence[tuple[int, int, int, int]],
        rows: int,
        width: int,
        dtype: torch.dtype,
    ) -> AttentionMetadata:
        """The metadata of a pass over contexts (as in `AttentionMetadata`) and one token of each candidate.

        A candidate's token is given by its row, slot, column and place within the row; candidates are in the first
        `rows` rows, at most `width` in each.
        """
        if not candidates:
            return AttentionMetadata(self, tuple(contexts))
        at, slots, columns, places = torch.tensor(candidates, device=self.visible.device).T
        self.visible[at, slots, columns] = True
        place_of_query = at * width + places
        query_of_place, slot_of_place = at.new_zeros(2, rows * width)
        query_of_place[place_of_query] = torch.arange(len(at), device=at.device)
        slot_of_place[place_of_query] = slots
        row_of_place = torch.arange(rows, device=at.device)[:, None]
        seen = self.visible[row_of_place, slot_of_place.view(rows, width), : int(columns.max()) + 1]
        mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))[:, None]
        query_of_place = query_of_place.view(rows, width)
        return AttentionMetadata(self, tuple(contexts), at, columns, query_of_place, place_of_query, mask)

    def layer(self, number: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys (R, K, T, D) and values (R, K, T, D') of a layer, allocated like those of the first pass."""
        if number not in self.keys:
            rows, _, columns = self.visible.shape
            for part, like in ((self.keys, key), (self.values, value)):
                # Zeros, since masked values are still multiplied by 0, and 0 * NaN is NaN.
                part[number] = like.new_zeros(rows, like.shape[1], columns, like.shape[3])
        return self.keys[number], self.values[number]


def _grown(old: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    new = old.new_zeros(shape)
    new[tuple(slice(n) for n in old.shape)] = old
    return new


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    attention_metadata: AttentionMetadata | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention function for transformers: query (1, H, N, D), key (1, K, N, D), value (1, K, N, D') -> (1, N, H, D').

    Raises: UserError for a model that drops the metadata, or uses an unsupported kind of attention.
    """
    if attention_metadata is None or any(others.get(name) is not None for name in UNKNOWN_ARGUMENTS):
        raise UserError(f"{type(module).__name__} {UNKNOWN}")
    metadata = attention_metadata
    keys, values = metadata.cache.layer(module.layer_idx, key, value)
    shared = query.shape[1] // key.shape[1]  # query heads per key head
    out = query.new_empty(query.shape[2], query.shape[1], value.shape[3])
    for first, last, row in metadata.contexts:
        k, v = key[:, :, first:last], value[:, :, first:last]
        keys[row, :, : last - first], values[row, :, : last - first] = k[0], v[0]
        if shared > 1:
            k, v = k.repeat_interleave(shared, dim=1), v.repeat_interleave(shared, dim=1)
        found = scaled_dot_product_attention(query[:, :, first:last], k, v, is_causal=True, scale=scaling)
        out[first:last] = found[0].transpose(0, 1)
    if metadata.mask is not None:
        begin = metadata.contexts[-1][1] if metadata.contexts else 0
        keys[metadata.rows, :, metadata.columns] = key[0, :, begin:].transpose(0, 1)
        values[metadata.rows, :, metadata.columns] = value[0, :, begin:].transpose(0, 1)
        rows, _, width, columns = metadata.mask.shape
        # (R, H, W, D); query heads with the same key head become extra queries, so that keys need not be repeated.
        queries = query[0, :, begin:].transpose(0, 1)[metadata.query_of_place].transpose(1, 2)
        queries = queries.reshape(rows, key.shape[1], shared * width, -1)
        found = scaled_dot_product_attention(
            *(queries, keys[:rows, :, :columns], values[:rows, :, :columns]),
            attn_mask=metadata.mask.repeat(1, 1, shared, 1) if shared > 1 else metadata.mask,
            scale=scaling,
        )
        by_token = found.reshape(rows, query.shape[1], width, -1).transpose(1, 2).flatten(0, 1)
        out[begin:] = by_token[metadata.place_of_query]
    return out[None], None


AttentionInterface.register(NAME, attend)
