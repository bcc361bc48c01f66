"""torch.compile of the model's body, in place, so that checkpoints keep their names."""

import torch
from torch.utils._triton import has_triton
from transformers import PreTrainedModel

from ilm.errors import UserError
from ilm.models.loss import plain_head


def compile_in_place(model: PreTrainedModel, device: torch.device, backend: str = "inductor") -> None:
    """Let the model's next passes be compiled: once each for training and for scoring, whatever the row length.

    With the fused loss only the body is compiled; the loss depends on the number of targets, and is few large products.
    `backend` is one of torch's.

    Raises: UserError if what compiles for the device is not here.
    """
    if backend == "inductor":
        require_compiler(device)
    (model if plain_head(model) is None else model.base_model).compile(dynamic=True, backend=backend)


def require_compiler(device: torch.device) -> None:
    """Raises: UserError if there is no C++ compiler for a CPU, no Triton for a GPU."""
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
