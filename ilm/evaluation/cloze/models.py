"""Finds the models of a cloze test, checks that they can fill blanks, and loads them.

ilm:FOLDER          a run's folder or any folder with an infilling model
mlm:NAME            BERT, RoBERTa, ModernBERT, ...: a folder or a name on the hub
t5:NAME, bart:NAME  likewise
A1, sample_*, ...   infilling models, as `ilm.runs.finder` finds them; none named: all runs on the corpus
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ilm.config.evaluate import Cloze
from ilm.errors import UserError
from ilm.evaluation.cloze.base import ClozeModel
from ilm.evaluation.cloze.masked_lm import MaskedLM
from ilm.evaluation.cloze.prefix_lm import InfillingLM
from ilm.evaluation.cloze.seq2seq import T5, Bart
from ilm.evaluation.cloze.subwords import Subwords
from ilm.hashing import digest, model_fingerprint
from ilm.infilling.infiller import Infiller
from ilm.models.hub import locate, readable
from ilm.models.loading import load_tokenizer
from ilm.runs.finder import Finder
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")

KINDS = ("ilm", "mlm", "t5", "bart")
T5_TYPES = ("t5", "mt5", "umt5", "longt5")
_FORMS = "ilm:experiments/NAME, mlm:bert-base-uncased, t5:t5-small, bart:facebook/bart-base, or folders after the colon"


@dataclass(frozen=True)
class ModelSpec:
    """A model whose weights are not loaded yet; `path` is as typed, `location` a folder or a hub name.

    `fingerprint` is a digest of its files, the commit on the hub, or a digest of its name if nothing else is known.
    """

    name: str
    kind: str
    path: str
    location: str
    options: Mapping[str, Any]  # of from_pretrained
    fingerprint: str
    trained: TrainedModel | None = None  # of the kind ilm

    @property
    def file_name(self) -> str:
        """The name of its predictions' files, however it was typed and whatever else is evaluated."""
        name = re.sub(r"[^\w.+-]", "_", _short(self.path))
        return f"{self.kind}_{name}-{self.fingerprint[:12]}"


def find_models(names: Sequence[str] | None, finder: Finder, level: str | None, n_masks: int) -> list[ModelSpec]:
    """The models that `names` mean (None: all runs that `finder` finds, of `level` if given).

    They are checked as far as possible without reading weights.

    Raises: UserError for an unknown kind, a model that is missing or of another kind, one that lacks the tokens of its
    kind or has an unsupported tokenizer; and as `Finder.find`.
    """
    pairs: list[tuple[str, str]] = []
    infilling: list[str] = []
    for name in names or ():
        kind, colon, path = name.partition(":")
        if not colon:
            infilling.append(name)
        elif kind not in KINDS or not path:
            raise UserError(f"models: {name!r} has no kind of {', '.join(KINDS)}. Type one of {_FORMS}.")
        elif kind == "ilm":
            infilling.append(path)
        else:
            pairs.append((kind, path))
    specs = [_spec(kind, path, n_masks) for kind, path in pairs]
    if infilling or not pairs:
        specs = [*map(_infilling_spec, finder.find(None if names is None else infilling, level)), *specs]
    return _all_different(specs)


def _infilling_spec(model: TrainedModel) -> ModelSpec:
    model.require_infilling()
    return ModelSpec(f"ilm:{model.name}", "ilm", str(model.folder), str(model.path), {}, model.fingerprint(), model)


def _all_different(specs: Sequence[ModelSpec]) -> list[ModelSpec]:
    """Each model once; if short names are ambiguous, it is named by its whole path."""
    first: dict[tuple[str, str], ModelSpec] = {}
    for spec in specs:
        same = first.setdefault((spec.kind, spec.fingerprint), spec)
        if same is not spec:
            log.warning("evaluated once: %s:%s is the same model as %s", spec.kind, spec.path, same.path)
    names = [spec.name for spec in first.values()]
    return [
        spec if names.count(spec.name) == 1 else replace(spec, name=f"{spec.kind}:{spec.path}")
        for spec in first.values()
    ]


def _short(path: str) -> str:
    parts = [part for part in Path(path).parts if part != "model"]
    return parts[-1] if parts else path


def _spec(kind: str, path: str, n_masks: int) -> ModelSpec:
    name = f"{kind}:{_short(path)}"
    location, options = locate(path, advice=f"(models=[{kind}:FOLDER])")
    with readable(f"models: {kind}:{path} holds no model", f". {_EXPECTED[kind]}"):
        config = AutoConfig.from_pretrained(location, **options)
    _require_kind(kind, path, config)
    tokenizer = load_tokenizer(location)
    _blank_tokens(kind, path, tokenizer, n_masks)
    Subwords(tokenizer, len(tokenizer))
    if Path(location).is_dir():
        fingerprint = model_fingerprint(Path(location))
    else:
        fingerprint = getattr(config, "_commit_hash", None) or digest(["of unknown files", path])
    return ModelSpec(name, kind, path, location, options, fingerprint)


_EXPECTED = {
    "mlm": "Expected a masked language model such as BERT or RoBERTa: mlm:bert-base-uncased or mlm:FOLDER.",
    "t5": "Expected a T5 or FLAN-T5: t5:t5-small or t5:FOLDER.",
    "bart": "Expected a BART: bart:facebook/bart-base or bart:FOLDER.",
}


def _require_kind(kind: str, path: str, config: Any) -> None:
    is_of_kind = {
        "mlm": type(config) in MODEL_FOR_MASKED_LM_MAPPING and not config.is_encoder_decoder,
        "t5": config.model_type in T5_TYPES,
        "bart": config.model_type == "bart",
    }[kind]
    if not is_of_kind:
        raise UserError(f"models: {kind}:{path} is a {config.model_type} model. {_EXPECTED[kind]}")


def _blank_tokens(kind: str, path: str, tokenizer: PreTrainedTokenizerBase, n_masks: int) -> list[int]:
    """The ids of the tokens that stand for blanks: the mask, or one sentinel more than blanks."""
    if kind != "t5":
        if tokenizer.mask_token_id is None:
            raise UserError(f"models: the tokenizer of {kind}:{path} has no mask token. {_EXPECTED[kind]}")
        return [tokenizer.mask_token_id]
    vocabulary = tokenizer.get_vocab()
    names = [f"<extra_id_{number}>" for number in range(n_masks + 1)]
    if missing := [name for name in names if name not in vocabulary]:
        raise UserError(
            f"models: the tokenizer of {kind}:{path} has no sentinel {missing[0]}, and task.n_masks={n_masks} needs "
            f"{n_masks + 1} of them. {_EXPECTED[kind]}"
        )
    return [vocabulary[name] for name in names]


def load_model(spec: ModelSpec, options: Cloze, device: torch.device) -> ClozeModel:
    """The model on `device`, in float32.

    Raises: UserError if its weights are damaged or incomplete.
    """
    if spec.kind == "ilm":
        return InfillingLM(Infiller.from_pretrained(spec.location, str(device)), options)
    tokenizer = load_tokenizer(spec.location)
    model = _pretrained(spec).to(device)
    if spec.kind == "mlm":
        return MaskedLM(model, tokenizer, options)
    if spec.kind == "bart":
        return Bart(model, tokenizer, options)
    return T5(model, tokenizer, options, _blank_tokens(spec.kind, spec.path, tokenizer, options.n_masks))


def _pretrained(spec: ModelSpec) -> PreTrainedModel:
    auto = AutoModelForMaskedLM if spec.kind == "mlm" else AutoModelForSeq2SeqLM
    typed, expected = f"models: {spec.kind}:{spec.path}", _EXPECTED[spec.kind]
    with readable(f"{typed} could not be loaded", f". {expected}"):
        model, report = auto.from_pretrained(
            spec.location, dtype=torch.float32, output_loading_info=True, **spec.options
        )
    if model.get_output_embeddings() is None:
        raise UserError(f"{typed} is a {model.config.model_type} model without output embeddings. {expected}")
    if missing := sorted(report["missing_keys"]):
        listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise UserError(f"{typed} lacks weights ({listed}), which would be drawn at random. {expected}")
    return model
