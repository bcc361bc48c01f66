"""Which families of models can be trained here: each as a tiny model with random weights, as a run starts from it."""

from typing import Any

import pytest
import torch
from transformers import AutoConfig

from ilm.config.model import Model
from ilm.errors import UserError
from ilm.models.loading import initial_model
from ilm.models.packing import pack
from ilm.models.scoring import row_loss
from ilm.models.start_check import FAMILIES
from tests.infilling.small_models import ENTRIES, vocabulary
from tests.reference_data import evaluation_examples

REFUSED = {
    **dict.fromkeys(
        ("bert", "roberta", "electra", "megatron-bert", "rembert", "roformer", "big_bird", "xlnet"),
        "a token sees those after it",
    ),
    **dict.fromkeys(
        ("bart", "bloom", "mamba", "falcon", "openai-gpt"), "examples packed into one row .*see each other|end in"
    ),
    "stablelm": "two examples in a row end in ValueError",
}


def architecture(model_type: str) -> dict[str, Any]:
    """The smallest model of a family: two layers of two heads of 16."""
    default = AutoConfig.for_model(model_type)
    known, names = default.to_dict(), default.attribute_map
    sizes = dict.fromkeys(("hidden_size", "embedding_size", "d_model", "word_embed_proj_dim"), 32)
    sizes |= dict.fromkeys(("num_hidden_layers", "num_attention_heads", "num_key_value_heads"), 2)
    sizes |= dict.fromkeys(("encoder_layers", "decoder_layers"), 2)
    sizes |= dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
    sizes |= dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "dff", "d_inner"), 64)
    sizes |= dict.fromkeys(("input_embedding_size", "output_embedding_size"), 32)
    sizes |= {"head_dim": 16, "d_head": 16, "max_position_embeddings": 512, "rotary_dim": 8}
    settings = {names.get(key, key): value for key, value in sizes.items() if names.get(key, key) in known}
    if model_type == "gpt_neo":
        settings["attention_types"] = [[["global", "local"], 1]]
    tokens = {key: 0 for key in ("pad_token_id", "bos_token_id", "eos_token_id") if key in known}
    return {"model_type": model_type, **settings, **tokens}


def started(model_type: str):
    fields = dict.fromkeys(Model.model_fields) | {"name": "x", "tokenizer": "gpt2", "pretrained": False}
    fields["architecture"] = architecture(model_type)
    return initial_model(Model(**fields), vocabulary(), 0, new_rows=True)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_family_that_works(model_type):
    model = started(model_type)
    ids = [example._replace(input_ids=example.input_ids % ENTRIES) for example in evaluation_examples()[:2]]
    (row,) = pack(ids, 512)
    loss, _ = row_loss(model, row, torch.ones(len(row.targets)))
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("model_type", REFUSED)
def test_a_family_that_does_not_is_one_line(model_type):
    with pytest.raises(UserError, match=REFUSED[model_type]) as caught:
        started(model_type)
    message = str(caught.value)
    assert f"(model_type {model_type}) cannot be trained here" in message
    assert "Known to work: gpt2, " in message
    assert "\n" not in message
