"""Attention on a GPU. Without one: which kernel is chosen, and what nested tensors make of a row.

The others are traced by `make cuda-simulation`.
"""

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from ilm.models import cuda_attention, packed_attention
from ilm.models.cuda_attention import nested_attention
from ilm.models.packed_attention import attend
from ilm.models.scoring import score
from tests.models.test_packed_attention import CPU, LENGTHS, SMALL, examples_of, small_model


def kernel_of_a_gpu(query, key, value, *, dropout_p, is_causal, scale):
    """What torch computes of nested tensors (B, H, -, D) on a GPU alone, in their own layouts."""
    assert is_causal
    assert dropout_p == 0.0
    parts = zip(*(part.transpose(1, 2).unbind() for part in (query, key, value)), strict=True)
    outs = [
        scaled_dot_product_attention(*(part.transpose(0, 1) for part in of_one), is_causal=True, scale=scale)
        for of_one in parts
    ]
    values = torch.cat([out.transpose(0, 1) for out in outs])
    return torch.nested.nested_tensor_from_jagged(values, query.offsets()).transpose(1, 2)


@pytest.mark.parametrize("model_type", SMALL)
def test_scores_of_nested_tensors_are_the_same(model_type, monkeypatch):
    model, examples = small_model(model_type), examples_of(LENGTHS)
    expected = score(model, examples, 64, CPU).nll

    def of_a_gpu(module, query, key, value, mask, *, cu_seq_lens_q, scaling, **others):
        query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
        repeats = query.shape[1] // key.shape[1]
        key, value = (part.repeat_interleave(repeats, dim=1) for part in (key, value))
        return nested_attention(query, key, value, cu_seq_lens_q, 128, None, 0.0)[None], None

    monkeypatch.setattr(cuda_attention, "scaled_dot_product_attention", kernel_of_a_gpu)
    monkeypatch.setitem(AttentionInterface._global_mapping, packed_attention.NAME, of_a_gpu)
    assert np.allclose(score(model, examples, 64, CPU).nll, expected, atol=1e-5)


def test_this_torch_has_the_operators():
    """With another one, see what they take now: nested tensors are slow."""
    assert cuda_attention.HAS_FLASH
    assert cuda_attention.HAS_EFFICIENT
    assert not cuda_attention.takes("_flash_attention_forward", ("query", "value"))
    assert not cuda_attention.takes("_no_such_attention", ("query",))


@pytest.mark.parametrize(
    ("dtype", "size", "major", "kernel"),
    [
        (torch.bfloat16, 64, 9, "flash"),
        (torch.float16, 64, 8, "flash"),
        (torch.float32, 64, 9, "efficient"),
        (torch.float16, 64, 7, "efficient"),
        (torch.bfloat16, 64, 7, "nested"),  # which refuses it
        (torch.bfloat16, 20, 9, "nested"),
        (torch.bfloat16, 320, 9, "efficient"),
        (torch.float32, 6, 9, "nested"),
    ],
)
def test_which_kernel_takes_a_query(dtype, size, major, kernel, monkeypatch):
    monkeypatch.setattr(cuda_attention, "capability", lambda device: major)
    query = torch.zeros(3, 2, size, dtype=dtype)
    assert cuda_attention.kernel_for(query) == kernel
    monkeypatch.setattr(cuda_attention, "HAS_FLASH", False)
    monkeypatch.setattr(cuda_attention, "HAS_EFFICIENT", False)
    assert cuda_attention.kernel_for(query) == "nested"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="kernels of a GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scaling", [None, 0.2])
def test_attention_on_a_gpu_is_the_same(dtype, scaling):
    """Output and gradients, of grouped queries, against the plain attention of the CPU."""
    torch.manual_seed(0)
    parts = [torch.randn(1, heads, 12, 64) for heads in (4, 2, 2)]
    boundaries = torch.tensor([0, 5, 12], dtype=torch.int32)

    def found(device, dtype):
        here = [part.to(device, dtype).detach().requires_grad_() for part in parts]
        arguments = {"scaling": scaling, "cu_seq_lens_q": boundaries.to(device), "max_length_q": 128}
        out = attend(None, *here, None, **arguments)[0]
        out.float().square().sum().backward()
        return [one.detach().cpu().float() for one in (out, *(part.grad for part in here))]

    for ours, plain in zip(found("cuda", dtype), found("cpu", torch.float32), strict=True):
        assert torch.allclose(ours, plain, atol=1e-4 if dtype == torch.float32 else 0.1)
