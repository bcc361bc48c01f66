"""Which level would write this? The log-probability of answers under a model, and the posterior of the levels."""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from scipy.special import logsumexp, softmax

from ilm.errors import UserError
from ilm.infilling.blanks import Context
from ilm.infilling.infiller import Infiller
from ilm.runs.trained_model import TrainedModel

GENERALIST = "all"
# A model with fewer steps or a higher perplexity counts as hardly trained.
FEW_STEPS = 1000
HIGH_PERPLEXITY = 100.0
UNEQUAL = 1.25  # ratio of training targets above which training counts as unequal


def judge(
    infiller: Infiller, context: Context, answers: Sequence[str], assumed: Collection[int] = ()
) -> dict[str, Any]:
    """The filled text, and "answers" with their places and log-probabilities in nats, each given earlier ones.

    "log_probability": of all answers; "error" instead if the model cannot score them. `assumed`: indices of answers
    that are given, not judged.
    """
    text, spans = context.fill(answers)
    record: dict[str, Any] = {"text": text}
    try:
        scores = infiller.answer_scores(context, answers)
        judged = math.fsum(score for number, score in enumerate(scores) if number not in assumed)
        record["log_probability"] = finite_or_none(judged)
    except UserError as error:
        scores, record["error"] = (math.nan,) * len(answers), str(error)
    record["answers"] = [
        {"text": answer, "start": start, "length": length, "log_probability": finite_or_none(score)}
        for number, (answer, (start, length), score) in enumerate(zip(answers, spans, scores, strict=True))
        if number not in assumed
    ]
    return record


def level_posterior(scored: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    """Posterior probabilities of the levels under a uniform prior, from (level, log-likelihood in nats) of each model.

    None is a likelihood of 0.

    A level's likelihood is the mean over its models; the generalist is not a level. Empty for fewer than two levels, or
    if the answers are impossible under all of them.
    """
    by_level: dict[str, list[float]] = {}
    for level, value in scored:
        if level != GENERALIST:
            by_level.setdefault(level, []).append(-math.inf if value is None else value)
    logs = {level: float(logsumexp(values)) - math.log(len(values)) for level, values in by_level.items()}
    if len(logs) < 2 or max(logs.values()) == -math.inf:
        return {}
    return dict(zip(logs, softmax([*logs.values()]).tolist(), strict=True))


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
