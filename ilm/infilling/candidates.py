"""Candidates during generation, and the finished infillings."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ilm.config.infill import Decoding
from ilm.infilling.blanks import Context
from ilm.infilling.constraints import AnswerConstraints, ConstraintState
from ilm.infilling.token_bytes import TokenBytes, count_words, partial_character

MAX_ROUNDS = 8  # rounds of `candidates` draws in search of distinct ones


@dataclass(frozen=True)
class Infilling:
    """A text with its K blanks filled.

    `answers` are in `text` at `spans`, (start, length) in characters. For each answer: `token_ids`, including the end
    token; `token_log_probabilities`, in nats under the unconstrained model; `token_texts`, which concatenate to the
    answer (a character of several tokens belongs to the last of them, and the end token has no text). `complete`: the
    model closed every answer itself; otherwise at least one was closed by the token limit. `left_out`: characters at
    the start and end of a long text that the model did not read; `text` includes them.
    """

    text: str
    answers: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    token_ids: tuple[tuple[int, ...], ...]
    token_log_probabilities: tuple[tuple[float, ...], ...]
    token_texts: tuple[tuple[str, ...], ...]
    complete: bool
    left_out: tuple[int, int] = (0, 0)

    @property
    def log_probability(self) -> float:
        """Log-probability of all answers with end tokens, given the context, in nats."""
        return math.fsum(self.answer_log_probabilities)

    @property
    def answer_log_probabilities(self) -> tuple[float, ...]:
        """Log-probability of each answer with its end token, given the context and earlier answers, in nats."""
        return tuple(map(math.fsum, self.token_log_probabilities))


# Returns, for each context, the candidates with the given numbers.
Sample = Callable[[Sequence[tuple[Context, Sequence[int]]], Decoding], list[list[Infilling]]]


def draw(contexts: Sequence[Context], decoding: Decoding, sample: Sample) -> list[list[Infilling]]:
    """The candidates of each context, in the order of their numbers; with `distinct`, no text twice."""
    if decoding.method == "greedy" or not decoding.distinct:
        numbers = range(1 if decoding.method == "greedy" else decoding.candidates)
        return sample([(context, numbers) for context in contexts], decoding)
    different: list[dict[tuple[str, ...], Infilling]] = [{} for _ in contexts]
    for first in range(0, MAX_ROUNDS * decoding.candidates, decoding.candidates):
        if not (short := [number for number, own in enumerate(different) if len(own) < decoding.candidates]):
            break
        numbers = range(first, first + decoding.candidates)
        more = sample([(contexts[number], numbers) for number in short], decoding)
        for number, infillings in zip(short, more, strict=True):
            for infilling in infillings:
                different[number].setdefault(infilling.answers, infilling)
    return [[*own.values()][: decoding.candidates] for own in different]


@dataclass
class GeneratedSequence:
    """A candidate during generation: its answers so far, the last of them open."""

    context: Context
    key: int  # seed of its random numbers
    token_ids: list[list[int]]
    token_log_probabilities: list[list[float]]
    prefix: bytes  # the rest of the prefix required of the open answer
    length: int  # tokens, including the context
    last_token: int
    n_generated: int = 0  # tokens
    has_text: bool = False  # the open answer has more than white space
    partial: bytes = b""  # leading bytes of an incomplete last character
    n_words: int = 0  # in the open answer
    in_word: bool = False  # the open answer ends with a word, not with white space
    complete: bool = True
    log_probability: float = 0.0

    @classmethod
    def begin(cls, context: Context, key: int) -> "GeneratedSequence":
        return cls(context, key, [[]], [[]], context.answer_prefix(0), len(context.ids), context.ids[-1])

    @property
    def blank(self) -> int:
        """The index of the blank whose answer is open; K when all are closed."""
        return len(self.token_ids) - 1

    @property
    def finished(self) -> bool:
        return self.blank == len(self.context.types)

    def constraint_state(
        self, constraints: AnswerConstraints, max_answer_tokens: int, max_answer_words: int | None, max_tokens: float
    ) -> ConstraintState:
        """The constraints on the next token; its end token and the shortest answers to later blanks must still fit."""
        limits, n_tokens = self.context.limits[self.blank], len(self.token_ids[-1])
        later = range(self.blank + 1, len(self.context.types))
        reserved = sum(constraints.min_tokens(self.context, blank) + 1 for blank in later)
        most: float = max_answer_tokens if limits.max_tokens is None else limits.max_tokens
        most = max(most, constraints.min_tokens(self.context, self.blank))
        may_end = self.has_text and not self.prefix and not self.partial
        may_end = may_end and n_tokens >= limits.min_tokens and self.n_words >= limits.min_words
        is_word = self.context.types[self.blank] == constraints.word
        max_words = limits.max_words_or(max_answer_words if is_word else None)
        return ConstraintState(
            prefix=self.prefix,
            partial=self.partial,
            needs_text=not self.has_text,
            may_end=may_end,
            tokens_left=int(min(max_tokens - self.length - 1 - reserved, most - n_tokens)),
            in_word=self.in_word,
            words_missing=max(limits.min_words - self.n_words, 0),
            words_left=None if max_words is None else max_words - self.n_words,
        )

    def append(self, token: int, log_probability: float, constraints: AnswerConstraints) -> None:
        """Add a token; the end token closes the open answer."""
        self.token_ids[-1].append(token)
        self.token_log_probabilities[-1].append(log_probability)
        self.length, self.last_token, self.n_generated = self.length + 1, token, self.n_generated + 1
        self.log_probability += log_probability
        if token == constraints.end:
            self.token_ids.append([])
            self.token_log_probabilities.append([])
            self.has_text, self.partial, self.n_words, self.in_word = False, b"", 0, False
            self.prefix = b"" if self.finished else self.context.answer_prefix(self.blank)
        else:
            own = constraints.token_bytes.of[token]
            self.n_words += count_words(own, self.in_word)
            self.in_word = not own[-1:].isspace()
            text = self.partial + own
            self.partial = partial_character(text) or b""
            self.has_text = self.has_text or bool(text.removesuffix(self.partial).decode().strip())
            self.prefix = self.prefix[len(own) :]

    def copy(self) -> "GeneratedSequence":
        """A copy of the sequence, for beam search."""
        return replace(
            self,
            token_ids=[ids[:] for ids in self.token_ids],
            token_log_probabilities=[values[:] for values in self.token_log_probabilities],
        )

    def answers(self, token_bytes: TokenBytes) -> tuple[str, ...]:
        """The closed answers as shown in place of their blanks."""
        closed = zip(self.token_ids[:-1], self.context.leading_space, strict=False)
        return tuple(token_bytes.decode(ids[:-1])[int(space) :] for ids, space in closed)

    def infilling(self, token_bytes: TokenBytes) -> Infilling:
        """The finished candidate."""
        answers = self.answers(token_bytes)
        text, spans = self.context.fill(answers)
        return Infilling(
            text,
            answers,
            spans,
            tuple(map(tuple, self.token_ids[:-1])),
            tuple(map(tuple, self.token_log_probabilities[:-1])),
            tuple(map(token_bytes.texts, self.token_ids[:-1], answers)),
            self.complete,
            self.context.left_out,
        )
