"""Which level would write this? The log-probability of answers under several models, and what Bayes' rule makes of it.

All models judge the same text. If it is too long for one of them, all read as much of it as that one does, since
more text around an answer makes it likelier.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.special import logsumexp

from ilm.errors import UserError
from ilm.infilling.blanks import NO_LIMITS, Context
from ilm.infilling.infiller import Infiller
from ilm.runs.trained_model import TrainedModel

GENERALIST = "all"
# A model that was trained for less, or guesses worse, is called hardly trained.
FEW_STEPS = 1000
HIGH_PERPLEXITY = 100.0
UNEQUAL = 1.25  # times as many targets in training


@dataclass(frozen=True)
class Judgement:
    """What a model says of `answers` to the blanks of `context`: the log-probability in nats of each, given those
    before it, or why there is none.

    Without a context the text could not be read. `assumed`: answers that are not judged, only given.
    """

    scores: tuple[float, ...] | str
    answers: Sequence[str] = ()
    context: Context | None = None
    assumed: Collection[int] = ()

    @property
    def score(self) -> float:
        assert not isinstance(self.scores, str)
        return math.fsum(value for number, value in enumerate(self.scores) if number not in self.assumed)

    def record(self) -> dict[str, Any]:
        """The filled text, where its answers stand, and "log_probability" or "error"."""
        scores = self.scores
        failed = isinstance(scores, str)
        record: dict[str, Any] = {"error": scores} if failed else {"log_probability": finite_or_none(self.score)}
        if self.context is None:
            return record
        text, spans = self.context.fill(self.answers)
        values = [None] * len(spans) if isinstance(scores, str) else [*map(finite_or_none, scores)]
        answers = [
            {"text": answer, "start": start, "length": length, "log_probability": value}
            for number, (answer, (start, length), value) in enumerate(zip(self.answers, spans, values, strict=True))
            if number not in self.assumed
        ]
        return record | {"text": text, "answers": answers}


def score(
    infiller: Infiller,
    context: Context,
    answers: Sequence[str],
    left_out: tuple[int, int],
    assumed: Collection[int] = (),
) -> Judgement:
    """The judgement of a model that does not read `left_out` characters at the beginning and the end of the text."""
    before, after = left_out
    scores: tuple[float, ...] | str
    try:
        scores = infiller.answer_scores(context.text[before : len(context.text) - after], answers, context.told)
    except UserError as error:
        scores = str(error)
    if not isinstance(scores, str) and any(map(math.isnan, scores)):
        scores = "The model computes NaN: its weights are damaged."
    return Judgement(scores, answers, context, assumed)


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
            context = _context(load(model), text, answers, cut)
            own = Judgement("", answers, context)
            left_out = max(left_out[0], context.left_out[0]), max(left_out[1], context.left_out[1])
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


def cautions(models: Sequence[TrainedModel]) -> list[str]:
    """What in the training of models keeps their shares from being about levels: sentences for the reader."""
    found, known = [], [model for model in models if model.run is not None]
    if unknown := [model.name for model in models if model.run is None]:
        found.append(f"How {', '.join(unknown)} were trained is not known; unequal training alone shifts the shares.")
    specialists = [model for model in known if model.level != GENERALIST]
    kinds = [{**model.family, "corpus": model.documents_hash} for model in specialists]
    differing = [key for key in ("model", "masking", "experiment", "corpus") if len({kind[key] for kind in kinds}) > 1]
    if differing:
        found.append(f"The models differ in more than their level ({', '.join(differing)}), and the shares reflect it.")
    seen = sorted((sum(m.trained()[0].status["targets_seen"]["infill"].values()), m.name) for m in specialists)
    if len(seen) > 1 and seen[-1][0] > UNEQUAL * seen[0][0]:
        times = f"{seen[-1][0] / max(seen[0][0], 1):.1f} times as many answer tokens as {seen[0][1]}"
        found.append(f"{seen[-1][1]} was trained on {times}, which alone makes most answers likelier.")
    toys = []
    for model in known:
        status = model.trained()[0].status
        steps, best = status["step"], status["best"]
        perplexity = math.exp(best["infill_textonly"]) if best else math.inf
        if steps < FEW_STEPS or perplexity > HIGH_PERPLEXITY:
            toys.append(f"{model.name} ({steps:,} steps, perplexity of its validation answers {perplexity:,.0f})")
    if toys:
        found.append(f"Hardly trained, so that the shares say next to nothing about levels: {', '.join(toys)}.")
    return found


def finite_or_none(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None
