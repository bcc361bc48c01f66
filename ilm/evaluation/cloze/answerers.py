"""What every kind of model does alike: ask about one blank after the other, list the answers as words.

    blank 1   answers given the text, the other blanks still open
    blank 2   answers given the model's own best answer to blank 1, the later blanks still open

The learner's words are scored likewise, each given the learner's words before it, so that the sum over an item's blanks
is the log-probability of all of them (chain rule).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ilm.evaluation.cloze.beam import Beam
from ilm.evaluation.cloze.items import HUMAN_TOKENS, Item
from ilm.evaluation.cloze.metrics import folded, normalised
from ilm.evaluation.cloze.pieces import UNKNOWN, Encoded, Pieces

TOO_LONG = "the text is longer than the model takes"
WORD_TOO_LONG = "the word has more subtokens than cloze.max_answer_tokens"
NO_ANSWER = "no answer ended within cloze.max_answer_tokens"
EARLIER = "an earlier blank of the item has no answer"

BEAMS_PER_CANDIDATE = 8


@dataclass(frozen=True)
class Settings:
    """How models answer: the keys of `cloze` in the configuration of these names."""

    candidates: int
    max_answer_tokens: int
    one_word: bool
    positions: str
    mlm_length: str


@dataclass(frozen=True)
class BlankAnswer:
    """A model's answers to one blank, best first, each a word with its log-probability in nats, all different.

    Words that differ by case alone are listed each, and counted as one: a cased model lists as many as an uncased one.
    `log_probability` is that of the learner's word in the tokenizer's own spelling, None if it has none (`unscored`
    says why), `subtokens` their number in it. `failure`: why there are no candidates, else None.
    """

    candidates: tuple[tuple[str, float], ...]
    log_probability: float | None
    subtokens: int | None
    failure: str | None = None
    unscored: str | None = None


class Answerer(ABC):
    """A model that fills blanks. Classes for each kind say how it is asked."""

    kind: ClassVar[str]
    pseudo: ClassVar[bool] = False  # whether its log-probabilities are pseudo-log-likelihoods

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: Settings,
        *,
        rows: int,
        max_tokens: float,
    ):
        """`rows` of the model's output, `max_tokens` it takes."""
        self.model, self.settings, self.max_tokens = model.eval(), settings, max_tokens
        self.pieces = Pieces(tokenizer, rows)

    @torch.inference_mode()
    def answer(self, items: Sequence[Item]) -> list[tuple[BlankAnswer, ...]]:
        """The answers to the blanks of each item."""
        encoded = [self.pieces.encode(item) for item in items]
        faults = [e if isinstance(e, str) else self._fault(e) for e in encoded]
        asked = [at for at, fault in enumerate(faults) if fault is None]
        found = dict(zip(asked, self._answer([encoded[at] for at in asked]) if asked else [], strict=True))
        return [
            found[at] if at in found else tuple(BlankAnswer((), None, None, fault, fault) for _ in item.spans)
            for at, (item, fault) in enumerate(zip(items, faults, strict=True))
        ]

    def _answer(self, encoded: list[Encoded]) -> list[tuple[BlankAnswer, ...]]:
        scores = self._score(encoded)
        chosen: list[list[tuple[int, ...] | None]] = [[] for _ in encoded]
        answers: list[list[BlankAnswer]] = [[] for _ in encoded]
        for blank in range(len(encoded[0].runs)):
            failures = [
                self._blank_fault(e, blank) or (EARLIER if None in before else None)
                for e, before in zip(encoded, chosen, strict=True)
            ]
            asked = [at for at, failure in enumerate(failures) if failure is None]
            beams = self._search([encoded[at] for at in asked], blank, [chosen[at] for at in asked]) if asked else []
            of_item = dict(zip(asked, beams, strict=True))
            for at, e in enumerate(encoded):
                candidates, first = self._words(of_item.get(at, ()))
                failure = failures[at] or (None if candidates else NO_ANSWER)
                chosen[at].append(first)
                score = None if e.unknown[blank] else scores[at][blank]
                answers[at].append(
                    BlankAnswer(candidates, score, len(e.answer(blank)), failure, UNKNOWN if score is None else None)
                )
        return [tuple(blanks) for blanks in answers]

    def _words(self, beams: Sequence[Beam]) -> tuple[tuple[tuple[str, float], ...], tuple[int, ...] | None]:
        """Answers as words, and the tokens of the best one. Probabilities of tokens that read the same are added."""
        sums: dict[tuple[str, int], float] = {}
        tokens: dict[tuple[str, int], tuple[int, ...]] = {}
        for beam in beams:
            found = (self._word(beam.token_ids), self._question_of(beam.token_ids))
            sums[found] = float(np.logaddexp(sums.get(found, -math.inf), beam.log_probability))
            tokens.setdefault(found, beam.token_ids)
        ranked = sorted(sums, key=lambda found: (-self._worth(sums[found], tokens[found]), found))
        words: dict[str, float] = {}
        different: set[str] = set()
        for word, question in ranked:
            different.add(folded(word))
            if len(different) > self.settings.candidates:
                break
            words.setdefault(word, sums[word, question])
        return tuple(words.items()), tokens[ranked[0]] if ranked else None

    def _word(self, token_ids: tuple[int, ...]) -> str | None:
        """What an answer reads as, None if it is none."""
        word = normalised(self.pieces.word(token_ids, one_word=self.settings.one_word))
        return None if not word or "\ufffd" in word or (self.letters and not word.isalpha()) else word

    def _question_of(self, token_ids: tuple[int, ...]) -> int:
        """Which question an answer is to, where a blank is asked in several ways: their probabilities do not add up."""
        return 0

    def _worth(self, log_probability: float, token_ids: tuple[int, ...]) -> float:
        """What answers are ranked by."""
        return log_probability

    @property
    def width(self) -> int:
        """Beams of a search."""
        return BEAMS_PER_CANDIDATE * self.settings.candidates

    def reads(self, token_ids: tuple[int, ...]) -> str | None:
        """What an answer counts as, None if it is none: words that differ by case alone are one."""
        word = self._word(token_ids)
        return None if word is None else folded(word)

    @property
    def letters(self) -> bool:
        """Whether answers are restricted to letters."""
        return self.settings.one_word and self.settings.positions == HUMAN_TOKENS

    def allowed(self, encoded: Encoded, blank: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Boolean (V,): the tokens that an answer to this blank may begin and go on with."""
        one_word = self.settings.one_word
        return self.pieces.allowed(encoded.spaced[blank], one_word=one_word, letters=self.letters)

    def _fault(self, encoded: Encoded) -> str | None:
        """Why this text cannot be asked."""
        return TOO_LONG if self._longest(encoded) > self.max_tokens else None

    @abstractmethod
    def _longest(self, encoded: Encoded) -> int:
        """The most tokens that the model has to read at once for this text."""

    def _blank_fault(self, encoded: Encoded, blank: int) -> str | None:
        """Why this blank has no answers, though its word has a score."""
        return None

    def describe(self) -> dict[str, Any]:
        """What a report says of how this model was asked."""
        return {"kind": self.kind, "pseudo_log_likelihood": self.pseudo, "max_tokens": _finite(self.max_tokens)}

    @abstractmethod
    def _score(self, encoded: Sequence[Encoded]) -> list[list[float]]:
        """The log-probability in nats of the learner's word in each blank, given the learner's words before it."""

    @abstractmethod
    def _search(
        self, encoded: Sequence[Encoded], blank: int, chosen: Sequence[Sequence[tuple[int, ...]]]
    ) -> list[list[Beam]]:
        """The likeliest answers to a blank of each text; `chosen` are the tokens that fill the blanks before it."""


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
