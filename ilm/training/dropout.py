"""Dropout on the CPU, where torch draws one random number after the other.

The masks here come from 16 random bits per value of numpy's SFC64, seeded from torch's generator at every call: as
reproducible as torch's own dropout, and other values.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import nn


def keep_mask(shape: Sequence[int], seed: int, dropout: float) -> torch.Tensor:
    """Boolean, True with probability 1 - `dropout` (rounded to 1/65,536), a function of the arguments alone."""
    size = prod(shape)
    bits = np.random.SFC64(seed).random_raw(-(-size // 4)).view(np.uint16)[:size]
    return torch.from_numpy(bits >= round(dropout * 65536)).view(*shape)


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` with `keep_mask` on the CPU."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p in (0.0, 1.0) or input.device.type != "cpu" or torch.compiler.is_compiling():
            # A compiler draws its own numbers, in one pass with the rest.
            return super().forward(input)
        return _Drop.apply(input, int(torch.randint(2**62, ())), self.p)


def use_fast_dropout(model: nn.Module) -> None:
    """Replace the model's dropout modules, which hold no weights, by those of this file."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input: torch.Tensor, seed: int, dropout: float) -> torch.Tensor:
        keep = keep_mask(input.shape, seed, dropout)
        ctx.save_for_backward(keep)
        ctx.scale = 1.0 / (1.0 - dropout)
        return (input * keep).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        (keep,) = ctx.saved_tensors
        return (grad * keep).mul_(ctx.scale), None, None
