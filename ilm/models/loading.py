"""Loads causal language models, adds the infilling tokens to them, and saves them."""

import copy
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ilm.config.model import Model
from ilm.errors import UserError
from ilm.examples.vocabulary import Vocabulary
from ilm.files import atomic_folder
from ilm.hashing import order_key
from ilm.models.hub import locate, readable
from ilm.models.start_check import cannot_be_trained, require_causal_rows
from ilm.reference.models import is_reference_model, reference_config, reference_model, reference_tokenizer

log = logging.getLogger("ilm")

_NO_TOKENIZER = ". Give a folder such as experiments/NAME/model, or train with another tokenizer: model.tokenizer=gpt2."
_FEWEST_TOKENS = 3  # transformers' placeholder tokenizer has up to two besides the special ones

# Loading takes only seconds, and its progress bars clutter a run's output.
transformers.utils.logging.disable_progress_bar()


def load_tokenizer(path: str, *, package: str | None = None, gguf_file: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder or hub name (see `pretrained_model` for arguments and errors)."""
    location, options = locate(path, package, gguf_file)
    if is_reference_model(location):
        return reference_tokenizer(location)
    with readable(f"{location} holds no model with a tokenizer", _NO_TOKENIZER):
        tokenizer = AutoTokenizer.from_pretrained(location, **options)
    # transformers makes one of special tokens only if a folder has none.
    if len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)) < _FEWEST_TOKENS:
        raise UserError(
            f"{location} has no tokenizer (tokenizer.json, or the vocabulary used instead, is missing or empty). Copy "
            "it from where the model came from, save it there (tokenizer.save_pretrained(FOLDER)), or train with "
            "another: model.tokenizer=gpt2."
        )
    return tokenizer


def brings_tokenizer(path: str) -> bool:
    """Whether a model folder has its own tokenizer, which may include the infilling tokens."""
    return (Path(path) / "tokenizer_config.json").is_file() or is_reference_model(path)


def pretrained_model(path: str, *, package: str | None = None, gguf_file: str | None = None) -> PreTrainedModel:
    """A pretrained causal LM in float32, whatever the dtype of its checkpoint, from a folder or the model hub.

    A folder is in Hugging Face format, or in that of the ILM reference implementation (`ilm.reference.models`).

    `package`: an installed Python package that contains the weights as `gguf_file`; if it is not installed, `path` is
    requested from the hub.

    Raises: UserError, within seconds, if `path` is neither a folder nor cached, and the hub cannot be reached or does
    not have it; also if it is not a causal LM.
    """
    location, options = locate(path, package, gguf_file)
    if is_reference_model(location):
        return reference_model(location)
    with readable(f"No causal language model could be loaded from {location!r}"):
        model = AutoModelForCausalLM.from_pretrained(location, dtype=torch.float32, **options)
    if "gguf_file" in options:
        # The weights are plain floats now, but the model is still marked as quantised and could not be saved.
        model.hf_quantizer, model.is_quantized, model.quantization_method = None, False, None
        model.config.__dict__.pop("quantization_config", None)
    return model


def model_config(model: Model) -> PreTrainedConfig:
    """The configuration of a model, before its vocabulary is known; reads no weights.

    Raises: UserError if its files are neither here nor available from the hub, or its architecture is invalid.
    """
    if model.pretrained or model.architecture is None:
        location, options = locate(model.location, model.package, model.gguf_file)
        if is_reference_model(location):
            return reference_config(location)
        with readable(f"No model configuration could be read from {location!r}"):
            return AutoConfig.from_pretrained(location, **options)
    settings = dict(model.architecture)
    model_type = settings.pop("model_type", None)
    with readable(f"model.architecture (model_type {model_type}) is invalid"):
        default = AutoConfig.for_model(model_type)
        unknown = sorted(set(settings) - set(default.to_dict()) - set(default.attribute_map))
        if unknown:
            raise UserError(f"model.architecture: {model_type} has no setting {', '.join(unknown)}")
        config = AutoConfig.for_model(model_type, **settings)
        with torch.device("meta"):
            AutoModelForCausalLM.from_config(config)
    return config


def initial_model(model: Model, vocabulary: Vocabulary, seed: int, *, new_rows: bool) -> PreTrainedModel:
    """The model that a run starts from: pretrained or random weights, with embedding rows for all tokens.

    `new_rows`: whether the infilling tokens are new to it; their rows are then drawn from `seed`.

    Raises: UserError as `pretrained_model`, if a model that should have the infilling tokens lacks rows, or if it
    cannot be trained here.
    """
    if model.pretrained:
        network = pretrained_model(model.location, package=model.package, gguf_file=model.gguf_file)
    else:
        config, end = model_config(model), vocabulary.tokenizer.eos_token_id
        if model.architecture is not None:
            config.update({"vocab_size": vocabulary.base_size, "bos_token_id": end, "eos_token_id": end})
        network = new_model(config, seed)
    before = network.num_parameters()
    if new_rows:
        try:
            add_special_rows(network, vocabulary, seed)
        except (AttributeError, NotImplementedError, RuntimeError, TypeError) as error:  # no access to embeddings
            raise cannot_be_trained(network, f"no tokens can be added to its embeddings ({error})") from error
    else:
        require_rows(network, vocabulary, model.location)
    require_causal_rows(network)
    log.info("model: %s parameters, %s with the infilling tokens", f"{before:,}", f"{network.num_parameters():,}")
    return network


def average_weights(model: PreTrainedModel, folders: Sequence[Path]) -> None:
    """Set the weights of `model`, loaded from the first of these folders, to the mean over all of them.

    Models fine-tuned separately from the same weights can be averaged (model soups, Wortsman et al. 2022,
    arXiv 2203.05482).
    """
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for number, folder in enumerate(folders[1:], start=2):
            for name, other in pretrained_model(str(folder)).named_parameters():
                weights[name].lerp_(other, 1 / number)


def new_model(config: PreTrainedConfig, seed: int) -> PreTrainedModel:
    """A causal LM with random weights drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(order_key(seed, "weights") % 2**63)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def add_special_rows(model: PreTrainedModel, vocabulary: Vocabulary, seed: int) -> None:
    """Add embedding rows for the infilling tokens to a base model: max(present rows, V + 2 + types), never fewer.

    These rows are drawn from `seed` alone, normal with the model's initializer range (GPT-2: 0.02), so all models of a
    study start from the same ones. Not for a model that already has the infilling tokens, whose rows it would replace.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if rows < vocabulary.size:
        model.resize_token_embeddings(vocabulary.size, mean_resizing=False)
    generator = torch.Generator().manual_seed(order_key(seed, "special tokens") % 2**63)
    scale = getattr(model.config, "initializer_range", 0.02)
    new = slice(vocabulary.base_size, vocabulary.size)
    inputs, outputs = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    for weight in (inputs,) if inputs is outputs else (inputs, outputs):
        drawn = torch.randn(vocabulary.size - vocabulary.base_size, weight.shape[1], generator=generator) * scale
        with torch.no_grad():
            weight[new] = drawn


def require_length(config: PreTrainedConfig, max_length: int, option: str, prefix: int = 0) -> None:
    """Raises: UserError if `max_length` tokens, set by the config key `option`, after `prefix` ones are too many."""
    limit = positions(config)
    if limit is not None and max_length + prefix > limit:
        beside = f" after a prefix of {prefix} tokens" if prefix else ""
        raise UserError(
            f"{option}={max_length}{beside} is more than the {limit} tokens the model can read. "
            f"Type {option}={limit - prefix}."
        )


def positions(config: PreTrainedConfig) -> int | None:
    """The maximum number of tokens a model can read; None without a limit (-1 in XLNet)."""
    limit = getattr(config, "max_position_embeddings", None)
    return limit if limit is not None and limit > 0 else None


def require_rows(model: PreTrainedModel, vocabulary: Vocabulary, path: str | Path) -> None:
    """Raises: UserError if the model of the folder `path` has fewer embedding rows than its vocabulary has tokens."""
    rows = model.get_input_embeddings().weight.shape[0]
    if rows < vocabulary.size:
        raise UserError(
            f"{path}: the model has {rows} embedding rows, but its tokenizer {vocabulary.size} tokens, so they do not "
            "belong together. Take both from the folder that the model was saved to."
        )


def save_model(model: PreTrainedModel, vocabulary: Vocabulary, folder: Path) -> None:
    """Write model and tokenizer in Hugging Face format, for plain `AutoModelForCausalLM.from_pretrained`.

    The tokenizer gets what transformers' pipelines need: a maximum length, and padding on the left, as generation
    requires. No ids change.
    """
    tokenizer = copy.deepcopy(vocabulary.tokenizer)
    tokenizer.model_max_length = positions(model.config) or tokenizer.model_max_length
    tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = "left"  # saved only if set in both
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    with atomic_folder(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
