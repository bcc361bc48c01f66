"""What the page asks for, as plain data in and out: models, candidates, and which level would write an answer.

    GET  /models                                                        -> {"models": [...], "settings", "about"}
    GET  /progress                                                      -> {"jobs": [...]}
    POST /infill  {"model", "text", and settings, all optional}         -> {"text", "answers", "candidates", ...}
    POST /levels  {"models": [...], "text", "answers" (or in braces)}   -> {"models": [...], "levels": [...], ...}

Models are loaded when they are first asked; only their tokenizers are read before.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.infilling.blanks import parse_blanks
from ilm.infilling.infiller import Infiller
from ilm.infilling.model_cache import ModelCache
from ilm.infilling.web.braces import parse_braces
from ilm.infilling.web.level_posterior import AnsweredText, level_posterior, score_answers
from ilm.infilling.web.queue import Job, Worker
from ilm.infilling.web.records import candidate_record
from ilm.infilling.web.schema import INFILL, LEVELS, SETTINGS, read_fields
from ilm.runs.folder import versions
from ilm.runs.trained_model import TrainedModel


class WebService:
    """Answers requests with `models`; `defaults` are the settings where a request gives none.

    `cache` holds those in memory. `about` is what else decides the numbers, for what is saved.
    Safe to be called from many threads: one worker computes for all. `gone` tells whether the asker has left.
    All methods raise UserError for a request that makes no sense, Busy and Abandoned as `Worker.run` does.
    """

    def __init__(
        self,
        models: Sequence[TrainedModel],
        cache: ModelCache,
        defaults: Decoding,
        about: Mapping[str, Any] | None = None,
    ):
        for model in models:
            model.require_infilling()
        self._models, self._defaults = {model.name: model for model in models}, defaults
        self._known_types = tuple(dict.fromkeys(kind for model in models for kind in model.mask_types))
        self._cache, self.worker = cache, Worker()
        self._about = {**(about or {}), "versions": versions(), "max_loaded": cache.max_loaded}

    def models(self) -> dict[str, Any]:
        """The models in their order, the settings to begin with, and what computes."""
        found = [
            {"name": m.name, "level": m.level, "blanks": m.mask_types, "loaded": m in self._cache}
            for m in self._models.values()
        ]
        settings = {name: getattr(self._defaults, name) for name in SETTINGS}
        return {"models": found, "settings": settings, "about": self._about}

    def progress(self) -> dict[str, Any]:
        """The requests under way, in their order; each has the name that its asker gave it in "request"."""
        return {"jobs": self.worker.jobs()}

    def infill(self, request: Mapping[str, Any], gone: Callable[[], bool]) -> dict[str, Any]:
        """Candidates of one model, the likeliest first; answers in braces are taken for blanks.

        "original" is what the model thinks of those answers, if every blank has one.
        """
        values = read_fields(request, INFILL, needed=("model", "text"))
        own_name, model, text = values.pop("request", None), self._model(values.pop("model")), values.pop("text")
        decoding = self._defaults.replace(**values, by_probability=True)
        blanked, answers = parse_braces(text, model.mask_types, self._known_types)

        def work(job: Job) -> dict[str, Any]:
            infiller = self._infiller(model, job)
            job.begin("filling", model.name)
            begun = time.perf_counter()
            with _stepping(infiller, job):
                found = infiller(blanked, decoding)[0]
                original = _original(infiller, model, blanked, answers, found[0].left_out) if answers else None
            return {
                **self._described(model),
                "text": blanked,
                "answers": answers,
                "original": original,
                "candidates": [candidate_record(infilling, infiller.vocabulary) for infilling in found],
                "settings": decoding.model_dump(),
                "seconds": time.perf_counter() - begun,
            }

        return self.worker.run(work, gone, own_name)

    def levels(self, request: Mapping[str, Any], gone: Callable[[], bool]) -> dict[str, Any]:
        """The log-probability of the answers under every model, and the levels' shares of it (`level_posterior`).

        "answers" fill the blanks of "text"; without them they stand in the text, in braces. A model that cannot judge
        them has an "error" in place of its "log_probability". "left_out": characters that no model has read.
        """
        values = read_fields(request, LEVELS, needed=("models", "text"))
        names, text, answers = values["models"], values["text"], values.get("answers")
        if not all(isinstance(item, str) for item in [*names, *(answers or [])]):
            raise UserError("models and answers: expected lists of texts")
        models = [self._model(name) for name in dict.fromkeys(names)]
        if not models:
            raise UserError("No model is chosen. Choose at least one.")
        cut = values.get("cut", self._defaults.cut)

        def work(job: Job) -> dict[str, Any]:
            begun = time.perf_counter()

            def read(model: TrainedModel) -> AnsweredText:
                return AnsweredText.read(text, answers, model.mask_types, self._known_types)

            def take(model: TrainedModel) -> Infiller:
                infiller = self._infiller(model, job)
                job.begin("judging", model.name)
                return infiller

            judged, left_out = score_answers(models, read, take, cut)
            pairs = list(zip(models, judged, strict=True))
            shares = level_posterior((m.level, j.score) for m, j in pairs if j.score is not None)
            return {
                "models": [self._described(model) | judgement.record() for model, judgement in pairs],
                "levels": [{"level": level, "share": share} for level, share in shares.items()],
                "left_out": left_out,
                "seconds": time.perf_counter() - begun,
            }

        return self.worker.run(work, gone, values.get("request"))

    def _described(self, model: TrainedModel) -> dict[str, Any]:
        fingerprint = self._cache.fingerprint(model)
        return {"model": model.name, "level": model.level, "fingerprint": fingerprint}

    def _model(self, name: str) -> TrainedModel:
        if name not in self._models:
            raise UserError(f"There is no model {name[:100]!r}. Expected one of {', '.join(self._models)}")
        return self._models[name]

    def _infiller(self, model: TrainedModel, job: Job) -> Infiller:
        """To be called by the worker alone."""
        if model not in self._cache:
            job.begin("loading", model.name)
        return self._cache.get(model)


def _original(
    infiller: Infiller, model: TrainedModel, text: str, answers: Sequence[str], left_out: tuple[int, int]
) -> dict[str, Any] | None:
    """The answers that stood in the text as one more candidate, read as far as the others, with an "error" at most.

    None where the text has blanks without an answer beside them.
    """
    if len(parse_blanks(text, model.mask_types)[1]) != len(answers):
        return None
    filled = AnsweredText.read(text, answers, model.mask_types, ())
    try:
        record = filled.record(filled.scores(infiller, left_out))
    except UserError as error:
        record = filled.record() | {"error": str(error)}
    return record | {"left_out": left_out}


@contextmanager
def _stepping(infiller: Infiller, job: Job) -> Iterator[None]:
    """Call the job's `step` before every pass of the model, so that what it raises ends the decoding."""
    handle = infiller.model.register_forward_pre_hook(lambda *_: job.step())
    try:
        yield
    finally:
        handle.remove()
