import json
import os
import pickle
import random
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ilm.config.model import Model
from ilm.errors import UserError
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from ilm.files import read_json
from ilm.infilling.infiller import Infiller
from ilm.models.loading import (
    brings_tokenizer,
    initial_model,
    load_tokenizer,
    model_config,
    new_model,
    pretrained_model,
    require_length,
    save_model,
)
from ilm.reference.models import (
    CONFIG,
    STEP,
    TOKENS,
    WEIGHTS,
    is_reference_model,
    require_exportable,
    write_reference_model,
)
from ilm.reference.unpickle import load_plain
from ilm.runs.trained_model import model_in
from tests.conftest import compose
from tests.infilling.small_models import decoding

torch.set_num_threads(1)

MASK_TYPES = ("document", "paragraph", "sentence", "ngram", "word")
NAMES = ["<|startofinfill|>", "<|endofinfill|>", *(f"<|infill_{mask_type}|>" for mask_type in MASK_TYPES)]
SIZES = {"n_layer": 2, "n_embd": 16, "n_head": 2}
POSITIONS = 64
NOTHING = dict.fromkeys(Model.model_fields) | {"pretrained": False}

# As pytorch_transformers 1.2 wrote it: no model_type, and settings of heads that a language model has not.
OLD_CONFIG = {
    "attn_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "finetuning_task": None,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "n_ctx": POSITIONS,
    "n_positions": POSITIONS,
    **SIZES,
    "num_labels": 1,
    "output_attentions": False,
    "output_hidden_states": False,
    "pruned_heads": {},
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "torchscript": False,
    "use_bfloat16": False,
    "vocab_size": 50257,
}


@pytest.fixture(scope="module")
def trained():
    """A model with random weights large enough to prefer something, and its vocabulary."""
    vocabulary = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
    torch.manual_seed(0)
    config = GPT2Config(**SIZES, n_positions=POSITIONS, vocab_size=vocabulary.size, initializer_range=0.3)
    return GPT2LMHeadModel(config).eval(), vocabulary


def write_reference(folder, model, *, config=OLD_CONFIG, tokens=None, legacy=True, **changed):
    """A model folder as the reference's train_ilm.py leaves it; `changed` entries of the state dict, None removes."""
    folder.mkdir(parents=True, exist_ok=True)
    state = dict(model.state_dict())
    for layer in range(SIZES["n_layer"]):
        state[f"transformer.h.{layer}.attn.bias"] = torch.tril(torch.ones(1, 1, POSITIONS, POSITIONS))
        state[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    state |= changed
    state = {name: value for name, value in state.items() if value is not None}
    torch.save(state, folder / WEIGHTS, _use_new_zipfile_serialization=not legacy)
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    tokens = {50257 + k: name for k, name in enumerate(NAMES)} if tokens is None else tokens
    (folder / TOKENS).write_bytes(pickle.dumps(tokens, protocol=3))
    # What lies beside it and is none of our business.
    (folder / "optimizer.pt").write_bytes(b"anything")
    return str(folder)


def log_probabilities(model) -> torch.Tensor:
    ids = torch.arange(50_200, 50_264)[None]
    with torch.inference_mode():
        return model.eval()(ids).logits.log_softmax(-1)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("config", [OLD_CONFIG, {**OLD_CONFIG, "model_type": "gpt2", "vocab_size": 50264}])
def test_the_same_weights_in_both_formats(trained, tmp_path, legacy, config):
    model, vocabulary = trained
    path = write_reference(tmp_path / "reference", model, config=config, legacy=legacy)
    save_model(model, vocabulary, tmp_path / "ours")
    assert is_reference_model(path)
    assert not is_reference_model(tmp_path / "ours")
    theirs, ours = pretrained_model(path), pretrained_model(str(tmp_path / "ours"))
    assert torch.allclose(log_probabilities(theirs), log_probabilities(ours), atol=1e-5)
    assert theirs.get_output_embeddings().weight is theirs.get_input_embeddings().weight
    assert (theirs.config.vocab_size, theirs.config.eos_token_id) == (50264, 50256)
    tokenizer = load_tokenizer(path)
    assert Vocabulary.of_trained(tokenizer).mask_types == MASK_TYPES
    assert Vocabulary.of_trained(tokenizer).fingerprint == vocabulary.fingerprint
    assert tokenizer("a<|infill_word|>b").input_ids == [64, 50263, 65]
    assert brings_tokenizer(path)
    assert brings_tokenizer(str(tmp_path / "ours"))


def test_it_fills_blanks_as_our_format_does(trained, tmp_path):
    model, vocabulary = trained
    path = write_reference(tmp_path / "reference", model)
    save_model(model, vocabulary, tmp_path / "ours")
    fill = decoding(candidates=2, max_answer_tokens=6)
    [ours] = Infiller.from_pretrained(tmp_path / "ours", "cpu")("She ate [ngram] for _.", fill)
    infiller = Infiller.from_pretrained(path, "cpu")
    [theirs] = infiller("She ate [ngram] for _.", fill)
    assert [(filling.text, filling.token_ids) for filling in theirs] == [(f.text, f.token_ids) for f in ours]
    for mine, other in zip(ours, theirs, strict=True):
        for expected, found in zip(mine.token_log_probabilities, other.token_log_probabilities, strict=True):
            assert found == pytest.approx(expected, abs=1e-5)


def test_rows_may_be_more_than_tokens(trained, tmp_path):
    vocabulary = trained[1]
    larger = GPT2LMHeadModel(GPT2Config(**SIZES, n_positions=POSITIONS, vocab_size=50304))
    path = write_reference(tmp_path, larger)
    loaded = pretrained_model(path)
    assert loaded.get_input_embeddings().weight.shape == (50304, 16)
    assert Infiller(loaded, vocabulary)


HEAD = "lm_head.weight"


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"transformer.h.1.ln_1.weight": None}, r'Missing key\(s\) in state_dict: "transformer\.h\.1\.ln_1\.weight"'),
        ({"transformer.wte.weight": None}, r'Missing key\(s\) in state_dict: "transformer\.wte\.weight"'),
        ({"transformer.h.2.ln_1.weight": torch.ones(16)}, r'Unexpected key\(s\) .*"transformer\.h\.2\.ln_1\.weight"'),
        ({"transformer.ln_f.bias": torch.ones(8)}, r"size mismatch for transformer\.ln_f\.bias"),
        ({HEAD: torch.zeros(50264, 16)}, "lm_head.weight differs"),
        ({"attn.bias": torch.ones(1)}, r'Unexpected key\(s\) .*"attn\.bias"'),
    ],
)
def test_weights_that_are_not_those_of_the_configuration(trained, tmp_path, changed, fault):
    with pytest.raises(UserError, match=fault):
        pretrained_model(write_reference(tmp_path, trained[0], **changed))


def test_fewer_rows_than_tokens(trained, tmp_path):
    """A base model, beside which somebody has put the tokens."""
    base = trained[0].transformer.wte.weight.detach()[:50257].clone()
    path = write_reference(tmp_path, trained[0], **{"transformer.wte.weight": base, HEAD: base})
    with pytest.raises(UserError, match="has 50257 embedding rows, but its tokenizer 50264"):
        model_in(Path(path)).load()
    model = Model(**NOTHING | {"path": path})
    with pytest.raises(UserError, match="has 50257 embedding rows"):
        initial_model(model, trained[1], 0, new_rows=False)
    assert initial_model(model, trained[1], 0, new_rows=True).get_input_embeddings().weight.shape[0] == 50264


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"n_head": 3}, "divisible"),
        ({"attn_pdrop": 5}, "between 0 and 1"),
        ({"layer_norm_epsilon": None}, "layer_norm_epsilon"),
        ({"initializer_range": "x"}, "initializer_range"),
        ({"vocab_size": -3}, "negative dimension"),
    ],
)
def test_configurations_that_no_model_has(trained, tmp_path, changed, fault):
    path = write_reference(tmp_path, trained[0], config={**OLD_CONFIG, **changed})
    for read in (pretrained_model, lambda path: model_config(Model(**{**NOTHING, "path": path}))):
        with pytest.raises(UserError, match=f"is not a GPT-2 configuration: .*{fault}"):
            read(path)


@pytest.mark.parametrize("legacy", [True, False])
def test_damaged_weights_end_in_one_message(trained, tmp_path, legacy):
    path, draw = write_reference(tmp_path, trained[0], legacy=legacy), random.Random(0)
    tensors = {f"t{k}": torch.ones(3, 4) for k in range(3)}
    torch.save(tensors, tmp_path / WEIGHTS, _use_new_zipfile_serialization=not legacy)
    whole = (tmp_path / WEIGHTS).read_bytes()
    for _ in range(40):
        raw = bytearray(whole)
        place = draw.randrange(len(raw))
        raw[place] ^= 1 << draw.randrange(8)
        (tmp_path / WEIGHTS).write_bytes(raw[: draw.choice((place, len(raw)))])
        with pytest.raises(UserError, match=WEIGHTS):
            pretrained_model(path)


def test_a_state_dict_without_the_tied_head(trained, tmp_path):
    loaded = pretrained_model(write_reference(tmp_path, trained[0], **{HEAD: None}))
    assert torch.equal(loaded.lm_head.weight, trained[0].transformer.wte.weight)


class _Malicious:
    def __init__(self, sentinel):
        self.sentinel = sentinel

    def __reduce__(self):
        return os.system, (f"touch {self.sentinel}",)


@pytest.mark.parametrize("legacy", [True, False])
def test_malicious_weights_and_tokens_are_refused(trained, tmp_path, legacy):
    path, sentinel = write_reference(tmp_path / "reference", trained[0]), tmp_path / "ran"
    tokens = (tmp_path / "reference" / TOKENS).read_bytes()
    torch.save(
        {HEAD: _Malicious(sentinel)}, tmp_path / "reference" / WEIGHTS, _use_new_zipfile_serialization=not legacy
    )
    with pytest.raises(UserError, match=r"more than weights \(GLOBAL (posix|nt)\.system\).*was not read"):
        pretrained_model(path)
    (tmp_path / "reference" / TOKENS).write_bytes(pickle.dumps({50257: _Malicious(sentinel)}))
    with pytest.raises(UserError, match=r"found (posix|nt)\.system"):
        load_tokenizer(path)
    assert not sentinel.exists()
    (tmp_path / "reference" / TOKENS).write_bytes(tokens)
    assert load_tokenizer(path)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x03\x04", pickle.dumps({"a": 1}), pickle.dumps([1])])
def test_weights_that_are_none(trained, tmp_path, content):
    path = write_reference(tmp_path, trained[0])
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(UserError, match=WEIGHTS):
        pretrained_model(path)
    torch.save(["no dictionary"], tmp_path / WEIGHTS)
    with pytest.raises(UserError, match="does not hold model weights"):
        pretrained_model(path)


@pytest.mark.parametrize(
    "tokens",
    [
        dict(enumerate(NAMES)),
        {50257 + k: name for k, name in enumerate(NAMES[:2])},
        {50257 + k: name for k, name in enumerate(NAMES[1:])},
        {50257 + 2 * k: name for k, name in enumerate(NAMES)},
        {50257 + k: name for k, name in enumerate([*NAMES, "<|other|>"])},
        {str(50257 + k): name for k, name in enumerate(NAMES)},
        NAMES,
        {},
    ],
)
def test_tokens_that_the_reference_does_not_make(trained, tmp_path, tokens):
    with pytest.raises(UserError, match="does not hold the infilling tokens"):
        load_tokenizer(write_reference(tmp_path, trained[0], tokens=tokens))


def test_files_that_are_missing_or_of_another_model(trained, tmp_path):
    path = write_reference(tmp_path, trained[0])
    (tmp_path / TOKENS).unlink()
    with pytest.raises(UserError, match=r"lacks additional_ids_to_tokens\.pkl.*docs/interchange\.md"):
        load_tokenizer(path)
    for key, value in {"n_embd": "16", "model_type": "bert"}.items():
        path = write_reference(tmp_path, trained[0], config={**OLD_CONFIG, key: value})
        with pytest.raises(UserError, match=f"not a GPT-2 configuration: .*{'model_type bert|' + key}"):
            pretrained_model(path)
    path = write_reference(tmp_path, trained[0], config={k: v for k, v in OLD_CONFIG.items() if k != "n_layer"})
    with pytest.raises(UserError, match="not a GPT-2 configuration: it has no n_layer"):
        pretrained_model(path)
    (tmp_path / CONFIG).write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="is damaged"):
        pretrained_model(path)
    (tmp_path / CONFIG).unlink()
    with pytest.raises(UserError, match=r"no config\.json"):
        pretrained_model(path)


def test_it_can_be_trained_and_started_anew(trained, tmp_path):
    path = write_reference(tmp_path, trained[0])
    model = Model(**NOTHING | {"path": path})
    require_length(model_config(model), POSITIONS, "data.max_length")
    with pytest.raises(UserError, match=f"Type data.max_length={POSITIONS}"):
        require_length(model_config(model), POSITIONS + 1, "data.max_length")
    fresh = new_model(model_config(model), seed=0)
    assert not torch.equal(fresh.transformer.h[0].mlp.c_fc.weight, trained[0].transformer.h[0].mlp.c_fc.weight)


def test_what_is_exported_is_read_again(trained, tmp_path):
    model, vocabulary = trained
    write_reference_model(model, vocabulary, 7, tmp_path / "reference")
    assert sorted(path.name for path in (tmp_path / "reference").iterdir()) == sorted([WEIGHTS, CONFIG, TOKENS, STEP])
    assert load_plain(tmp_path / "reference" / TOKENS) == {50257 + k: name for k, name in enumerate(NAMES)}
    assert load_plain(tmp_path / "reference" / STEP) == 7
    config = read_json(tmp_path / "reference" / CONFIG)
    assert (config["model_type"], config["n_ctx"], config["vocab_size"]) == ("gpt2", POSITIONS, 50264)
    # torch 1.4, of which the reference is, reads no zip archives.
    assert (tmp_path / "reference" / WEIGHTS).read_bytes()[:2] != b"PK"
    again = pretrained_model(str(tmp_path / "reference"))
    assert torch.equal(log_probabilities(again), log_probabilities(model))
    assert load_tokenizer(str(tmp_path / "reference")).get_vocab() == vocabulary.tokenizer.get_vocab()


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"n_inner": 20}, "n_inner is 20"),
        ({"activation_function": "relu"}, "activation_function is relu, not gelu_new"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings"),
    ],
)
def test_models_that_the_reference_cannot_hold(trained, tmp_path, settings, fault):
    with pytest.raises(UserError, match=fault):
        require_exportable(GPT2Config(**SIZES, **settings), trained[1])
    require_exportable(GPT2Config(**SIZES, n_inner=64), trained[1])


@pytest.fixture
def gpt2_run(small, tmp_path):
    """Overrides of a run of two steps that begins with a model folder of the reference."""

    def overrides(path, *more):
        settings = ("experiment=debug", "model=custom", f"model.path={path}", "data.max_length=64", *more)
        return [
            *small,
            *settings,
            "cefr=A1",
            "logger=none",
            "data.num_workers=0",
            "trainer.max_steps=2",
        ]

    return overrides


def test_a_run_goes_on_from_it_and_exports_to_it(trained, gpt2_run, tmp_path):
    from train import train

    path = write_reference(tmp_path / "theirs", trained[0])
    asked = gpt2_run(path, "name=finetuned")
    losses = train(*compose("train", *asked))
    run = tmp_path / "experiments" / "finetuned"
    # The rows it has learnt are kept, no new ones drawn.
    assert read_json(run / "run.json")["identity"]["data.new_rows"] is False
    assert not (run / "reference").exists()
    before = (run / "model" / "model.safetensors").stat().st_mtime_ns
    assert train(*compose("train", *asked, "export_reference=true")) == losses
    assert (run / "model" / "model.safetensors").stat().st_mtime_ns == before
    ours, theirs = pretrained_model(str(run / "model")), pretrained_model(str(run / "reference"))
    assert torch.equal(log_probabilities(ours), log_probabilities(theirs))
    assert not torch.equal(log_probabilities(theirs), log_probabilities(trained[0]))
    assert load_plain(run / "reference" / STEP) in (0, 1, 2)


def test_an_export_that_is_impossible_is_refused_before_training(small, tmp_path):
    from train import train

    with pytest.raises(UserError, match="its tokenizer is not GPT-2's"):
        train(
            *compose(
                "train", *small, "experiment=debug", "cefr=A1", "export_reference=true", "model.tokenizer_size=400"
            )
        )
    assert not (tmp_path / "experiments").exists()
