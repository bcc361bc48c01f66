"""What the page asks for, as plain data in and out: models, candidates, and which level would write an answer.

    GET  /models                                                        -> {"models": [...], "settings": {...}}
    POST /infill  {"model", "text", and settings, all optional}         -> {"text", "answers", "candidates": [...]}
    POST /levels  {"models": [...], "text", "answers" (or in braces)}   -> {"models": [...], "levels": [...]}

Models are loaded when they are first asked; only their tokenizers are read before.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ilm.errors import UserError
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import parse_blanks
from ilm.infilling.decoding import Infiller
from ilm.infilling.folders import infilling_folder
from ilm.infilling.sampling import DecodingSettings
from ilm.infilling.web.marked import read_marked
from ilm.infilling.web.records import candidate_record, number_or_none
from ilm.infilling.web.worker import Worker
from ilm.network.models import load_tokenizer

GENERALIST = "all"
# What a request may ask for at most: one must not keep all others waiting for minutes.
LARGEST = {"candidates": 20, "max_answer_tokens": 512, "seed": 2**53}
SETTINGS: dict[str, tuple[type, bool]] = {  # of DecodingSettings: their type, and whether null is a value
    "candidates": (int, False),
    "temperature": (float, False),
    "top_p": (float, True),
    "top_k": (int, True),
    "greedy": (bool, False),
    "best": (bool, False),
    "distinct": (bool, False),
    "cut": (bool, False),
    "max_answer_tokens": (int, False),
    "seed": (int, False),
}
_SPOKEN = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", list: "a list"}


@dataclass
class ServedModel:
    """A model that may be asked: `level` is what it was trained on, `load` makes the Infiller when first used."""

    name: str
    level: str
    mask_types: tuple[str, ...]
    load: Callable[[], Infiller]
    infiller: Infiller | None = field(default=None, repr=False)


def served_models(folders: Mapping[str, Path], device: str, dtype: str = "float32") -> list[ServedModel]:
    """The models in these folders (runs, or folders in Hugging Face format), their weights unread.

    Raises: UserError for a folder without a model, without infilling tokens, or of a run of another objective.
    """
    return [_served(name, Path(path), device, dtype) for name, path in folders.items()]


def _served(name: str, path: Path, device: str, dtype: str) -> ServedModel:
    folder, run = infilling_folder(path)
    level = name if run is None else run.config["cefr_level"]["name"]
    mask_types = Vocabulary.of_trained(load_tokenizer(str(folder))).mask_types
    return ServedModel(name, level, mask_types, lambda: Infiller.from_pretrained(path, device, dtype))


class WebService:
    """Answers requests with `models`; `defaults` are the settings where a request gives none.

    Safe to be called from many threads: one worker computes for all. `gone` tells whether the asker has left.
    All methods raise UserError for a request that makes no sense, Busy and Abandoned as `Worker.run` does.
    """

    def __init__(self, models: Sequence[ServedModel], defaults: DecodingSettings):
        self._models, self._defaults, self.worker = {model.name: model for model in models}, defaults, Worker()
        self._known_types = tuple(dict.fromkeys(kind for model in models for kind in model.mask_types))

    def models(self) -> dict[str, Any]:
        """The models in their order, and the settings to begin with."""
        found = [
            {"name": m.name, "level": m.level, "blanks": m.mask_types, "loaded": m.infiller is not None}
            for m in self._models.values()
        ]
        return {"models": found, "settings": {name: getattr(self._defaults, name) for name in SETTINGS}}

    def infill(self, request: Mapping[str, Any], gone: Callable[[], bool]) -> dict[str, Any]:
        """Candidates of one model, the likeliest first; answers in braces are taken for blanks."""
        values = _typed(request, {"model": (str, False), "text": (str, False)} | SETTINGS, needed=("model", "text"))
        model, text = self._model(values.pop("model")), values.pop("text")
        if too_large := [name for name, most in LARGEST.items() if values.get(name, 0) > most]:
            raise UserError("; ".join(f"{n}={values[n]}: expected at most {LARGEST[n]}" for n in too_large))
        settings = replace(self._defaults, **values, by_probability=True)
        blanked, answers = read_marked(text, model.mask_types, self._known_types)

        def work(check: Callable[[], None]) -> dict[str, Any]:
            infiller, begun = self._loaded(model), time.perf_counter()
            with _checking(infiller, check):
                found = infiller(blanked, **asdict(settings))[0]
            seconds = time.perf_counter() - begun
            candidates = [candidate_record(infilling, infiller.vocabulary) for infilling in found]
            return {"text": blanked, "answers": answers, "candidates": candidates, "seconds": seconds}

        return self.worker.run(work, gone)

    def levels(self, request: Mapping[str, Any], gone: Callable[[], bool]) -> dict[str, Any]:
        """The log-probability of the answers under every model, and the levels' shares of it (`level_shares`).

        "answers" fill the blanks of "text"; without them they stand in the text, in braces. A model that cannot judge
        them has an "error" in place of its "log_probability".
        """
        values = _typed(
            request, {"models": (list, False), "text": (str, False), "answers": (list, True)}, needed=("models", "text")
        )
        names, text, answers = values["models"], values["text"], values.get("answers")
        if not all(isinstance(item, str) for item in [*names, *(answers or [])]):
            raise UserError("models and answers: expected lists of texts")
        models = [self._model(name) for name in dict.fromkeys(names)]
        if not models:
            raise UserError("No model is chosen. Choose at least one.")

        def work(check: Callable[[], None]) -> dict[str, Any]:
            begun = time.perf_counter()
            records = []
            for model in models:
                check()
                records.append({"model": model.name, "level": model.level} | self._scored(model, text, answers))
            scored = [(r["level"], r["log_probability"]) for r in records if "log_probability" in r]
            return {
                "models": [_finite(record) for record in records],
                "levels": [{"level": level, "share": share} for level, share in level_shares(scored).items()],
                "seconds": time.perf_counter() - begun,
            }

        return self.worker.run(work, gone)

    def _scored(self, model: ServedModel, text: str, answers: Sequence[str] | None) -> dict[str, Any]:
        try:
            if answers is None:
                text, answers = read_marked(text, model.mask_types, self._known_types)
            pieces, types = parse_blanks(text, model.mask_types)[:2]
            kinds = [model.mask_types[kind] for kind in types]
            if not answers:
                raise UserError(
                    "No answer is marked. Put braces around what is to be judged: She ate {pasta} for lunch."
                )
            if len(kinds) != len(answers):
                raise UserError(
                    f"Blanks: {len(kinds)}, answers: {len(answers)}. A text to judge has answers in braces, and no "
                    f"blanks beside; the types of this model are {', '.join(model.mask_types)}."
                )
            score = self._loaded(model).score(text, answers)
            if math.isnan(score):
                raise UserError("The model computes NaN: its weights are damaged, or were when training ended.")
        except UserError as error:
            return {"error": str(error)}
        return {"log_probability": score, "blanks": kinds, "pieces": pieces, "answers": answers}

    def _model(self, name: str) -> ServedModel:
        if name not in self._models:
            raise UserError(f"There is no model {name[:100]!r}. Expected one of {', '.join(self._models)}")
        return self._models[name]

    def _loaded(self, model: ServedModel) -> Infiller:
        """To be called by the worker alone."""
        if model.infiller is None:
            model.infiller = model.load()
        return model.infiller


def level_shares(scored: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Posterior probabilities of levels that are equally likely beforehand, from (level, log-likelihood in nats).

    A level's likelihood is the mean over its models. The generalist is no level and has no share. Empty for fewer than
    two levels, and where no level gives the answers any probability.
    """
    by_level: dict[str, list[float]] = {}
    for level, value in scored:
        if level != GENERALIST:
            by_level.setdefault(level, []).append(value)
    logs = {level: _log_sum_exp(values) - math.log(len(values)) for level, values in by_level.items()}
    total = _log_sum_exp(logs.values())
    return {} if len(logs) < 2 or total == -math.inf else {k: math.exp(v - total) for k, v in logs.items()}


@contextmanager
def _checking(infiller: Infiller, check: Callable[[], None]) -> Iterator[None]:
    """Call `check` before every step of the model, so that what it raises ends the decoding."""
    handle = infiller.model.register_forward_pre_hook(lambda *_: check())
    try:
        yield
    finally:
        handle.remove()


def _typed(
    request: Mapping[str, Any], fields: Mapping[str, tuple[type, bool]], needed: Sequence[str]
) -> dict[str, Any]:
    """The fields of a request in their types.

    Raises: UserError that lists all faults.
    """
    faults = [f"{name} is missing" for name in needed if name not in request]
    values: dict[str, Any] = {}
    for name, value in request.items():
        if name not in fields:
            faults.append(f"unknown field {name[:100]!r}")
            continue
        kind, optional = fields[name]
        kinds = (int, float) if kind is float else (kind,)
        right = isinstance(value, kinds) and (kind is bool or not isinstance(value, bool))
        # JSON's numbers have no size; Python's floats do.
        if right and kind in (int, float) and abs(value) > 1e300:
            right = False
        if (value is None and optional) or right:
            values[name] = value
        else:
            faults.append(f"{name}: expected {_SPOKEN[kind]}{' or null' if optional else ''}")
    if faults:
        raise UserError("; ".join(faults))
    return values


def _log_sum_exp(logs: Iterable[float]) -> float:
    values = list(logs)
    largest = max(values, default=-math.inf)
    return largest if math.isinf(largest) else largest + math.log(math.fsum(math.exp(v - largest) for v in values))


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    return record | (
        {"log_probability": number_or_none(record["log_probability"])} if "log_probability" in record else {}
    )
