"""The loss of the targets of a row, without ever holding all of their logits.

The logits of some targets at a time are made, turned into their gradient in place, and multiplied out; so the backward
pass has nothing left to do, and memory is that of one chunk. The idea is that of Liger Kernel's fused linear cross
entropy (Hsu et al. 2024, arXiv 2410.10989). The two matrix products run in the precision of autocast, the softmax and
the sum of the gradient over chunks in float32.

Legend: N targets, E size of a hidden state, V vocabulary.
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from ilm.training.precision import arithmetic_type

# Architectures whose logits are the plain product of the last hidden state and the head's weight.
PLAIN_HEADS = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3")
# Targets of a chunk: the products are as fast as with all at once, and the logits of GPT-2 take 25 MB.
CHUNK = {"cpu": 128, "cuda": 1024}


def plain_head(model: PreTrainedModel) -> nn.Linear | None:
    """The model's head where the fused loss holds for it, else None."""
    if not isinstance(model, PreTrainedModel) or model.config.model_type not in PLAIN_HEADS:
        return None
    head = model.get_output_embeddings()
    return head if type(head) is nn.Linear and head.bias is None else None


def linear_cross_entropy(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and NLL in nats of `targets` int64 (N,), of hidden states (N, E) and a head's weight (V, E).

    Returns (sum of NLL times `weights` float32 (N,), by default 1; NLL float32 (N,), without gradient). The loss can be
    differentiated once. Not for float16, whose range the gradients leave before they are scaled.
    """
    weights = torch.ones(len(targets), device=hidden.device) if weights is None else weights
    chunk = CHUNK.get(hidden.device.type, 1024)
    wants_gradient = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    return _LinearCrossEntropy.apply(hidden, weight, targets, weights, chunk, wants_gradient)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, targets, weights, chunk, wants_gradient):
        dtype = arithmetic_type(hidden)
        states, table = hidden.to(dtype), weight.to(dtype)
        nll = torch.empty(len(targets), device=hidden.device)
        of_hidden = torch.empty_like(states) if wants_gradient and ctx.needs_input_grad[0] else None
        of_weight = (
            torch.zeros_like(weight, dtype=torch.float32) if wants_gradient and ctx.needs_input_grad[1] else None
        )
        for begin in range(0, len(targets), chunk):
            part = slice(begin, begin + chunk)
            nll[part], error = _errors(states[part] @ table.T, targets[part], of_hidden is None and of_weight is None)
            if error is None:
                continue
            scale = weights[part, None].to(dtype)
            if of_hidden is not None:
                torch.mm(error, table, out=of_hidden[part]).mul_(scale)
            if of_weight is not None:
                _add_product(of_weight, error.T, states[part] * scale)
        ctx.of_hidden, ctx.of_weight, ctx.dtypes = of_hidden, of_weight, (hidden.dtype, weight.dtype)
        ctx.mark_non_differentiable(nll)
        return (nll * weights).sum(), nll

    @staticmethod
    def backward(ctx, grad, _):
        if ctx.dtypes is None:
            raise RuntimeError("the gradient of a fused loss can be taken once")
        found = []
        for gradient, dtype in zip((ctx.of_hidden, ctx.of_weight), ctx.dtypes, strict=True):
            # The usual factor is 1, which a CPU can look at without waiting for anything.
            if gradient is not None and (grad.is_cuda or grad != 1):
                gradient.mul_(grad)
            found.append(None if gradient is None else gradient.to(dtype))
        ctx.of_hidden = ctx.of_weight = ctx.dtypes = None
        return *found, None, None, None, None


def _errors(logits: torch.Tensor, targets: torch.Tensor, only_nll: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    """NLL float32 (N,) of a chunk, and the softmax less one at the target, in the type of the logits (N, V)."""
    dtype, exact = logits.dtype, logits.float()
    if only_nll:
        return cross_entropy(exact, targets, reduction="none"), None
    targets = targets[:, None]
    highest, of_target = exact.amax(-1), exact.gather(1, targets)[:, 0]
    softmax = exact.softmax(-1)
    # log of the sum of exponentials, from the largest: its probability is never too small for a float.
    nll = highest - softmax.amax(-1).log() - of_target
    softmax.scatter_add_(1, targets, torch.full_like(targets, -1, dtype=softmax.dtype))
    return nll, softmax.to(dtype)


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)
