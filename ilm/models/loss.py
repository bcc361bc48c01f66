"""LM head and cross-entropy fused, so that the logits of all targets are never held at once.

The forward pass computes the logits of a chunk of targets, turns them into their gradient in place and multiplies that
out; nothing is left to the backward pass, and memory is that of one chunk. This is the idea of Liger Kernel's fused
linear cross entropy (Hsu et al. 2024, arXiv 2410.10989). Matrix products run in autocast's precision; the softmax and
the sum of gradients over chunks in float32.

Legend: N targets, E hidden size, V vocabulary size.
"""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from ilm.models.devices import compute_dtype

# Architectures whose logits are just the product of the last hidden state and the head's weight.
PLAIN_HEADS = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3")
# Bytes of a chunk's logits, in the dtype of the matrix products; long chunks make fast products.
CHUNK_BYTES = {"cpu": 2**26, "cuda": 2**28}
# Targets per softmax. On a CPU their float32 logits stay small enough for malloc to reuse the memory; on a GPU few
# kernels are launched.
SOFTMAX_ROWS = {"cpu": 128, "cuda": 4096}


def plain_head(model: PreTrainedModel) -> nn.Linear | None:
    """The model's LM head if the fused loss supports it, else None."""
    if not isinstance(model, PreTrainedModel) or model.config.model_type not in PLAIN_HEADS:
        return None
    head = model.get_output_embeddings()
    return head if type(head) is nn.Linear and head.bias is None else None


def block_rows(weight: torch.Tensor) -> int:
    """How many hidden states are multiplied at a time with a head's weight (V, E)."""
    return max(1, CHUNK_BYTES.get(weight.device.type, 2**26) // (len(weight) * weight.dtype.itemsize))


def linear_cross_entropy(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and NLL in nats of `targets` int64 (N,), given hidden states (N, E) and a head's weight (V, E).

    Returns (sum of NLL times `weights` float32 (N,), by default 1; NLL float32 (N,), without gradient). The loss can be
    differentiated once. Not for float16, in which the gradients overflow or vanish before they are scaled.
    """
    weights = torch.ones(len(targets), dtype=torch.float32, device=hidden.device) if weights is None else weights
    wants_gradient = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    return _LinearCrossEntropy.apply(hidden, weight, targets, weights, wants_gradient)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        weights: torch.Tensor,
        wants_gradient: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        dtype = compute_dtype(hidden)
        states, table = hidden.to(dtype), weight.to(dtype)
        nll = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        of_hidden = torch.empty_like(states) if wants_gradient and ctx.needs_input_grad[0] else None
        of_weight = None
        rows = block_rows(table)
        for begin in range(0, len(targets), rows):
            part = slice(begin, begin + rows)
            error = states[part] @ table.T  # the logits, (chunk, V)
            nll[part] = _to_errors(error, targets[part], wants_gradient)
            scale = weights[part, None].to(dtype)
            if of_hidden is not None:
                torch.mm(error, table, out=of_hidden[part]).mul_(scale)
            if wants_gradient and ctx.needs_input_grad[1]:
                of_weight = _plus_product(of_weight, error.T, states[part] * scale)
        ctx.of_hidden, ctx.of_weight, ctx.dtypes = of_hidden, of_weight, (hidden.dtype, weight.dtype)
        ctx.mark_non_differentiable(nll)
        return (nll * weights).sum(), nll

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        if ctx.dtypes is None:
            raise RuntimeError("the fused loss can be differentiated only once")
        found = []
        for gradient, dtype in zip((ctx.of_hidden, ctx.of_weight), ctx.dtypes, strict=True):
            # The factor is usually 1; checking that on a GPU would synchronise.
            if gradient is not None and (grad.is_cuda or grad != 1):
                gradient.mul_(grad)
            found.append(None if gradient is None else gradient.to(dtype))
        ctx.of_hidden = ctx.of_weight = ctx.dtypes = None
        return *found, None, None, None


def _to_errors(logits: torch.Tensor, targets: torch.Tensor, wants_error: bool) -> torch.Tensor:
    """NLL float32 (N,) of a chunk; with `wants_error` turns its logits (N, V), in place, into softmax minus one-hot."""
    nll, rows = [], SOFTMAX_ROWS.get(logits.device.type, 128)
    for some, wanted in zip(logits.split(rows), targets[:, None].split(rows), strict=True):
        exact = some.float()
        highest, of_target = exact.amax(-1), exact.gather(1, wanted)[:, 0]
        softmax = exact.softmax(-1)
        # log-sum-exp by way of the largest logit, whose probability cannot underflow.
        nll.append(highest - softmax.amax(-1).log() - of_target)
        if wants_error:
            some.copy_(softmax.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=softmax.dtype)))
    return torch.cat(nll)


def _plus_product(total: torch.Tensor | None, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """total + left @ right; `total` is float32, or None for 0."""
    if total is None:
        return (left @ right).float()
    return total.addmm_(left, right) if left.dtype == total.dtype else total.add_(left @ right)
