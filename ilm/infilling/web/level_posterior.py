"""Which level would write this? The log-probability of answers under several models, and what Bayes' rule makes of it.

All models judge the same text. If it is too long for one of them, all read as much of it as that one does, since
more text around an answer makes it likelier.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.special import logsumexp

from ilm.errors import UserError
from ilm.infilling.blanks import NO_LIMITS, Context
from ilm.infilling.infiller import Infiller
from ilm.runs.trained_model import TrainedModel

GENERALIST = "all"


@dataclass(frozen=True)
class Judgement:
    """What a model says of `answers` to the blanks of `context`: the log-probability in nats of each, given those
    before it, or why there is none. Without a context the text could not be read."""

    scores: tuple[float, ...] | str
    answers: Sequence[str] = ()
    context: Context | None = None

    @property
    def score(self) -> float:
        return math.fsum(self.scores)

    def record(self) -> dict[str, Any]:
        """The filled text, where its answers stand, and "log_probability" or "error"."""
        failed = isinstance(self.scores, str)
        record = {"error": self.scores} if failed else {"log_probability": finite_or_none(self.score)}
        if self.context is None:
            return record
        text, spans = self.context.fill(self.answers)
        values = [None] * len(spans) if failed else map(finite_or_none, self.scores)
        answers = [
            {"text": answer, "start": start, "length": length, "log_probability": value}
            for answer, (start, length), value in zip(self.answers, spans, values, strict=True)
        ]
        return record | {"text": text, "answers": answers}


def score(infiller: Infiller, context: Context, answers: Sequence[str], left_out: tuple[int, int]) -> Judgement:
    """The judgement of a model that does not read `left_out` characters at the beginning and the end of the text."""
    before, after = left_out
    try:
        scores = infiller.answer_scores(context.text[before : len(context.text) - after], answers)
    except UserError as error:
        return Judgement(str(error), answers, context)
    if any(map(math.isnan, scores)):
        return Judgement("The model computes NaN: its weights are damaged.", answers, context)
    return Judgement(scores, answers, context)


def judge(
    models: Sequence[TrainedModel],
    read: Callable[[TrainedModel], tuple[str, Sequence[str]]],
    load: Callable[[TrainedModel], Infiller],
    cut: bool,
) -> tuple[list[Judgement], tuple[int, int]]:
    """Of each model its judgement; and how many characters at both ends of the text none has read.

    `read` gives the text with blanks as a model has to be asked, and the answers. `cut`: a text too long for one of the
    models is read in part, by all in the same part; otherwise that one refuses it. No model is held while another is
    loaded: the cache may have to evict it.
    """
    found: dict[str, Judgement] = {}
    left_out = (0, 0)
    for model in models:
        try:
            text, answers = read(model)
            own = Judgement("", answers, _context(load(model), text, answers, cut))
            left_out = max(left_out[0], own.context.left_out[0]), max(left_out[1], own.context.left_out[1])
        except UserError as error:
            own = Judgement(str(error))  # the error itself would hold the model, by its traceback
        found[model.name] = own
    for model in reversed(models):  # the last ones are still in memory
        own = found[model.name]
        if own.context is not None:
            found[model.name] = score(load(model), own.context, own.answers, left_out)
    return [found[model.name] for model in models], left_out


def _context(infiller: Infiller, text: str, answers: Sequence[str], cut: bool) -> Context:
    longest = max(len(infiller.vocabulary.encode(f" {answer}")) for answer in answers)
    return infiller.context(text, [NO_LIMITS] * len(answers), longest + 1 if cut else None)


def level_posterior(scored: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Posterior probabilities of levels that are equally likely beforehand, from (level, log-likelihood in nats).

    A level's likelihood is the mean over its models. The generalist is no level and has no share. Empty for fewer than
    two levels, and where no level gives the answers any probability.
    """
    by_level: dict[str, list[float]] = {}
    for level, value in scored:
        if level != GENERALIST:
            by_level.setdefault(level, []).append(value)
    logs = {level: float(logsumexp(values)) - math.log(len(values)) for level, values in by_level.items()}
    if len(logs) < 2 or max(logs.values()) == -math.inf:
        return {}
    total = logsumexp([*logs.values()])
    return {level: math.exp(value - total) for level, value in logs.items()}


def finite_or_none(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None
