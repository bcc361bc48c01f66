"""The type of numbers that matrix products are made in."""

import torch


def arithmetic_type(tensor: torch.Tensor) -> torch.dtype:
    """That of autocast on the tensor's device where it is on, else the tensor's own."""
    kind = tensor.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tensor.dtype
