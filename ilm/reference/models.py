"""Model folders of the reference: a GPT-2 with infilling tokens, as saved and read by its train_ilm.py.

    pytorch_model.bin               the state dict, saved by torch 1.x; `attn.bias` is a causal mask, not a weight
    config.json                     of transformers 2.7 or pytorch_transformers 1.2; the latter has no model_type
    additional_ids_to_tokens.pkl    a dict: id -> infilling token
    step.pkl                        an int; train_ilm.py loads the weights only if this file exists

The tokenizer is always GPT-2's and not in the folder. Other files (optimizer.pt, *.npy) are ignored.
"""

import pickle
import re
from functools import cache
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerBase

from ilm.errors import UserError
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import END_OF_INFILL, START_OF_INFILL, Vocabulary, blank_token
from ilm.files import atomic_folder, read_object, write_json
from ilm.reference.unpickle import load_plain

WEIGHTS, CONFIG, TOKENS, STEP = "pytorch_model.bin", "config.json", "additional_ids_to_tokens.pkl", "step.pkl"

# Keys of both configuration versions; the others concern heads that the reference does not have.
_KEYS = ("n_embd", "n_head", "n_layer", "n_positions")
_OPTIONAL_KEYS = ("attn_pdrop", "embd_pdrop", "initializer_range", "layer_norm_epsilon", "resid_pdrop")
_END_OF_TEXT = 50_256  # the last entry of GPT-2's tokenizer
_ENDS = {"bos_token_id": _END_OF_TEXT, "eos_token_id": _END_OF_TEXT}
# Values fixed in the reference's version of GPT-2.
_FIXED = {
    "activation_function": "gelu_new",
    "add_cross_attention": False,
    "reorder_and_upcast_attn": False,
    "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True,
    "tie_word_embeddings": True,
}
_NO_WEIGHTS = re.compile(r"transformer\.h\.\d+\.attn\.(bias|masked_bias)")
_BLANK = re.compile(r"<\|infill_(.+)\|>")


def is_reference_model(folder: str | Path) -> bool:
    """Whether a folder holds a model in the reference's format rather than in Hugging Face format."""
    folder = Path(folder)
    if not (folder / WEIGHTS).is_file() or (folder / "tokenizer_config.json").is_file():
        return False
    return (folder / TOKENS).is_file() or "model_type" not in _json(folder)


def reference_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """GPT-2's tokenizer with the infilling tokens of a reference model folder.

    Raises: UserError if they are missing or not the reference's: start, end, blanks, from id 50,257 on.
    """
    path = Path(folder) / TOKENS
    if not path.is_file():
        raise UserError(
            f"{folder} lacks {TOKENS}, which defines the tokens after GPT-2's. Copy it from where the model was "
            "trained; docs/interchange.md shows how to write it for a model trained with hierarchical masking."
        )
    tokens, first = load_plain(path), _END_OF_TEXT + 1
    texts = tokens.values() if isinstance(tokens, dict) else ()
    blanks = [match[1] for text in texts if isinstance(text, str) and (match := _BLANK.fullmatch(text))]
    names = [START_OF_INFILL, END_OF_INFILL, *map(blank_token, blanks)]
    if not blanks or tokens != dict(enumerate(names, start=first)):
        raise UserError(
            f"{path} does not hold the infilling tokens: expected a dictionary from ids, {first} and up, to "
            f"{START_OF_INFILL}, {END_OF_INFILL} and a token such as {blank_token('word')} for every mask type. Take "
            "it from the model's folder."
        )
    tokenizer = gpt2_tokenizer()
    tokenizer.name_or_path = str(folder)
    return Vocabulary(tokenizer, blanks).tokenizer


def reference_config(folder: str | Path) -> GPT2Config:
    """The configuration of a reference model folder; its vocabulary size may be that of the base model.

    Raises: UserError if it is not a GPT-2 configuration.
    """
    values = {"vocab_size": _END_OF_TEXT + 1, **_json(Path(folder))}
    known = {key: values[key] for key in (*_KEYS, *_OPTIONAL_KEYS, "vocab_size") if key in values}
    try:
        if (kind := values.get("model_type", "gpt2")) != "gpt2":
            raise ValueError(f"it has model_type {kind}")
        if missing := [key for key in _KEYS if key not in known]:
            raise ValueError(f"it has no {', '.join(missing)}")
        config = GPT2Config(**known, **_ENDS)
        _without_weights(config)
    except (TypeError, ValueError, RuntimeError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{Path(folder) / CONFIG} is not a GPT-2 configuration: {reason}") from error
    return config


def reference_model(folder: str | Path) -> PreTrainedModel:
    """The model of a reference folder in float32, with as many embedding rows as its file has.

    Raises: UserError if the weights cannot be read safely, or do not match the configuration exactly.
    """
    path, config = Path(folder) / WEIGHTS, reference_config(folder)
    weights = {name: value for name, value in _weights(path).items() if not _NO_WEIGHTS.fullmatch(name)}
    rows = weights.get("transformer.wte.weight")
    if rows is not None and rows.dim() == 2:
        config.vocab_size = rows.shape[0]
        weights.setdefault("lm_head.weight", rows)
    try:
        _without_weights(config).load_state_dict(weights, assign=True)
        if not torch.equal(weights["lm_head.weight"], weights["transformer.wte.weight"]):
            raise ValueError("lm_head.weight differs from transformer.wte.weight, which it is tied to")
    except (RuntimeError, ValueError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:500]
        raise UserError(
            f"{path} does not match the GPT-2 of its config.json: {reason}. Take both files from the same model."
        ) from error
    weights = {name: value.to(torch.float32) for name, value in weights.items()}
    return GPT2LMHeadModel.from_pretrained(None, config=config, state_dict=weights, dtype=torch.float32)


def require_exportable(config: Any, vocabulary: Vocabulary) -> None:
    """Raises: UserError if the reference could not load a model with this configuration and vocabulary."""
    faults = []
    if config.model_type != "gpt2":
        faults.append(f"its architecture is {config.model_type}, not gpt2")
    else:
        faults += [
            f"its {key} is {getattr(config, key)}, not {value}"
            for key, value in _FIXED.items()
            if getattr(config, key) != value
        ]
        if config.n_inner not in (None, 4 * config.n_embd):
            faults.append(f"its n_inner is {config.n_inner}, not 4 x n_embd")
    if vocabulary.fingerprint != _gpt2_fingerprint():
        faults.append("its tokenizer is not GPT-2's")
    if faults:
        raise UserError(
            f"export_reference=true: the reference implementation cannot load this model: {'; '.join(faults)}. Choose "
            "model=gpt2 (or -medium, -large, -xl), or drop the export."
        )


def write_reference_model(model: PreTrainedModel, vocabulary: Vocabulary, step: int, folder: Path) -> None:
    """Write `folder` in the reference's format, readable by torch 1.4 and transformers 2.7; `step`: training steps.

    Raises: UserError as `require_exportable`.
    """
    require_exportable(model.config, vocabulary)
    rows = model.get_input_embeddings().weight.shape[0]
    settings = {key: getattr(model.config, key) for key in (*_KEYS, *_OPTIONAL_KEYS)}
    settings |= {"n_ctx": model.config.n_positions, "vocab_size": rows}
    special = range(vocabulary.base_size, vocabulary.size)
    tokens = dict(zip(special, vocabulary.tokenizer.convert_ids_to_tokens(list(special)), strict=True))
    weights = {name: value.detach().cpu().to(torch.float32) for name, value in model.state_dict().items()}
    with atomic_folder(folder) as temporary:
        torch.save(weights, temporary / WEIGHTS, _use_new_zipfile_serialization=False)
        write_json(
            temporary / CONFIG, {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", **_ENDS, **settings}
        )
        (temporary / TOKENS).write_bytes(pickle.dumps(tokens, protocol=3))
        (temporary / STEP).write_bytes(pickle.dumps(step, protocol=3))


def _without_weights(config: GPT2Config) -> GPT2LMHeadModel:
    """A GPT-2 on the meta device. Raises: ValueError if the configuration is invalid."""
    with torch.device("meta"):
        return GPT2LMHeadModel(config)


@cache
def _gpt2_fingerprint() -> str:
    return Vocabulary(gpt2_tokenizer(), ()).fingerprint


def _json(folder: Path) -> dict[str, Any]:
    try:
        values = read_object(folder / CONFIG)
    except FileNotFoundError:
        raise UserError(f"{folder} holds {WEIGHTS}, but no {CONFIG}. Take both from the same model.") from None
    if values is None:
        raise UserError(f"{folder / CONFIG} is damaged. Take it from the model's folder again.")
    return values


def _weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        weights = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        what = re.search(r"(GLOBAL \S+|Unsupported \w+ \S+|[Cc]an only [^.]+)", str(error))
        raise UserError(
            f"{path} holds more than weights ({what[0] if what else 'it is damaged'}); it was not read, since it could "
            "execute code. Take the file from a source you trust."
        ) from error
    except Exception as error:  # torch.load raises almost anything for a truncated or corrupt file
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"{path} is damaged or not a weights file ({reason}). Get it again from its source.") from error
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in weights.items()
    ):
        raise UserError(f"{path} does not hold model weights. Give the file saved by train_ilm.py.")
    return dict(weights)
