"""Attention within the examples of a row on a GPU, by kernels that take example boundaries and dropout.

- bfloat16 and float16 from compute capability 8 on: flash attention (Dao 2023, arXiv 2307.08691)
- float32, and float16 on older GPUs: memory-efficient attention (Rabe and Staats 2021, arXiv 2112.05682)
- anything else, or a torch whose operators have other arguments: torch's nested tensors, which call the same kernels
  after 2.7 ms of Python per call

These are the operators behind torch's public attention functions. Unlike those, they combine dropout with example
boundaries, and torch.compile traces them as one graph.

Legend: H heads, K key heads, T tokens in a row, D head size.
"""

import torch
from torch.nn.functional import scaled_dot_product_attention

# The positional arguments that the calls below rely on, as in torch 2.13.
FLASH = (*("query", "key", "value", "cum_seq_q", "cum_seq_k", "max_q", "max_k"), *("dropout_p", "is_causal"))
EFFICIENT = (
    *("query", "key", "value", "bias", "cu_seqlens_q", "cu_seqlens_k", "max_seqlen_q", "max_seqlen_k"),
    *("dropout_p", "custom_mask_type", "compute_log_sumexp"),
)
CAUSAL = 1  # a value of custom_mask_type: causal from the first token of each example


def takes(operator: str, arguments: tuple[str, ...]) -> bool:
    """Whether torch has this operator with these leading arguments and a `scale`."""
    found = getattr(torch.ops.aten, operator, None)
    names = [argument.name for argument in found.default._schema.arguments] if found is not None else []
    return tuple(names[: len(arguments)]) == arguments and "scale" in names


HAS_FLASH = takes("_flash_attention_forward", FLASH)
HAS_EFFICIENT = takes("_efficient_attention_forward", EFFICIENT)


def capability(device: torch.device) -> int:
    """The major version of a GPU's compute capability."""
    return torch.cuda.get_device_properties(device).major


def kernel_for(query: torch.Tensor) -> str:
    """Which kernel computes the attention of a query (T, H, D): `flash`, `efficient` or `nested`."""
    size, half = query.shape[-1], query.dtype in (torch.bfloat16, torch.float16)
    major = capability(query.device)
    if HAS_FLASH and half and major >= 8 and size % 8 == 0 and size <= 256:
        return "flash"
    known = query.dtype in (torch.float32, torch.float16) or (query.dtype == torch.bfloat16 and major >= 8)
    return "efficient" if HAS_EFFICIENT and known and size * query.element_size() % 16 == 0 else "nested"


def cuda_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    boundaries: torch.Tensor,
    longest: int,
    scaling: float,
    dropout: float,
) -> torch.Tensor:
    """Causal attention within examples: query (T, H, D), key and value (T, K, D); returns (T, H, D).

    `boundaries` int32 (examples + 1,): 0, then the end of each example; `longest`: at least the longest, in tokens.
    """
    kernel = kernel_for(query)
    # The default scale is left out: torch 2.13's compiled backward pass would receive it twice.
    scale = None if scaling == query.shape[-1] ** -0.5 else scaling
    ends = (boundaries, boundaries, longest, longest)
    if kernel == "flash":
        flash = torch.ops.aten._flash_attention_forward
        return flash(query, key, value, *ends, dropout, True, False, scale=scale)[0]
    repeats = query.shape[1] // key.shape[1]
    if repeats > 1:
        key, value = (part.repeat_interleave(repeats, dim=1) for part in (key, value))
    if kernel == "efficient":
        efficient, parts = torch.ops.aten._efficient_attention_forward, (query[None], key[None], value[None])
        return efficient(*parts, None, *ends, dropout, CAUSAL, torch.is_grad_enabled(), scale=scale)[0][0]
    return nested_attention(query, key, value, boundaries, longest, scale, dropout)


def nested_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    boundaries: torch.Tensor,
    longest: int,
    scale: float | None,
    dropout: float,
) -> torch.Tensor:
    """The same with nested tensors; query, key and value (T, H, D)."""
    nested_query, nested_key, nested_value = (
        torch.nested.nested_tensor_from_jagged(part, boundaries, min_seqlen=1, max_seqlen=longest).transpose(1, 2)
        for part in (query, key, value)
    )
    out = scaled_dot_product_attention(
        nested_query, nested_key, nested_value, dropout_p=dropout, is_causal=True, scale=scale
    )
    return out.transpose(1, 2).values()
