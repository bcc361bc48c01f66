"""Devices: which one, its arithmetic, its peak memory, faster kernels and torch.compile for it."""

import resource
import sys

import torch
from torch import nn
from torch.utils._triton import has_triton
from transformers import PreTrainedModel
from transformers.activations import NewGELUActivation

from ilm.errors import UserError

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")


def usable_device(name: str, option: str) -> torch.device:
    """The device called `name`; `auto` is the GPU if there is one.

    Raises: UserError, naming the config key `option`, if this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{option}={name} cannot be used ({reason}). Expected auto, cpu, cuda or mps.") from error


def compute_dtype(tensor: torch.Tensor) -> torch.dtype:
    """The dtype in which matrix products of `tensor` are computed: autocast's if it is on, else its own."""
    kind = tensor.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tensor.dtype


def peak_memory() -> int:
    """Peak memory of this process in bytes: on its GPU if it uses one, else in main memory."""
    if torch.cuda.is_initialized() and (most := torch.cuda.max_memory_allocated()):
        return most
    kilobytes = 1024 if sys.platform == "linux" else 1  # macOS counts bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: on a GPU, in torch's CPU allocator, or in Python."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _OUT_OF_MEMORY)


def with_fused_activations(model: PreTrainedModel) -> PreTrainedModel:
    """The model with torch's GELU instead of the same formula in transformers, which takes nine passes over memory.

    Results agree up to rounding, so training on a CPU, whose numbers must not change, does not use it.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))
    return model


def compile_in_place(module: nn.Module, device: torch.device, backend: str = "inductor") -> None:
    """Compile the forward pass of `module` for any row length; parameter names stay as they are.

    Raises: UserError without a C++ compiler (CPU) or Triton (GPU).
    """
    if backend == "inductor":
        _require_compiler(device)
    module.compile(dynamic=True, backend=backend)


def _require_compiler(device: torch.device) -> None:
    if device.type == "cuda" and not has_triton():
        raise UserError("compile=true on a GPU needs Triton, which is not installed. Type compile=false.")
    if device.type == "cpu":
        from torch._inductor.cpp_builder import get_cpp_compiler
        from torch._inductor.exc import InvalidCxxCompiler

        try:
            get_cpp_compiler()
        except InvalidCxxCompiler as error:
            raise UserError(
                "compile=true on a CPU needs a C++ compiler, and none was found. Install g++ (or name a compiler in "
                "the environment variable CXX), or type compile=false."
            ) from error
