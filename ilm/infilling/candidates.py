"""A candidate while it is written, and when it is done."""

import math
from dataclasses import dataclass, field, replace

from ilm.infilling.blanks import Context
from ilm.infilling.constraints import Grammar, Position
from ilm.infilling.token_bytes import begun_character, words_begun


@dataclass(frozen=True)
class Infilling:
    """A text with its K blanks filled.

    `answers` stand in `text` at `spans`, (start, length) in characters. For each answer its `token_ids`, the end token
    with them, and their `token_log_probabilities` in nats under the model itself. `complete`: the model closed every
    answer; otherwise one was closed where the tokens allowed ran out. `left_out`: of a text too long for the model,
    how many characters at its beginning and its end were not read; `text` has them.
    """

    text: str
    answers: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    token_ids: tuple[tuple[int, ...], ...]
    token_log_probabilities: tuple[tuple[float, ...], ...]
    complete: bool
    left_out: tuple[int, int] = (0, 0)

    @property
    def log_probability(self) -> float:
        """Of all answers with their end tokens, given the context, in nats."""
        return math.fsum(self.answer_log_probabilities)

    @property
    def answer_log_probabilities(self) -> tuple[float, ...]:
        """Of each answer with its end token, given the context and the answers before it, in nats."""
        return tuple(map(math.fsum, self.token_log_probabilities))


@dataclass
class OpenSequence:
    """One candidate being written: the answers so far, the last of them open."""

    context: Context
    key: int  # of its draws
    token_ids: list[list[int]]
    log_probabilities: list[list[float]]
    required: bytes  # what the open answer must still begin with
    length: int  # tokens, with the context
    last: int  # token
    steps: int = 0  # tokens written
    has_text: bool = False  # whether the open answer holds more than white space
    begun: bytes = b""  # of a character that it ends inside of
    words: int = 0  # of the open answer
    in_word: bool = False  # whether it ends with one, not with white space
    complete: bool = True
    total: float = field(default=0.0)  # log-probability so far

    @classmethod
    def begin(cls, context: Context, key: int) -> "OpenSequence":
        return cls(context, key, [[]], [[]], context.required(0), len(context.ids), context.ids[-1])

    @property
    def answer(self) -> int:
        """The number of the open answer; K when all are closed."""
        return len(self.token_ids) - 1

    @property
    def finished(self) -> bool:
        return self.answer == len(self.context.types)

    def position(
        self, grammar: Grammar, max_answer_tokens: int, max_answer_words: int | None, max_tokens: float
    ) -> Position:
        """Where the open answer stands. Its end, and the least of each answer to come, must fit."""
        limits, written = self.context.limits[self.answer], len(self.token_ids[-1])
        to_come = sum(grammar.least(self.context, k) + 1 for k in range(self.answer + 1, len(self.context.types)))
        most = max_answer_tokens if limits.max_tokens is None else limits.max_tokens
        most = max(most, grammar.least(self.context, self.answer))
        room = int(min(max_tokens - self.length - 1 - to_come, most - written))
        may_end = self.has_text and not self.required and not self.begun and written >= limits.min_tokens
        may_end = may_end and self.words >= limits.min_words
        missing = max(limits.min_words - self.words, 0)
        most_words = limits.most_words(max_answer_words)
        left = None if most_words is None else most_words - self.words
        return Position(self.required, self.begun, not self.has_text, may_end, room, self.in_word, missing, left)

    def add(self, token: int, log_probability: float, grammar: Grammar) -> None:
        self.token_ids[-1].append(token)
        self.log_probabilities[-1].append(log_probability)
        self.length, self.last, self.steps = self.length + 1, token, self.steps + 1
        self.total += log_probability
        if token == grammar.end:
            self.token_ids.append([])
            self.log_probabilities.append([])
            self.has_text, self.begun, self.words, self.in_word = False, b"", 0, False
            self.required = b"" if self.finished else self.context.required(self.answer)
        else:
            own = grammar.strings.of[token]
            self.words += words_begun(own, self.in_word)
            self.in_word = not own[-1:].isspace()
            read = self.begun + own
            self.begun = begun_character(read) or b""
            self.has_text = self.has_text or bool(read.removesuffix(self.begun).decode().strip())
            self.required = self.required[len(own) :]

    def copy(self) -> "OpenSequence":
        """Another one with the same tokens, to go on otherwise."""
        return replace(
            self,
            token_ids=[ids[:] for ids in self.token_ids],
            log_probabilities=[values[:] for values in self.log_probabilities],
        )

    def answers(self, grammar: Grammar) -> tuple[str, ...]:
        """The closed answers, as they read in the place of their blanks."""
        closed = zip(self.token_ids[:-1], self.context.spaced, strict=False)
        return tuple(grammar.strings.text(ids[:-1])[int(space) :] for ids, space in closed)

    def result(self, grammar: Grammar) -> Infilling:
        """The finished candidate."""
        ids, answers = self.token_ids[:-1], self.answers(grammar)
        text, spans = self.context.fill(answers)
        return Infilling(
            text,
            answers,
            spans,
            tuple(map(tuple, ids)),
            tuple(map(tuple, self.log_probabilities[:-1])),
            self.complete,
            self.context.left_out,
        )
