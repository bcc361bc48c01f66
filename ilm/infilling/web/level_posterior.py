"""Which level would write this? The log-probability of answers under several models, and the posterior of the levels.

All models read the same text. If it is too long for one of them, it is truncated alike for all, since more context
makes an answer likelier.
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
# A model with fewer steps or a higher perplexity counts as hardly trained.
FEW_STEPS = 1000
HIGH_PERPLEXITY = 100.0
UNEQUAL = 1.25  # ratio of training targets above which training counts as unequal


@dataclass(frozen=True)
class Judgement:
    """A model's scores of `answers` to the blanks of `context`: the log-probability of each in nats, given earlier
    ones, or why there is none.

    `context`: None if the text could not be read. `assumed`: indices of answers that are given, not judged.
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
        """The filled text, its answers with their places, and "log_probability" or "error"."""
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
    """A model's judgement, without reading the first and last `left_out` characters of the text."""
    before, after = left_out
    scores: tuple[float, ...] | str
    try:
        scores = infiller.answer_scores(context.text[before : len(context.text) - after], answers, context.prefix)
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
    """Each model's judgement, and how many characters at the start and end of the text none of them read.

    `read`: returns the text with blanks for a model, and the answers. `cut`: truncate a text that is too long for a
    model, alike for all; otherwise that model refuses it. No reference to a model is kept while another is loaded, so
    that the cache can evict it.
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
            own = Judgement(str(error))  # the error's traceback would keep the model in memory
        found[model.name] = own
    for model in reversed(models):  # the last are still in memory
        own = found[model.name]
        if own.context is not None:
            found[model.name] = score(load(model), own.context, own.answers, left_out)
    return [found[model.name] for model in models], left_out


def _context(infiller: Infiller, text: str, answers: Sequence[str], cut: bool) -> Context:
    longest = max(len(infiller.vocabulary.encode(f" {answer}")) for answer in answers)
    return infiller.context(text, [NO_LIMITS] * len(answers), longest + 1 if cut else None)


def level_posterior(scored: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Posterior probabilities of the levels under a uniform prior, from (level, log-likelihood in nats) of each model.

    A level's likelihood is the mean over its models; the generalist is not a level. Empty for fewer than two levels, or
    if the answers are impossible under all of them.
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
    """Why the posterior may reflect the models' training rather than levels: sentences for the reader."""
    found, known = [], [model for model in models if model.run is not None]
    if unknown := [model.name for model in models if model.run is None]:
        found.append(f"Of unknown training: {', '.join(unknown)}. Unequal training alone shifts the shares.")
    specialists = [model for model in known if model.level != GENERALIST]
    kinds = [{**model.family, "corpus": model.documents_hash} for model in specialists]
    differing = [key for key in ("model", "masking", "experiment", "corpus") if len({kind[key] for kind in kinds}) > 1]
    if differing:
        found.append(f"The models differ in more than level ({', '.join(differing)}), and the shares reflect that.")
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
            toys.append(f"{model.name} ({steps:,} steps, validation perplexity of answers {perplexity:,.0f})")
    if toys:
        found.append(f"Hardly trained, so the shares say next to nothing about levels: {', '.join(toys)}.")
    return found


def finite_or_none(value: float) -> float | None:
    """The value, or None, since JSON has no infinity."""
    return value if math.isfinite(value) else None
