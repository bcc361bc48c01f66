"""The loss of the targets of a row, without ever holding all of their logits.

The logits of a chunk of targets are made, turned into their gradient in place, and multiplied out; so the backward pass
has nothing left to do, and memory is that of one chunk. The idea is that of Liger Kernel's fused linear cross
entropy (Hsu et al. 2024, arXiv 2410.10989). The two matrix products run in the precision of autocast, the softmax and
the sum of the gradient over chunks in float32.

Legend: N targets, E size of a hidden state, V vocabulary.
"""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from ilm.models.devices import compute_dtype

# Architectures whose logits are the plain product of the last hidden state and the head's weight.
PLAIN_HEADS = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3")
# Bytes that the logits of a chunk may take, in the type of the matrix products: long chunks make fast products.
CHUNK_BYTES = {"cpu": 2**26, "cuda": 2**28}
# Targets whose softmax is taken at a time: on a CPU their logits in float32 stay below what malloc gives back at once,
# on a GPU few kernels are launched.
SOFTMAX_ROWS = {"cpu": 128, "cuda": 4096}


def plain_head(model: PreTrainedModel) -> nn.Linear | None:
    """The model's head where the fused loss holds for it, else None."""
    if not isinstance(model, PreTrainedModel) or model.config.model_type not in PLAIN_HEADS:
        return None
    head = model.get_output_embeddings()
    return head if type(head) is nn.Linear and head.bias is None else None


def block_rows(weight: torch.Tensor) -> int:
    """Hidden states whose logits are made at a time, of a head's weight (V, E)."""
    return max(1, CHUNK_BYTES.get(weight.device.type, 2**26) // (len(weight) * weight.dtype.itemsize))


def linear_cross_entropy(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and NLL in nats of `targets` int64 (N,), of hidden states (N, E) and a head's weight (V, E).

    Returns (sum of NLL times `weights` float32 (N,), by default 1; NLL float32 (N,), without gradient). The loss can be
    differentiated once. Not for float16, whose range the gradients leave before they are scaled.
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
            raise RuntimeError("the gradient of a fused loss can be taken once")
        found = []
        for gradient, dtype in zip((ctx.of_hidden, ctx.of_weight), ctx.dtypes, strict=True):
            # The usual factor is 1, which a CPU can look at without waiting for anything.
            if gradient is not None and (grad.is_cuda or grad != 1):
                gradient.mul_(grad)
            found.append(None if gradient is None else gradient.to(dtype))
        ctx.of_hidden = ctx.of_weight = ctx.dtypes = None
        return *found, None, None, None


def _to_errors(logits: torch.Tensor, targets: torch.Tensor, wants_error: bool) -> torch.Tensor:
    """NLL float32 (N,) of a chunk; its logits (N, V) become their softmax less one at the target, where wanted."""
    nll, rows = [], SOFTMAX_ROWS.get(logits.device.type, 128)
    for some, wanted in zip(logits.split(rows), targets[:, None].split(rows), strict=True):
        exact = some.float()
        highest, of_target = exact.amax(-1), exact.gather(1, wanted)[:, 0]
        softmax = exact.softmax(-1)
        # log of the sum of exponentials, from the largest: its probability is never too small for a float.
        nll.append(highest - softmax.amax(-1).log() - of_target)
        if wants_error:
            some.copy_(softmax.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=softmax.dtype)))
    return torch.cat(nll)


def _plus_product(total: torch.Tensor | None, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """total + left @ right, with `total` in float32, None for 0."""
    if total is None:
        return (left @ right).float()
    return total.addmm_(left, right) if left.dtype == total.dtype else total.add_(left @ right)
