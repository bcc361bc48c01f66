"""Which level would write this? The log-probability of answers under several models, and what Bayes' rule makes of it.

All models judge the same text. If it is too long for one of them, all read as much of it as that one does, since
more text around an answer makes it likelier.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ilm.errors import UserError
from ilm.infilling.blanks import NO_LIMITS, parse_blanks
from ilm.infilling.infiller import Infiller
from ilm.infilling.web.braces import parse_braces
from ilm.infilling.web.records import finite_or_none
from ilm.runs.trained_model import TrainedModel

GENERALIST = "all"


@dataclass(frozen=True)
class AnsweredText:
    """A text with its blanks, as `parse_blanks` reads it, and an answer to each of the K blanks."""

    text: str
    pieces: tuple[str, ...]  # K + 1
    types: tuple[str, ...]
    answers: tuple[str, ...]

    @classmethod
    def read(
        cls, text: str, answers: Sequence[str] | None, mask_types: Sequence[str], known_types: Collection[str]
    ) -> "AnsweredText":
        """`answers` None: they stand in the text, in braces (see `parse_braces`).

        Raises: UserError if there is no answer, or another number of them than of blanks.
        """
        if answers is None:
            text, answers = parse_braces(text, mask_types, known_types)
        pieces, types, _ = parse_blanks(text, mask_types)
        if not answers:
            raise UserError("No answer is marked. Put braces around what is to be judged: She ate {pasta} for lunch.")
        if len(types) != len(answers):
            raise UserError(
                f"Blanks: {len(types)}, answers: {len(answers)}. A text to judge has answers in braces, and no "
                f"blanks beside; the types of this model are {', '.join(mask_types)}."
            )
        return cls(text, pieces, tuple(mask_types[kind] for kind in types), tuple(answers))

    def unread(self, infiller: Infiller) -> tuple[int, int]:
        """How many characters at the beginning and the end do not fit the model beside the answers.

        Raises: UserError if what stands between the blanks is too long already.
        """
        longest = max(len(infiller.vocabulary.encode(f" {answer}")) for answer in self.answers)
        return infiller.context(self.text, [NO_LIMITS] * len(self.types), longest + 1).left_out

    def scores(self, infiller: Infiller, left_out: tuple[int, int] = (0, 0)) -> tuple[float, ...]:
        """The log-probability of each answer in nats, without those characters of the text.

        Raises: UserError as `Infiller.answer_scores` does, and if one is no number.
        """
        before, after = left_out
        scores = infiller.answer_scores(self.text[before : len(self.text) - after], self.answers)
        if any(map(math.isnan, scores)):
            raise UserError("The model computes NaN: its weights are damaged, or were when training ended.")
        return scores

    def record(self, scores: Sequence[float] | None = None) -> dict[str, Any]:
        """The text with its answers in it, where they stand, and what they scored, as a candidate has them."""
        text, answers = self.pieces[0], []
        for answer, piece in zip(self.answers, self.pieces[1:], strict=True):
            answers.append({"text": answer, "start": len(text), "length": len(answer)})
            text += answer + piece
        if scores is None:
            return {"text": text, "answers": answers}
        for answer, score in zip(answers, scores, strict=True):
            answer["log_probability"] = finite_or_none(score)
        return {"text": text, "answers": answers, "log_probability": finite_or_none(math.fsum(scores))}


@dataclass(frozen=True)
class ModelScore:
    """What a model says of a text: the log-probability of its answers in nats, or the message why there is none.

    `scores` has that of each answer given those before it.
    """

    filled: AnsweredText | None
    scores: tuple[float, ...] | str

    @property
    def score(self) -> float | None:
        """Of all answers; None where there is none."""
        return None if isinstance(self.scores, str) else math.fsum(self.scores)

    def record(self) -> dict[str, Any]:
        """As plain data: the text with its answers, and "log_probability" or "error"."""
        if isinstance(self.scores, str):
            return {"error": self.scores}
        return self.filled.record(self.scores) | {"blanked": self.filled.text, "blanks": self.filled.types}


def score_answers(
    models: Sequence[TrainedModel],
    read: Callable[[TrainedModel], AnsweredText],
    take: Callable[[TrainedModel], Infiller],
    cut: bool,
) -> tuple[list[ModelScore], tuple[int, int]]:
    """What each of the models says, in their order; and how many characters at both ends of the text none has read.

    `read` gives the text as a model has to be asked, `take` the model; either may raise UserError. `cut`: a text too
    long for one of the models is read in part, by all in the same part; otherwise that one refuses it. No model is held
    while another is taken: it may have to be put away for that one.
    """
    filled: dict[str, AnsweredText] = {}
    scores: dict[str, tuple[float, ...] | str] = {}
    left_out = (0, 0)

    def first_reading(model: TrainedModel) -> None:
        nonlocal left_out
        own = filled[model.name] = read(model)
        infiller = take(model)
        unread = own.unread(infiller) if cut else (0, 0)
        left_out = max(left_out[0], unread[0]), max(left_out[1], unread[1])
        if not any(left_out):
            scores[model.name] = own.scores(infiller)

    def second_reading(model: TrainedModel) -> None:
        scores[model.name] = filled[model.name].scores(take(model), left_out)

    for model in models:
        _or_why_not(first_reading, model, scores)
    for model in models if any(left_out) else ():
        if not isinstance(scores.get(model.name), str):
            _or_why_not(second_reading, model, scores)
    return [ModelScore(filled.get(model.name), scores[model.name]) for model in models], left_out


def _or_why_not(
    reading: Callable[[TrainedModel], None], model: TrainedModel, scores: dict[str, tuple[float, ...] | str]
) -> None:
    try:
        reading(model)
    except UserError as error:
        scores[model.name] = str(error)  # the error itself would hold the model, by its traceback


def level_posterior(scored: Iterable[tuple[str, float]]) -> dict[str, float]:
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


def _log_sum_exp(logs: Iterable[float]) -> float:
    values = list(logs)
    largest = max(values, default=-math.inf)
    return largest if math.isinf(largest) else largest + math.log(math.fsum(math.exp(v - largest) for v in values))
