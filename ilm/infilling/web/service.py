"""Computes the answers to the page's requests as plain data: models, candidates, and level posteriors.

Models are loaded on first use; before that, only their tokenizers are.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ilm.config.check import build
from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.examples.conditions import SETTINGS, known_settings
from ilm.infilling.blanks import NO_LIMITS, Context
from ilm.infilling.candidates import Infilling
from ilm.infilling.infiller import Infiller
from ilm.infilling.mixture import Specialists
from ilm.infilling.model_cache import ModelCache
from ilm.infilling.render import whole_characters
from ilm.infilling.web.braces import parse_braces, read_answers
from ilm.infilling.web.level_posterior import cautions, finite_or_none, judge, level_posterior
from ilm.infilling.web.queue import Job
from ilm.infilling.web.schema import InfillRequest, LevelsRequest
from ilm.runs.folder import versions
from ilm.runs.trained_model import TrainedModel


class WebService:
    """Answers requests with `models`; `defaults`: settings that a request does not give.

    `cache`: holds the loaded models. `about`: device and dtype, saved with results. Only one thread may call `infill`
    and `levels`; they raise Abandoned when `job` does, and UserError for an invalid request.

    Raises: UserError for a model that cannot fill blanks, or defaults beyond the bounds of a request.
    """

    def __init__(
        self,
        models: Sequence[TrainedModel | Specialists],
        cache: ModelCache,
        defaults: Decoding,
        about: Mapping[str, Any] | None = None,
    ):
        trained = [model for model in models if not isinstance(model, Specialists)]
        if len(trained) < len(models):
            raise UserError("web=true: the page does not support the mixture. Drop it from models")
        for model in trained:
            model.require_infilling()
        self.defaults = defaults.replace(by_probability=True)
        try:
            build(InfillRequest, model="", text="", **self.defaults.model_dump())
        except UserError as error:
            raise UserError(f"Beyond the bounds of the page: decoding.{error}") from error
        self._models, self._cache = {model.name: model for model in trained}, cache
        self._known_types = tuple(dict.fromkeys(kind for model in trained for kind in model.mask_types))
        self._about = {**(about or {}), "versions": versions(), "max_loaded": cache.max_loaded}

    def models(self) -> dict[str, Any]:
        """The models in order, the default settings, and device, dtype and versions."""
        found = [
            {
                "name": m.name,
                "level": m.level,
                "blanks": m.mask_types,
                "condition": {SETTINGS[field]: values for field, values in m.condition.items()},
                "loaded": m in self._cache,
            }
            for m in self._models.values()
        ]
        return {"models": found, "settings": self.defaults.model_dump(), "about": self._about}

    def infill(self, request: InfillRequest, job: Job) -> dict[str, Any]:
        """Candidates of one model; answers in braces become blanks.

        "original": the probability of those answers; blanks without one are filled as in the first candidate.
        """
        model = self._model(request.model)
        text, answers = parse_braces(request.text, model.mask_types, self._known_types)
        infiller = self._load(model, job, "filling")
        begun = time.perf_counter()
        context = infiller.context(text, decoding=known_settings(infiller.condition, request))
        original = None
        assumed = [number for number, answer in enumerate(answers) if answer is None]
        # `step` raises Abandoned, which ends generation.
        with infiller.model.register_forward_pre_hook(lambda *_: job.step()):
            found = infiller(context, request)[0]
            if len(assumed) < len(answers):
                whole = [own or filled for own, filled in zip(answers, found[0].answers, strict=True)]
                original = judge(infiller, context, whole, assumed)
                original |= {"assumed": assumed, "left_out": context.left_out}
        return {
            **self._described(model),
            "text": text,
            "answers": answers,
            "original": original,
            "candidates": [candidate_record(infilling) for infilling in found],
            "settings": request.model_dump(include={*Decoding.model_fields}),
            "seconds": time.perf_counter() - begun,
        }

    def levels(self, request: LevelsRequest, job: Job) -> dict[str, Any]:
        """The log-probability of the answers under each model, and the levels' shares (`level_posterior`).

        "answers": for the blanks of "text"; if missing, they are in the text, in braces. A model that cannot judge them
        has an "error" instead of a "log_probability". "left_out": characters that no model read: a text too long for
        one model is truncated alike for all, since more context makes an answer likelier.
        """
        begun = time.perf_counter()
        models = [self._model(name) for name in dict.fromkeys(request.models)]
        found: dict[str, dict[str, Any]] = {}
        contexts: dict[str, tuple[Context, Sequence[str]]] = {}
        # No reference to a model is kept while another is loaded, so that the cache can evict it.
        for model in models:
            try:
                contexts[model.name] = self._context(model, request, job)
            except UserError as error:
                found[model.name] = {"error": str(error)}
        before, after = zip((0, 0), *(context.left_out for context, _ in contexts.values()), strict=True)
        left_out = max(before), max(after)
        for model in reversed(models):  # the last are still in memory
            if model.name in contexts:
                context, answers = contexts[model.name]
                row = judge(self._load(model, job, "judging"), replace(context, left_out=left_out), answers)
                if "error" not in row:
                    row |= {"blanked": context.text, "blanks": [model.mask_types[kind] for kind in context.types]}
                found[model.name] = row
        rows = [self._described(model) | found[model.name] for model in models]
        scored = [(row["level"], row["log_probability"]) for row in rows if "error" not in row]
        return {
            "models": rows,
            "levels": [{"level": level, "share": share} for level, share in level_posterior(scored).items()],
            "cautions": cautions(models),
            "left_out": left_out,
            "seconds": time.perf_counter() - begun,
        }

    def _context(self, model: TrainedModel, request: LevelsRequest, job: Job) -> tuple[Context, Sequence[str]]:
        """The text with blanks for a model, and the answers to judge. Raises: UserError if it cannot be read."""
        text, answers = read_answers(request.text, request.answers, model.mask_types, self._known_types)
        infiller = self._load(model, job, "judging")
        longest = max(len(infiller.vocabulary.encode(f" {answer}")) for answer in answers)
        decoding = Decoding(max_answer_tokens=longest + 1, cut=request.cut)
        return infiller.context(text, [NO_LIMITS] * len(answers), decoding), answers

    def _described(self, model: TrainedModel) -> dict[str, Any]:
        return {"model": model.name, "level": model.level, "fingerprint": self._cache.fingerprint(model)}

    def _model(self, name: str) -> TrainedModel:
        if name not in self._models:
            raise UserError(f"No model {name[:100]!r}: expected one of {', '.join(self._models)}")
        return self._models[name]

    def _load(self, model: TrainedModel, job: Job, doing: str) -> Infiller:
        if model not in self._cache:
            job.begin("loading", model.name)
        infiller = self._cache.get(model)
        job.begin(doing, model.name)
        return infiller


def candidate_record(infilling: Infilling) -> dict[str, Any]:
    """A candidate as JSON: its text, and each answer with its place, probability and tokens.

    A token is [text, log-probability in nats]; tokens that share a character are merged, so that the texts concatenate
    to the answer. The last token is the end, with an empty text.
    """
    rows = (infilling.answers, infilling.spans, infilling.token_texts, infilling.token_log_probabilities)
    answers = [
        {
            "text": answer,
            "start": start,
            "length": length,
            "log_probability": finite_or_none(math.fsum(values)),
            "tokens": [(text, finite_or_none(value)) for text, value in whole_characters(texts, values)],
        }
        for answer, (start, length), texts, values in zip(*rows, strict=True)
    ]
    total = finite_or_none(infilling.log_probability)
    about = {name: getattr(infilling, name) for name in ("text", "complete", "left_out")}
    return about | {"log_probability": total, "answers": answers}
