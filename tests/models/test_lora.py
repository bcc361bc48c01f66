import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from ilm.config.model import Adapter
from ilm.errors import UserError
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from ilm.models import lora as adapters
from ilm.models.loading import add_special_rows, new_model, save_model
from ilm.models.lora import add_lora, merged, require_peft
from ilm.models.start_check import require_separate_examples
from tests.reference_data import MASK_TYPES

ADAPTER = Adapter(rank=4, alpha=8.0, dropout=0.0, target_modules=None)
GPT2 = {"model_type": "gpt2", "n_layer": 2, "n_embd": 16, "n_head": 2, "n_positions": 32}
GPT2 |= {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
LLAMA = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 32}
LLAMA |= {"num_attention_heads": 2, "max_position_embeddings": 32}
ARCHITECTURES = {
    "gpt2": GPT2,
    "llama, tied": {**LLAMA, "tie_word_embeddings": True},
    "llama, untied": {**LLAMA, "tie_word_embeddings": False},
}
BASE = 50257


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(gpt2_tokenizer(), MASK_TYPES)


def base_model(architecture: str, vocabulary: Vocabulary):
    model = new_model(AutoConfig.for_model(**ARCHITECTURES[architecture], vocab_size=BASE), seed=0)
    add_special_rows(model, vocabulary, seed=0)
    return model


def weights(model) -> dict[str, torch.Tensor]:
    """The weights by the names that they have without an adapter."""
    return {
        key.replace(".base_layer", "").replace(".token_adapter", ""): value.clone()
        for key, value in model.state_dict().items()
        if "lora_" not in key and "trainable_tokens" not in key
    }


def train(model, ids: torch.Tensor) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    for _ in range(3):
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_only_the_updates_and_the_new_rows_are_trained(architecture, vocabulary, tmp_path):
    model = base_model(architecture, vocabulary)
    before, ids = weights(model), torch.tensor([[5, BASE + 6, 7, BASE, 9, BASE + 1]])
    logits = model(input_ids=ids).logits
    adapted = add_lora(model, ADAPTER, vocabulary, seed=0)
    assert torch.equal(model(input_ids=ids).logits, logits), "the updates begin at zero"
    require_separate_examples(model)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert all("lora_" in name or "trainable_tokens_delta" in name for name in trained)
    tied = architecture != "llama, untied"
    assert sum("trainable_tokens_delta" in name for name in trained) == (1 if tied else 2)
    train(model, ids)
    assert all(torch.equal(value, before[key]) for key, value in weights(model).items())

    logits = model(input_ids=ids).logits
    assert (logits - model.get_output_embeddings()(model.base_model(input_ids=ids)[0])).abs().max() < 1e-6
    plain = merged(adapted, tmp_path / "adapter")
    assert (plain(input_ids=ids).logits - logits).abs().max() < 1e-5
    after = weights(plain)
    assert set(after) == set(before)
    for key in ("transformer.wte.weight", "model.embed_tokens.weight", "lm_head.weight"):
        if key in after:
            assert torch.equal(after[key][:BASE], before[key][:BASE])
            assert not torch.equal(after[key][BASE:], before[key][BASE:])
    inputs, outputs = plain.get_input_embeddings().weight, plain.get_output_embeddings().weight
    assert (inputs is outputs) is tied
    save_model(plain, vocabulary, tmp_path / "model")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert (again(input_ids=ids).logits - logits).abs().max() < 1e-5
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()


def test_updates_depend_on_the_seed_alone(vocabulary):
    drawn = []
    for global_seed, seed in ((1, 0), (2, 0), (1, 3)):
        model = base_model("gpt2", vocabulary)
        torch.manual_seed(global_seed)
        before = torch.random.get_rng_state()
        add_lora(model, ADAPTER, vocabulary, seed)
        assert torch.equal(torch.random.get_rng_state(), before)
        drawn.append(torch.cat([p.flatten() for name, p in model.named_parameters() if "lora_A" in name]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def adapted_to(*layers: str) -> Adapter:
    return ADAPTER.model_copy(update={"target_modules": list(layers)})


def test_layers_that_are_not_there(vocabulary):
    with pytest.raises(UserError, match=r"target_modules=\['q_prj'\].*Expected some of c_attn, c_fc, c_proj"):
        add_lora(
            base_model("gpt2", vocabulary), ADAPTER.model_copy(update={"target_modules": ["q_prj"]}), vocabulary, seed=0
        )
    chosen = base_model("gpt2", vocabulary)
    add_lora(chosen, adapted_to("c_attn"), vocabulary, seed=0)
    assert sum("lora_A" in name for name, _ in chosen.named_parameters()) == 2


def test_without_the_package(monkeypatch):
    require_peft()
    monkeypatch.setattr(adapters.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package peft: type pip install .*\[lora\]"):
        require_peft()
