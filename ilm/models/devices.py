"""Devices: choosing one, the precision of its arithmetic, its memory, torch.compile for it."""

import resource
import sys

import torch
from torch import nn
from torch.utils._triton import has_triton

from ilm.errors import UserError

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")


def usable_device(name: str, option: str) -> torch.device:
    """The device of this name; `auto` takes a GPU where there is one.

    Raises: UserError, naming the config key `option`, if there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{option}={name} cannot be used ({reason}). Expected auto, cpu, cuda or mps.") from error


def compute_dtype(tensor: torch.Tensor) -> torch.dtype:
    """The type in which matrix products of `tensor` are computed: that of autocast where it is on, else its own."""
    kind = tensor.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tensor.dtype


def peak_memory() -> int:
    """The most bytes that this process has had: on its GPU where it uses one, else in main memory."""
    if torch.cuda.is_initialized() and (most := torch.cuda.max_memory_allocated()):
        return most
    kilobytes = 1024 if sys.platform == "linux" else 1  # macOS counts bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: on a GPU, in torch's CPU allocator, or in Python."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _OUT_OF_MEMORY)


def compile_in_place(module: nn.Module, device: torch.device, backend: str = "inductor") -> None:
    """torch.compile `module` for its next forward passes, any row length; its parameters keep their names.

    Raises: UserError if there is no C++ compiler for a CPU, no Triton for a GPU.
    """
    if backend == "inductor":
        _require_compiler(device)
    module.compile(dynamic=True, backend=backend)


def _require_compiler(device: torch.device) -> None:
    if device.type == "cuda" and not has_triton():
        raise UserError("compile=true needs Triton on a GPU, which is not installed. Type compile=false.")
    if device.type == "cpu":
        from torch._inductor.cpp_builder import get_cpp_compiler
        from torch._inductor.exc import InvalidCxxCompiler

        try:
            get_cpp_compiler()
        except InvalidCxxCompiler as error:
            raise UserError(
                "compile=true needs a C++ compiler on a CPU, and none is here. Install g++ (or name one in the "
                "environment variable CXX), or type compile=false."
            ) from error
