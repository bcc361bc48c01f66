"""A candidate while it is written, and when it is done."""

import math
from dataclasses import dataclass

import torch

from ilm.infilling.blanks import Context


@dataclass(frozen=True)
class Infilling:
    """A text with its K blanks filled.

    `answers` stand in `text` at `spans`, (start, length) in characters. For each answer its `token_ids`, the end token
    with them, and their `token_log_probabilities` in nats under the model itself. `complete`: the model closed every
    answer; otherwise one was closed where the tokens allowed ran out.
    """

    text: str
    answers: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    token_ids: tuple[tuple[int, ...], ...]
    token_log_probabilities: tuple[tuple[float, ...], ...]
    complete: bool

    @property
    def log_probability(self) -> float:
        """Of all answers with their end tokens, given the context, in nats."""
        return math.fsum(value for values in self.token_log_probabilities for value in values)


@dataclass
class OpenSequence:
    """One candidate being written: the answers so far, the last of them open."""

    context: Context
    generator: torch.Generator
    token_ids: list[list[int]]
    log_probabilities: list[list[float]]
    length: int  # tokens, with the context
    last: int  # token
    has_text: bool = False  # whether the open answer holds more than white space
    complete: bool = True

    @classmethod
    def begin(cls, context: Context, generator: torch.Generator) -> "OpenSequence":
        return cls(context, generator, [[]], [[]], len(context.ids), context.ids[-1])

    @property
    def answer(self) -> int:
        """The number of the open answer; K when all are closed."""
        return len(self.token_ids) - 1

    @property
    def finished(self) -> bool:
        return self.answer == len(self.context.types)

    def add(self, token: int, log_probability: float, is_text: bool) -> None:
        self.token_ids[-1].append(token)
        self.log_probabilities[-1].append(log_probability)
        self.length, self.last = self.length + 1, token
        self.has_text = self.has_text or is_text

    def close(self) -> None:
        self.token_ids.append([])
        self.log_probabilities.append([])
        self.has_text = False
