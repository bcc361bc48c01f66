"""Dropout of attention on the CPU, drawn again in the backward pass from its seed instead of being kept.

The masks come from 16 random bits per value of numpy's SFC64.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch


def keep_mask(shape: Sequence[int], seed: int, dropout: float) -> torch.Tensor:
    """Boolean, True with probability 1 - `dropout` (rounded to 1/65,536), a function of the arguments alone."""
    size = prod(shape)
    bits = np.random.SFC64(seed).random_raw(-(-size // 4)).view(np.uint16)[:size]
    return torch.from_numpy(bits >= round(dropout * 65536)).view(*shape)
