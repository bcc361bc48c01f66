"""Candidates as plain data for the page."""

import math
from collections.abc import Sequence
from typing import Any

from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.candidates import Infilling


def candidate_record(infilling: Infilling, vocabulary: Vocabulary) -> dict[str, Any]:
    """A candidate for the page: its text, and each answer with its place, probability and tokens.

    A token is [text, log-probability in nats]; tokens that make up one character are taken together, and the texts of
    an answer's tokens make up the answer. The last is its end, with an empty text.
    """
    answers = []
    rows = (infilling.answers, infilling.spans, infilling.token_ids, infilling.token_log_probabilities)
    for answer, (start, length), ids, values in zip(*rows, strict=True):
        tokens = [*_token_texts(answer, ids[:-1], values[:-1], vocabulary), ("", values[-1])]
        answers.append(
            {
                "text": answer,
                "start": start,
                "length": length,
                "log_probability": finite_or_none(math.fsum(values)),
                "tokens": [(text, finite_or_none(value)) for text, value in tokens],
            }
        )
    return {
        "text": infilling.text,
        "answers": answers,
        "log_probability": finite_or_none(infilling.log_probability),
        "complete": infilling.complete,
        "left_out": infilling.left_out,
    }


def _token_texts(
    answer: str, ids: Sequence[int], values: Sequence[float], vocabulary: Vocabulary
) -> list[tuple[str, float]]:
    # Decoded behind a token, since some decoders drop a space at the very beginning.
    start = [vocabulary.start_of_infill]
    before, whole = vocabulary.decode(start), vocabulary.decode([*start, *ids])
    found: list[tuple[str, float]] = []
    begin, pending = 0, 0.0
    for number, value in enumerate(values, start=1):
        pending += value
        text = vocabulary.decode([*start, *ids[begin:number]]).removeprefix(before)
        if number == len(ids) or not text.endswith("\ufffd"):
            found.append((text, pending))
            begin, pending = number, 0.0
    if before + "".join(text for text, _ in found) != whole:  # a decoder for which a token's text depends on others
        return [(answer, math.fsum(values))]
    if found and not answer.startswith(found[0][0]):
        # The space that was typed before the blank is part of the first token, but not of the answer.
        found[0] = (found[0][0].removeprefix(" "), found[0][1])
    return found


def finite_or_none(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None
