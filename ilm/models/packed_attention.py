"""Attention for packed rows: no token sees another example, and no (T, T) mask is built.

Registered as an attention of transformers (`AttentionInterface`), which `replaced_attention` selects for the duration
of a forward pass; the saved configuration does not mention it. Each row carries the `boundaries` of its examples. Cost
grows with the sum of the squared example lengths, not with the squared row length:

- CPU, and devices other than CUDA: examples of similar length are right-padded into a group, which needs only the
  causal mask, since no real token looks to its right. The backward pass recomputes the probabilities, as flash
  attention does (Dao et al. 2022, arXiv 2205.14135), and the dropout mask from one seed per layer: a stored mask's
  shape would be unknown to torch.compile, and recomputing it takes less than 1 ms.
- CUDA: kernels that take boundaries (`ilm.models.cuda_attention`).

Legend: H heads, K key heads, T tokens in a row, D head size, B examples in a group, L its longest length.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import AttentionInterface, PreTrainedModel

from ilm.models.cuda_attention import cuda_attention
from ilm.models.devices import compute_dtype

NAME = "ilm_rows"
# Arguments of other attentions that this one does not support, and the configuration settings that lead to them.
UNSUPPORTED = ("sliding_window", "softcap", "s_aux", "position_bias")
UNSUPPORTED_SETTINGS = ("sliding_window", "attn_logit_softcapping")
# The least ratio of a group's shortest to its longest example.
LEAST_FILLED = 0.7


@contextmanager
def replaced_attention(
    model: PreTrainedModel, name: str = NAME, unsupported: Sequence[str] = UNSUPPORTED_SETTINGS
) -> Iterator[bool]:
    """Make the model attend in another way, by default within `boundaries`, in this context.

    Yields False, and changes nothing, if its attention cannot be replaced or has one of the `unsupported` settings.
    """
    can_set = getattr(model, "_can_set_attn_implementation", None)
    if can_set is None or not can_set() or any(getattr(model.config, key, None) for key in unsupported):
        yield False
        return
    config, own = model.config, model.config._attn_implementation
    config._attn_implementation = name
    try:
        yield True
    finally:
        config._attn_implementation = own


def boundary_arguments(boundaries: torch.Tensor, longest: int) -> dict[str, torch.Tensor | int]:
    """Additional arguments for a forward pass in `replaced_attention`, named as for transformers' flash attention.

    `boundaries` int32 (examples + 1,) on the row's device: 0, then the end of each example. `longest`: at least the
    length of the longest example, in tokens.
    """
    if not boundaries.is_cuda:
        return {"cu_seq_lens_q": boundaries}
    # Kernels only need an upper bound; few distinct values mean few compilations.
    return {"cu_seq_lens_q": boundaries, "max_length_q": -(-longest // 128) * 128}


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int = 0,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within examples, as transformers calls it: query (1, H, T, D), key and value (1, K, T, D).

    Returns: (1, T, H, D).

    Raises: ValueError without boundaries, or for an argument in `UNSUPPORTED`.
    """
    if cu_seq_lens_q is None:
        raise ValueError(f"the attention {NAME} needs the boundaries of the examples in the row")
    if unsupported := [name for name in UNSUPPORTED if others.get(name) is not None]:
        raise ValueError(f"the attention {NAME} does not support {', '.join(unsupported)}")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    # Rotary position embeddings leave queries and keys in float32.
    query, key, value = (part.to(compute_dtype(part)) for part in (query, key, value))
    if not query.is_cuda:
        repeats = query.shape[1] // key.shape[1]
        if repeats > 1:
            key, value = (part.repeat_interleave(repeats, dim=1) for part in (key, value))
        seed = torch.randint(2**62, ()) if dropout else torch.zeros((), dtype=torch.int64)
        return _grouped(query[0], key[0], value[0], cu_seq_lens_q, seed, scaling, dropout)[None], None
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))  # (T, H, D)
    return cuda_attention(query, key, value, cu_seq_lens_q, max_length_q, scaling, dropout)[None], None


class Group(NamedTuple):
    """B examples of similar length: `tokens` (B, L) are their positions in the row, padded by repeating the last one.

    `real` (B, L, 1) is False for padding; None if there is none.
    """

    tokens: torch.Tensor
    real: torch.Tensor | None


@lru_cache(maxsize=64)
def groups_of(boundaries: tuple[int, ...], device: torch.device) -> tuple[Group, ...]:
    """The examples between `boundaries` in groups of similar length, longest first."""
    spans = sorted(pairwise(boundaries), key=lambda span: span[0] - span[1])
    chosen: list[list[tuple[int, int]]] = []
    for begin, end in spans:
        longest = chosen[-1][0][1] - chosen[-1][0][0] if chosen else 0
        if not chosen or end - begin < LEAST_FILLED * longest:
            chosen.append([])
        chosen[-1].append((begin, end))
    return tuple(_group(spans, device) for spans in chosen)


def _group(spans: Sequence[tuple[int, int]], device: torch.device) -> Group:
    begins, ends = torch.tensor(spans).T[:, :, None]
    tokens = begins + torch.arange(int((ends - begins).max()))
    real = tokens < ends
    within = torch.minimum(tokens, ends - 1)
    return Group(within.to(device), None if bool(real.all()) else real[:, :, None].to(device))


@torch.library.custom_op("ilm::grouped_attention", mutates_args=())
def _grouped(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    boundaries: torch.Tensor,
    seed: torch.Tensor,
    scaling: float,
    dropout: float,
) -> torch.Tensor:
    """Attention by groups: query, key and value (H, T, D); `seed` int64 () of the dropout. Returns (T, H, D).

    A custom operator, which torch.compile does not trace: its shapes depend on the boundaries.
    """
    heads, length, size = query.shape
    out = query.new_empty(length, heads, size)
    for number, group in enumerate(groups_of(tuple(boundaries.tolist()), query.device)):
        asked, keys, values = (_gather(part, group) for part in (query, key, value))
        weights = _probabilities(asked, keys, scaling)
        if dropout:
            weights *= _dropout_factors(weights, seed, number, dropout)
        _scatter(out, torch.bmm(weights, values), group)
    return out


@_grouped.register_fake
def _(query: torch.Tensor, *_: Any) -> torch.Tensor:
    heads, length, size = query.shape
    return query.new_empty(length, heads, size)


@torch.library.custom_op("ilm::grouped_attention_backward", mutates_args=())
def _grouped_backward(
    grad: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    boundaries: torch.Tensor,
    seed: torch.Tensor,
    scaling: float,
    dropout: float,
) -> list[torch.Tensor]:
    """Gradients (H, T, D) of query, key and value, given that of the output (T, H, D)."""
    heads, length, size = query.shape
    # In the memory layout of the projections that receive these gradients.
    found = [query.new_empty(length, heads, size) for _ in range(3)]
    grad = grad.transpose(0, 1)
    for number, group in enumerate(groups_of(tuple(boundaries.tolist()), query.device)):
        asked, keys, values, wanted = (_gather(part, group) for part in (query, key, value, grad))
        if group.real is not None:
            # Padding did not contribute to the output.
            wanted.view(heads, *group.tokens.shape, size).mul_(group.real)
        probabilities = _probabilities(asked, keys, scaling)
        weights, d_weights = probabilities, torch.bmm(wanted, values.transpose(1, 2))
        if dropout:
            factors = _dropout_factors(weights, seed, number, dropout)
            weights = weights * factors
            d_weights *= factors
        d_scores = torch._softmax_backward_data(d_weights, probabilities, -1, probabilities.dtype)
        d_scores *= scaling
        _scatter(found[0], torch.bmm(d_scores, keys), group)
        _scatter(found[1], torch.bmm(d_scores.transpose(1, 2), asked), group)
        _scatter(found[2], torch.bmm(weights.transpose(1, 2), wanted), group)
    return [part.transpose(0, 1) for part in found]


@_grouped_backward.register_fake
def _(grad: torch.Tensor, query: torch.Tensor, *_: Any) -> list[torch.Tensor]:
    heads, length, size = query.shape
    return [query.new_empty(length, heads, size).transpose(0, 1) for _ in range(3)]


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    query, key, value, boundaries, seed, ctx.scaling, ctx.dropout = inputs
    ctx.save_for_backward(query, key, value, boundaries, seed)


def _backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    return (*_grouped_backward(grad, *ctx.saved_tensors, ctx.scaling, ctx.dropout), None, None, None, None)


_grouped.register_autograd(_backward, setup_context=_save_for_backward)


def _gather(part: torch.Tensor, group: Group) -> torch.Tensor:
    """Gather (H, T, D) at a group's positions: (H * B, L, D)."""
    return part[:, group.tokens].flatten(0, 1)


def _scatter(out: torch.Tensor, part: torch.Tensor, group: Group) -> None:
    """Scatter (H * B, L, D) to a group's positions in (T, H, D)."""
    by_token = part.view(out.shape[1], *group.tokens.shape, -1).permute(1, 2, 0, 3)  # (B, L, H, D)
    if group.real is None:
        out[group.tokens] = by_token
    else:
        real = group.real[:, :, 0]
        out[group.tokens[real]] = by_token[real]


def _probabilities(query: torch.Tensor, key: torch.Tensor, scaling: float) -> torch.Tensor:
    """Causal softmax of (H * B, L, D) queries and keys: (H * B, L, L)."""
    batch, length, _ = query.shape
    mask = _causal(length, query.dtype, query.device).expand(batch, length, length)
    return torch.baddbmm(mask, query, key.transpose(1, 2), alpha=scaling).softmax(-1)


@lru_cache(maxsize=256)
def _causal(length: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(L, L): -inf above the diagonal, 0 elsewhere."""
    return torch.full((length, length), float("-inf"), dtype=dtype, device=device).triu(1)


def _dropout_factors(like: torch.Tensor, seed: torch.Tensor, number: int, dropout: float) -> torch.Tensor:
    """0 for dropped values, 1 / (1 - dropout) for the others, shaped and typed as `like`; a function of the seed.

    Uses 16 random bits per value from numpy's SFC64, four times as fast as torch's generator on a CPU.
    """
    size = like.numel()
    bits = np.random.SFC64(int(seed) + number).random_raw(-(-size // 4)).view(np.uint16)[:size]
    kept = torch.from_numpy(bits >= round(dropout * 65536)).view(like.shape)
    return kept.to(like.device, like.dtype).div_(1.0 - dropout)


AttentionInterface.register(NAME, attend)
