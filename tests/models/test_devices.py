from unittest.mock import patch

import pytest
import torch
from torch._dynamo.utils import counters

from ilm.errors import UserError
from ilm.models.devices import compile_in_place
from ilm.models.packing import pack
from ilm.models.scoring import forward_module, row_loss, target_nll
from tests.models.test_packed_attention import LENGTHS, SMALL, examples_of, small_model

CPU = torch.device("cpu")


@pytest.mark.parametrize("model_type", SMALL)
def test_one_graph_for_training_and_one_for_scoring_whatever_the_rows(model_type):
    """torch's tracing without its code generation, which takes minutes."""
    torch.compiler.reset()
    counters.clear()
    model, plain = small_model(model_type).train(), small_model(model_type)
    names = list(model.state_dict())
    compile_in_place(forward_module(model), CPU, backend="eager")
    assert list(model.state_dict()) == names
    for seed, lengths in enumerate((LENGTHS, [40, 12], [9], [7, 8, 9, 10, 33])):
        (row,) = pack(examples_of(lengths, seed), 256)
        weights = torch.ones(len(row.targets))
        loss, expected = row_loss(model, row, weights)[0], row_loss(plain, row, weights)[0]
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
        loss.backward()
        assert counters["stats"]["unique_graphs"] == 1
    model.eval()
    for seed, lengths in enumerate((LENGTHS, [40, 12])):
        (row,) = pack(examples_of(lengths, seed), 256)
        with torch.inference_mode():
            assert torch.allclose(target_nll(model, row), target_nll(plain, row), atol=1e-5)
    assert counters["stats"]["unique_graphs"] == 2
    assert not counters["graph_break"]


def test_attention_dropout_is_compiled_too():
    torch.compiler.reset()
    counters.clear()
    model = small_model("gpt2", n_layer=1, attn_pdrop=0.3).train()
    compile_in_place(forward_module(model), CPU, backend="aot_eager")
    (row,) = pack(examples_of([40, 12]), 256)
    row_loss(model, row, torch.ones(len(row.targets)))[0].backward()
    assert not counters["graph_break"]
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_no_compiler_is_told_in_one_message():
    from torch._inductor.exc import InvalidCxxCompiler

    with (
        patch("torch._inductor.cpp_builder.get_cpp_compiler", side_effect=InvalidCxxCompiler()),
        pytest.raises(UserError, match=r"g\+\+.*compile=false"),
    ):
        compile_in_place(torch.nn.Identity(), CPU)
    with patch("ilm.models.devices.has_triton", return_value=False), pytest.raises(UserError, match="Triton"):
        compile_in_place(torch.nn.Identity(), torch.device("cuda"))
