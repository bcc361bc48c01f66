"""The models of a bench: what is typed, where each is, what it is asked by.

ilm:FOLDER          a run's folder or any folder with an infilling model
mlm:NAME            BERT, RoBERTa, ModernBERT, ...: a folder, or a name on the hub
t5:NAME, bart:NAME  likewise
A1, run names, patterns such as sample_*, or nothing: the finished runs of the prepared corpus
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ilm.errors import UserError
from ilm.evaluation.cloze.answerers import Answerer, Settings
from ilm.evaluation.cloze.decoders import BartAnswerer, InfillingAnswerer, T5Answerer
from ilm.evaluation.cloze.masked import MaskedAnswerer
from ilm.evaluation.cloze.subwords import Pieces
from ilm.hashing import digest, model_fingerprint
from ilm.infilling.infiller import Infiller
from ilm.models.loading import load_tokenizer, locate
from ilm.runs.finder import Finder
from ilm.runs.trained_model import INFILLING, TrainedModel, model_in

log = logging.getLogger("ilm")

KINDS = ("ilm", "mlm", "t5", "bart")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "spiece.model")
T5_TYPES = ("t5", "mt5", "umt5", "longt5")
_FORMS = "ilm:experiments/NAME, mlm:bert-base-uncased, t5:t5-small, bart:facebook/bart-base, or folders after the colon"
_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError)


@dataclass(frozen=True)
class Source:
    """A model before its weights are read: `location` is a folder or a hub name, `typed` how it was asked for.

    `fingerprint`: a digest of its files, the commit on the hub, or a digest of its name where no more is known.
    """

    name: str
    kind: str
    typed: str
    location: str
    options: Mapping[str, Any]
    fingerprint: str
    trained: TrainedModel | None = None  # of the kind ilm

    @property
    def file_name(self) -> str:
        """What its files are called, whatever other models are asked and however it was typed."""
        name = re.sub(r"[^\w.+-]", "_", _short(self.typed))
        return f"{self.kind}_{name}-{self.fingerprint[:12]}"


def find_sources(
    wanted: Sequence[str] | None, experiments: Path, corpus: Path, level: str | None, n_masks: int
) -> list[Source]:
    """The models named by `wanted` (None: all runs on the corpus prepared in the folder `corpus`, of `level` if given).

    Whether each can be asked at all is known afterwards, without its weights having been read.

    Raises: UserError for an unknown kind, a model that is not there or of another kind, or one without the tokens that
    its kind needs, or whose tokenizer is of an unknown form; and as `Finder.find`.
    """
    pairs: list[tuple[str, str]] = []
    infilling: list[str] = []
    for typed in wanted or ():
        kind, colon, path = typed.partition(":")
        if not colon:
            if (Path(typed) / "config.json").is_file():
                _require_infilling(typed)
            infilling.append(typed)
        elif kind not in KINDS or not path:
            raise UserError(f"models: {typed!r} has no kind of {', '.join(KINDS)}. Type one of {_FORMS}.")
        elif kind == "ilm":
            infilling.append(path)
        else:
            pairs.append((kind, path))
    sources = [_source(kind, path, n_masks) for kind, path in pairs]
    if infilling or not pairs:
        found = Finder(experiments, corpus, INFILLING).find(None if wanted is None else infilling, level)
        sources = [*map(_infilling, found), *sources]
    return _named(_different(sources))


def _require_infilling(folder: str) -> None:
    try:
        model_in(Path(folder)).require_infilling()
    except UserError as error:
        raise UserError(f"models: {folder} is a folder of a model of unknown kind. Type one of {_FORMS}.") from error


def _infilling(model: TrainedModel) -> Source:
    model.require_infilling()
    return Source(f"ilm:{model.name}", "ilm", str(model.folder), str(model.path), {}, model.fingerprint(), model)


def _different(sources: Sequence[Source]) -> list[Source]:
    """The sources without those that are the same model as one before."""
    first: dict[tuple[str, str], Source] = {}
    for source in sources:
        same = first.setdefault((source.kind, source.fingerprint), source)
        if same is not source:
            log.warning("asked once: %s:%s is the same model as %s", source.kind, source.typed, same.typed)
    return list(first.values())


def _named(sources: Sequence[Source]) -> list[Source]:
    """The sources with their whole paths for names where the short ones are ambiguous."""
    names = [source.name for source in sources]
    return [
        source if names.count(source.name) == 1 else replace(source, name=f"{source.kind}:{source.typed}")
        for source in sources
    ]


def _short(path: str) -> str:
    parts = [part for part in Path(path).parts if part != "model"]
    return parts[-1] if parts else path


def _source(kind: str, path: str, n_masks: int) -> Source:
    name = f"{kind}:{_short(path)}"
    location, options = locate(path, advice=f"(models=[{kind}:FOLDER])")
    try:
        config = AutoConfig.from_pretrained(location, **options)
    except (*_BROKEN, StrictDataclassError) as error:
        raise UserError(f"models: {kind}:{path} holds no model ({_first_line(error)}). {_EXPECTED[kind]}") from error
    _require_kind(kind, path, config)
    # transformers makes an empty tokenizer up where a folder has none.
    if Path(location).is_dir() and not any((Path(location) / name).is_file() for name in TOKENIZER_FILES):
        raise UserError(
            f"models: {kind}:{path} has no tokenizer (none of {', '.join(TOKENIZER_FILES)}). Copy it from where the "
            "model came from, or save it there: tokenizer.save_pretrained(FOLDER)."
        )
    tokenizer = load_tokenizer(location)
    _tokens(kind, path, tokenizer, n_masks)
    Pieces(tokenizer, len(tokenizer))
    if Path(location).is_dir():
        fingerprint = model_fingerprint(Path(location))
    else:
        fingerprint = getattr(config, "_commit_hash", None) or digest(["of unknown files", path])
    return Source(name, kind, path, location, options, fingerprint)


_EXPECTED = {
    "mlm": "Expected a masked language model such as BERT or RoBERTa: mlm:bert-base-uncased or mlm:FOLDER.",
    "t5": "Expected a T5 or FLAN-T5: t5:t5-small or t5:FOLDER.",
    "bart": "Expected a BART: bart:facebook/bart-base or bart:FOLDER.",
}


def _require_kind(kind: str, path: str, config) -> None:
    is_of_kind = {
        "mlm": type(config) in MODEL_FOR_MASKED_LM_MAPPING and not config.is_encoder_decoder,
        "t5": config.model_type in T5_TYPES,
        "bart": config.model_type == "bart",
    }[kind]
    if not is_of_kind:
        raise UserError(f"models: {kind}:{path} is a {config.model_type} model. {_EXPECTED[kind]}")


def _tokens(kind: str, path: str, tokenizer: PreTrainedTokenizerBase, n_masks: int) -> list[int]:
    """The ids of what stands for blanks: the mask, or sentinels of which there is one more than blanks."""
    if kind != "t5":
        if tokenizer.mask_token_id is None:
            raise UserError(f"models: the tokenizer of {kind}:{path} has no mask token. {_EXPECTED[kind]}")
        return [tokenizer.mask_token_id]
    vocabulary = tokenizer.get_vocab()
    names = [f"<extra_id_{number}>" for number in range(n_masks + 1)]
    if missing := [name for name in names if name not in vocabulary]:
        raise UserError(
            f"models: the tokenizer of {kind}:{path} has no sentinel {missing[0]}, and cloze.n_masks={n_masks} needs "
            f"{n_masks + 1} of them. {_EXPECTED[kind]}"
        )
    return [vocabulary[name] for name in names]


def load(source: Source, settings: Settings, device: torch.device, n_masks: int) -> Answerer:
    """The model of a source, on `device`, in float32, ready to be asked.

    Raises: UserError if its weights are damaged or not all there.
    """
    if source.kind == "ilm":
        return InfillingAnswerer(Infiller.of(source.trained, str(device)), settings)
    tokenizer = load_tokenizer(source.location)
    model = _weights(source).to(device)
    tokens = _tokens(source.kind, source.typed, tokenizer, n_masks)
    if source.kind == "mlm":
        return MaskedAnswerer(model, tokenizer, settings)
    return (
        T5Answerer(model, tokenizer, settings, tokens)
        if source.kind == "t5"
        else BartAnswerer(model, tokenizer, settings)
    )


def _weights(source: Source) -> PreTrainedModel:
    auto = AutoModelForMaskedLM if source.kind == "mlm" else AutoModelForSeq2SeqLM
    try:
        model, report = auto.from_pretrained(
            source.location, dtype=torch.float32, output_loading_info=True, **source.options
        )
    except (*_BROKEN, SafetensorError, StrictDataclassError) as error:
        raise UserError(
            f"models: {source.kind}:{source.typed} could not be loaded ({_first_line(error)}). {_EXPECTED[source.kind]}"
        ) from error
    if model.get_output_embeddings() is None:
        raise UserError(
            f"models: {source.kind}:{source.typed} is a {model.config.model_type} model, whose output is of a form not "
            f"known here. {_EXPECTED[source.kind]}"
        )
    if missing := sorted(report["missing_keys"]):
        raise UserError(
            f"models: {source.kind}:{source.typed} lacks weights ({', '.join(missing[:3])}"
            f"{', ...' if len(missing) > 3 else ''}), which would be drawn at random. {_EXPECTED[source.kind]}"
        )
    return model


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200]
