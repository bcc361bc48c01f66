import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from ilm.examples.layout import Example
from ilm.models.packed_attention import attend, groups_of, replaced_attention
from ilm.models.packing import pack
from ilm.models.scoring import row_loss, score, target_nll
from ilm.models.start_check import require_separate_examples

CPU = torch.device("cpu")
SMALL = {
    "gpt2": {"n_layer": 2, "n_embd": 32, "n_head": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "llama": {
        "num_hidden_layers": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
}


def small_model(model_type: str, **changes):
    torch.manual_seed(3)
    config = AutoConfig.for_model(model_type, **{**SMALL[model_type], "vocab_size": 64, **changes})
    # Larger weights than new ones have, so that what a token sees makes a difference.
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0 if parameter.dim() > 1 else 1.0)
    return model.eval()


def examples_of(lengths, seed: int = 0) -> list[Example]:
    random = np.random.default_rng(seed)
    return [
        Example(
            random.integers(0, 64, length).astype(np.int32),
            random.choice([1, 2, 4, 5], length).astype(np.uint8),
            length,
        )
        for length in lengths
    ]


LENGTHS = [5, 21, 3, 20, 17, 40, 2]


@pytest.mark.parametrize("model_type", SMALL)
def test_a_row_is_what_each_example_is_alone_in_the_models_own_attention(model_type):
    """NLL and gradients, against the plain eager attention of transformers, one example at a time."""
    model = small_model(model_type)
    examples = examples_of(LENGTHS)
    (row,) = pack(examples, sum(LENGTHS))
    nll = target_nll(model, row)
    nll.sum().backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    model.zero_grad()
    model.set_attn_implementation("eager")
    alone = []
    for example in examples:
        ids = torch.from_numpy(example.input_ids.astype(np.int64))[None]
        chosen = np.flatnonzero(np.isin(example.target_types, (1, 4, 5)) & (np.arange(len(example.input_ids)) > 0))
        logits = model(ids, use_cache=False).logits[0, chosen - 1]
        alone.append(torch.nn.functional.cross_entropy(logits, ids[0, chosen], reduction="none"))
    alone = torch.cat(alone)
    alone.sum().backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    assert torch.allclose(nll, alone, atol=1e-5)
    assert torch.allclose(gradient, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("model_type", SMALL)
def test_the_fused_loss_of_a_row_is_the_plain_one(model_type):
    model = small_model(model_type)
    (row,) = pack(examples_of(LENGTHS), sum(LENGTHS))
    weights = torch.linspace(0.1, 1.0, len(row.targets))

    def gradients(loss):
        model.zero_grad()
        loss.backward()
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    plain = (target_nll(model, row) * weights).sum()
    loss, nll = row_loss(model, row, weights)
    assert not nll.requires_grad
    assert torch.allclose(nll, target_nll(model, row), atol=1e-5)
    assert loss.item() == pytest.approx(plain.item(), rel=1e-5)
    expected = gradients(plain)
    assert torch.allclose(gradients(loss), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("model_type", SMALL)
def test_autocast_stays_near_float32(model_type):
    model = small_model(model_type)
    (row,) = pack(examples_of(LENGTHS), sum(LENGTHS))
    exact, nll = row_loss(model, row, torch.full((len(row.targets),), 1 / len(row.targets)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, half = row_loss(model, row, torch.full((len(row.targets),), 1 / len(row.targets)))
    assert loss.dtype == half.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.01)
    assert (half - nll).abs().max() < 0.02 * float(nll.max())
    loss.backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())


def test_the_models_configuration_is_left_as_it_was():
    model = small_model("gpt2")
    before, own = model.config.to_dict(), model.config._attn_implementation
    with replaced_attention(model) as within:
        assert within
        assert model.config._attn_implementation != own
        assert model.config.to_dict() == before
        with pytest.raises(ValueError, match="boundaries"):
            model(torch.zeros(1, 3, dtype=torch.int64))
    assert model.config._attn_implementation == own
    score(model, examples_of([4]), 8, CPU)
    assert model.config.to_dict() == before


def test_an_architecture_with_a_sliding_window_keeps_its_own_attention():
    windowed = AutoConfig.for_model(
        "mistral", **{**SMALL["llama"], "vocab_size": 64, "sliding_window": 8, "num_attention_heads": 4}
    )
    model = AutoModelForCausalLM.from_config(windowed)
    require_separate_examples(model)
    with replaced_attention(model) as within:
        assert not within
    with pytest.raises(ValueError, match="sliding_window"):
        attend(None, *[torch.zeros(1, 1, 2, 4)] * 3, None, cu_seq_lens_q=torch.tensor([0, 2]), sliding_window=8)


def test_attention_dropout_is_a_function_of_the_seed():
    model = small_model("gpt2", attn_pdrop=0.3).train()
    (row,) = pack(examples_of(LENGTHS), sum(LENGTHS))

    def gradient(seed):
        torch.manual_seed(seed)
        model.zero_grad()
        loss, nll = row_loss(model, row, torch.ones(len(row.targets)))
        loss.backward()
        return nll, torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    once, again, other = gradient(1), gradient(1), gradient(2)
    assert torch.equal(once[0], again[0])
    assert torch.equal(once[1], again[1])
    assert not torch.allclose(once[0], other[0])


def test_the_gradient_of_attention_with_dropout_is_that_of_its_forward_pass():
    torch.manual_seed(0)
    parts = [torch.randn(1, 2, 12, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    boundaries = torch.tensor([0, 5, 12], dtype=torch.int32)

    def attention(*parts):
        torch.manual_seed(7)
        return attend(None, *parts, None, dropout=0.25, cu_seq_lens_q=boundaries)[0]

    assert torch.autograd.gradcheck(attention, parts)


def test_dropout_drops_the_share_it_should_and_differs_by_layer_and_group():
    """Two examples of 300 and 100 tokens are two groups; the values are an identity, so the output is the weights."""
    boundaries = torch.tensor([0, 300, 400], dtype=torch.int32)
    query, key = torch.zeros(1, 1, 400, 400), torch.zeros(1, 1, 400, 400)
    value = torch.eye(400)[None, None]
    torch.manual_seed(7)
    layers = [attend(None, query, key, value, None, dropout=0.3, cu_seq_lens_q=boundaries)[0] for _ in range(2)]
    kept = [(weights[0, :, 0] > 0) for weights in layers]
    possible = torch.block_diag(torch.ones(300, 300), torch.ones(100, 100)).tril().bool()
    assert not (kept[0] & ~possible).any()
    assert abs(kept[0][possible].double().mean() - 0.7) < 0.01
    assert 0.5 < (kept[0] == kept[1])[possible].double().mean() < 0.66
    one, other = kept[0][:100, :100], kept[0][300:, 300:]
    assert 0.5 < (one == other)[possible[:100, :100]].double().mean() < 0.66


def test_dropout_keeps_the_mean():
    torch.manual_seed(0)
    parts = [torch.randn(1, 2, 12, 4) for _ in range(3)]
    boundaries = torch.tensor([0, 5, 12], dtype=torch.int32)
    exact = attend(None, *parts, None, cu_seq_lens_q=boundaries)[0]
    drawn = torch.stack([attend(None, *parts, None, dropout=0.2, cu_seq_lens_q=boundaries)[0] for _ in range(2000)])
    assert (drawn.mean(0) - exact).abs().max() < 0.1
    assert drawn.std(0).mean() > 0.05


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_every_token_is_in_one_group(lengths):
    boundaries = (0, *np.cumsum(lengths).tolist())
    groups = groups_of(boundaries, CPU)
    real = [g.tokens.flatten() if g.real is None else g.tokens[g.real[:, :, 0]] for g in groups]
    assert sorted(torch.cat(real).tolist()) == list(range(boundaries[-1]))
    assert sum(g.tokens.numel() for g in groups) <= sum(lengths) / 0.7 + 1
