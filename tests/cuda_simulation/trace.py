"""Traces the branches for GPUs on fake tensors: shapes, types and graphs, no arithmetic and no time.

    LD_PRELOAD=libfakecuda.so python -m tests.cuda_simulation.trace 9

The argument is the card's compute capability. Prints a JSON object for every case: its name, the number of graphs and
graph breaks where compiled, operations and bytes kept for the backward pass otherwise, or the error.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch._dynamo.utils import counters
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoConfig, AutoModelForCausalLM

from ilm.examples.layout import Example
from ilm.infilling.kv_cache import AttentionMetadata, KVCache, kv_cache_attention
from ilm.models import cuda_attention
from ilm.models.devices import compile_in_place, with_fused_activations
from ilm.models.packing import pack
from ilm.models.scoring import forward_module, row_loss, target_nll

CUDA = torch.device("cuda")
GPT2 = {"n_layer": 1, "n_embd": 768, "n_head": 12, "vocab_size": 50266}
LLAMA = {"num_hidden_layers": 1, "hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9}
LLAMA |= {"num_key_value_heads": 3, "vocab_size": 49159}
HALF = {7: torch.float16, 8: torch.bfloat16, 9: torch.bfloat16}


class Counted(TorchDispatchMode):
    """Counts operations, and the bytes of what is kept for the backward pass."""

    operations = 0
    kept = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.operations += 1
        return function(*arguments, **(options or {}))

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        self.kept += tensor.numel() * tensor.element_size()
        return tensor


@contextmanager
def card(major: int) -> Iterator[None]:
    """What torch asks a driver, which is not here."""
    torch.cuda.amp.common.amp_definitely_not_available = lambda: False
    torch.cuda.is_bf16_supported = lambda *arguments, **options: True
    cuda_attention.capability = lambda device: major
    with FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv()):
        yield


def examples(number: int, length: int = 86) -> list[Example]:
    types = np.full(length, 1, dtype=np.uint8)
    types[length // 2 :] = 4
    return [Example(np.zeros(length, dtype=np.int32), types, length) for _ in range(number)]


def model_of(kind: str, dropout: float = 0.0, dtype: torch.dtype = torch.float32):
    changes = GPT2 | dict.fromkeys(("attn_pdrop", "resid_pdrop", "embd_pdrop"), dropout) if kind == "gpt2" else LLAMA
    with CUDA:
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **changes), dtype=dtype)


def traced(
    kind: str,
    dtype: torch.dtype,
    *,
    dropout: float = 0.0,
    training: bool = True,
    compiled: bool = False,
    fused: bool = True,
) -> dict:
    model = model_of(kind, dropout).train(training)
    if fused:
        with_fused_activations(model)
    if compiled:
        torch.compiler.reset()
        counters.clear()
        compile_in_place(forward_module(model), CUDA, backend="aot_eager")
    found = Counted()
    for number in (8, 5, 1, 30):
        (row,) = pack(examples(number), 4096)
        row = row.to(CUDA)
        with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
            if not training:
                with torch.inference_mode():
                    target_nll(model, row)
            elif compiled:
                row_loss(model, row, torch.ones(len(row.targets), device=CUDA))[0].backward()
            else:
                found = Counted()
                with found, torch.autograd.graph.saved_tensors_hooks(found.keep, lambda tensor: tensor):
                    loss, _ = row_loss(model, row, torch.ones(len(row.targets), device=CUDA))
                    loss.backward()
    if compiled:
        return {"graphs": counters["stats"]["unique_graphs"], "breaks": dict(counters["graph_break"])}
    return {"operations": found.operations, "kept": found.kept} if training else {}


def decoding(kind: str, dtype: torch.dtype) -> dict:
    """Two contexts of 20 and 15 tokens are read, then a token of each of three candidates, one of a second context."""
    model, cache = model_of(kind, dtype=dtype).eval(), KVCache(2, 64, 2, CUDA)
    number = {"dtype": torch.int64, "device": CUDA}
    candidates = {
        "rows": torch.zeros(3, **number),
        "columns": torch.zeros(3, **number),
        "query_of_place": torch.zeros(2, 2, **number),
        "place_of_query": torch.zeros(3, **number),
        "mask": torch.zeros(2, 1, 2, 21, dtype=dtype, device=CUDA),
    }
    passes = (35, AttentionMetadata(cache, ((0, 20, 0), (20, 35, 1)))), (3, AttentionMetadata(cache, (), **candidates))
    with torch.inference_mode(), kv_cache_attention(model):
        for tokens, metadata in passes:
            ids = torch.zeros(1, tokens, **number)
            options = {"position_ids": ids, "use_cache": False, "attention_metadata": metadata}
            assert model(input_ids=ids, **options).logits.shape[1] == tokens
    return {}


def cases(major: int) -> Iterator[tuple[str, Callable[[], dict]]]:
    for dtype in (HALF[major], torch.float32):
        name = str(dtype).removeprefix("torch.")
        for training in (True, False):
            for compiled in (False, True):
                kind = f"{'training' if training else 'scoring'} {name}{' compiled' if compiled else ''}"
                yield kind, partial(traced, "gpt2", dtype, dropout=0.1, training=training, compiled=compiled)
        yield f"training {name} without dropout", partial(traced, "gpt2", dtype)
        yield f"grouped queries {name}", partial(traced, "llama", dtype)
        for kind in ("gpt2", "llama"):
            yield f"decoding {kind} {name}", partial(decoding, kind, dtype)
        own_gelu = f"training {name}, transformers' own gelu"
        yield own_gelu, partial(traced, "gpt2", dtype, dropout=0.1, fused=False)


def main(major: int) -> None:
    for name, case in cases(major):
        with card(major):
            try:
                told = case()
            except Exception as error:
                told = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"}
        print(json.dumps({"case": name, **told}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
