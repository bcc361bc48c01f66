from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM

from ilm.models import loss
from ilm.models.loss import PLAIN_HEADS, linear_cross_entropy, plain_head


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 8), st.integers(2, 50), st.integers(1, 17), st.integers(0, 1000), st.booleans()
)
def test_loss_and_gradients_are_those_of_plain_cross_entropy(targets, size, vocabulary, chunk, seed, peaked):
    generator = torch.Generator().manual_seed(seed)
    scale = 60.0 if peaked else 1.0  # logits so far apart that the target's probability is 0 in float32
    hidden = (scale * torch.randn(targets, size, generator=generator)).requires_grad_()
    weight = torch.randn(vocabulary, size, generator=generator).requires_grad_()
    wanted = torch.randint(vocabulary, (targets,), generator=generator)
    weights = torch.rand(targets, generator=generator)
    sizes = {"CHUNK_BYTES": {"cpu": chunk * vocabulary * 4}, "SOFTMAX_ROWS": {"cpu": 1 + chunk // 2}}
    with patch.multiple(loss, **sizes):
        total, nll = linear_cross_entropy(hidden, weight, wanted, weights)
    (3.0 * total).backward()
    found = hidden.grad, weight.grad
    hidden.grad = weight.grad = None
    expected = cross_entropy(hidden @ weight.T, wanted, reduction="none")
    (3.0 * (expected * weights).sum()).backward()
    assert torch.allclose(nll, expected, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(found, (hidden.grad, weight.grad), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4 * (1 + float(theirs.abs().max())))


def test_half_precision_arithmetic_sums_in_float32():
    torch.manual_seed(0)
    hidden, weight = torch.randn(300, 32, requires_grad=True), torch.randn(500, 32, requires_grad=True)
    targets = torch.randint(500, (300,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, nll = linear_cross_entropy(hidden, weight, targets)
    total.backward()
    found = weight.grad
    weight.grad = None
    expected = cross_entropy(hidden @ weight.T, targets, reduction="none")
    expected.sum().backward()
    assert nll.dtype == found.dtype == torch.float32
    assert torch.allclose(nll, expected, rtol=0.02, atol=0.1)
    assert (found - weight.grad).norm() < 0.02 * weight.grad.norm()


def test_what_is_frozen_gets_no_gradient():
    hidden, weight = torch.randn(5, 4, requires_grad=True), torch.randn(7, 4)
    linear_cross_entropy(hidden, weight, torch.arange(5))[0].backward()
    assert hidden.grad.abs().sum() > 0
    assert weight.grad is None
    with torch.no_grad():
        assert not linear_cross_entropy(hidden, weight, torch.arange(5))[0].requires_grad


def test_a_second_backward_is_refused():
    hidden = torch.randn(5, 4, requires_grad=True)
    total, _ = linear_cross_entropy(hidden, torch.randn(7, 4), torch.arange(5))
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        total.backward()


@pytest.mark.parametrize("model_type", PLAIN_HEADS)
def test_heads_called_plain_are(model_type):
    """The logits of every architecture of the list are those of its body and its head alone."""
    sizes = {
        "num_hidden_layers": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "vocab_size": 20,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "initializer_range": 0.3,
    }
    config = AutoConfig.for_model(model_type)
    config.update({key: value for key, value in sizes.items() if key in config or key in config.attribute_map})
    model = AutoModelForCausalLM.from_config(config).eval()
    ids, head = torch.arange(12)[None], plain_head(model)
    logits = head(model.base_model(ids).last_hidden_state)
    assert torch.allclose(model(ids).logits, logits, atol=1e-6)


def test_other_heads_take_the_plain_way():
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt2", n_layer=1, n_embd=8, n_head=2, vocab_size=9))
    assert plain_head(model) is model.lm_head
    model.lm_head = torch.nn.Linear(8, 9)
    assert plain_head(model) is None
    gemma = {"num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 16, "vocab_size": 20, "head_dim": 8}
    scaled = AutoConfig.for_model("gemma2", **gemma, num_attention_heads=2, num_key_value_heads=2)
    assert plain_head(AutoModelForCausalLM.from_config(scaled)) is None
