"""Which architectures can be written with: those whose cached passes give every token its own probability."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from ilm.errors import UserError
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.infiller import Infiller
from tests.infilling.small_models import ENTRIES, MASK_TYPES, decoding, random_model, vocabulary

ROWS = ENTRIES + 2 + len(MASK_TYPES)
COMMON = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
KNOWN = {
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},  # counts its positions from 2
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    # Keys of another size than values.
    "deepseek_v3": {
        "kv_lora_rank": 16,
        "q_lora_rank": None,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "first_k_dense_replace": 2,
    },
}
UNKNOWN = {
    "mamba": {},  # a state, no attention
    "bert": {},  # looks to the right
    "stablelm": {"num_key_value_heads": 2},  # hands nothing on to its attention
    "gpt_oss": {"num_key_value_heads": 2, "head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1},  # sinks
    "bloom": {"n_head": 4},  # its attention cannot be replaced
}


def small(model_type: str, settings: dict):
    config = AutoConfig.for_model(model_type)
    known = {key: value for key, value in COMMON.items() if key in config or key in config.attribute_map}
    config = AutoConfig.for_model(model_type, **known, **settings, vocab_size=ROWS)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3)
    return model


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return vocabulary()


@pytest.mark.parametrize("model_type", KNOWN)
def test_other_architectures_fill_blanks(model_type, words):
    model = small(model_type, KNOWN[model_type])
    infiller = Infiller(model, words)
    for result in infiller("She ate [word:2-4 tokens] for _.", decoding(candidates=3, max_answer_tokens=5))[0]:
        context = list(infiller.context("She ate [word:2-4 tokens] for _.").ids)
        answers = [i for ids in result.token_ids for i in ids]
        with torch.no_grad():
            logits = model(torch.tensor([context + answers]), use_cache=False).logits[0].double().log_softmax(-1)
        plain = sum(float(logits[len(context) - 1 + n, i]) for n, i in enumerate(answers))
        assert result.log_probability == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize("model_type", UNKNOWN)
def test_a_model_that_would_write_something_else_is_refused(model_type, words):
    with pytest.raises(UserError, match="cannot fill blanks: its kind of attention is not supported"):
        Infiller(small(model_type, UNKNOWN[model_type]), words)


def test_a_model_in_training_is_written_with_as_one_that_is_not(words):
    model = random_model("gpt2", ROWS)
    infiller = Infiller(model, words)
    expected = infiller("I _ it", decoding(candidates=3, max_answer_tokens=4))
    model.train()
    assert infiller("I _ it", decoding(candidates=3, max_answer_tokens=4)) == expected
    assert model.training
