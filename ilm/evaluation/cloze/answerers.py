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

from ilm.evaluation.cloze.items import HUMAN_TOKENS, Item
from ilm.evaluation.cloze.metrics import folded, normalised
from ilm.evaluation.cloze.search import Found, Grammar, Search, Spelling, Tokens
from ilm.evaluation.cloze.subwords import UNKNOWN, Encoded, Pieces

TOO_LONG = "the text is longer than the model takes"
WORD_TOO_LONG = "the word has more subtokens than cloze.max_answer_tokens"
NO_ANSWER = "no answer ended within cloze.max_answer_tokens"
EARLIER = "an earlier blank of the item has no answer"

# Raised whenever the same model may answer the same question otherwise: other answers are never mixed in silence.
METHOD = 2


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
    says why), `subtokens` their number in it. `failure`: why there are no candidates, else None. `complete`: whether
    the search followed all that was likely enough to be listed.
    """

    candidates: tuple[tuple[str, float], ...]
    log_probability: float | None
    subtokens: int | None
    failure: str | None = None
    unscored: str | None = None
    complete: bool = True


class Answerer(ABC):
    """A model that fills blanks. Classes for each kind say how it is asked."""

    kind: ClassVar[str]
    pseudo: ClassVar[bool] = False  # whether its log-probabilities are pseudo-log-likelihoods
    width_per_candidate: ClassVar[int]  # beginnings of an answer that a search follows, of each number of tokens

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
        chosen: list[list[Tokens | None]] = [[] for _ in encoded]
        answers: list[list[BlankAnswer]] = [[] for _ in encoded]
        for blank in range(len(encoded[0].runs)):
            failures = [
                self._blank_fault(e, blank) or (EARLIER if None in before else None)
                for e, before in zip(encoded, chosen, strict=True)
            ]
            asked = [at for at, failure in enumerate(failures) if failure is None]
            searched = self._search([encoded[at] for at in asked], blank, [chosen[at] for at in asked]) if asked else []
            for at, e in enumerate(encoded):
                searches = [search for search in searched if asked[search.question] == at]
                candidates, first = self._words([answer for search in searches for answer in search.found.answers])
                failure = failures[at] or (None if candidates else NO_ANSWER)
                chosen[at].append(first)
                score = None if e.unknown[blank] else scores[at][blank]
                unscored = UNKNOWN if score is None else None
                complete = all(search.is_complete for search in searches)
                answers[at].append(BlankAnswer(candidates, score, len(e.answer(blank)), failure, unscored, complete))
        return [tuple(blanks) for blanks in answers]

    def _words(self, spellings: Sequence[Spelling]) -> tuple[tuple[tuple[str, float], ...], Tokens | None]:
        """Answers as words, and the tokens of the best one. Probabilities of tokens that read the same are added."""
        sums: dict[tuple[str, int], float] = {}
        tokens: dict[tuple[str, int], Tokens] = {}
        for token_ids, log_probability in sorted(spellings, key=lambda spelling: (-spelling[1], spelling[0])):
            found = (self.reads(token_ids), self._question_of(token_ids))
            sums[found] = float(np.logaddexp(sums.get(found, -math.inf), log_probability))
            tokens.setdefault(found, token_ids)
        ranked = sorted(sums, key=lambda found: (-self._worth(sums[found], tokens[found]), found))
        words: dict[str, float] = {}
        different: set[str] = set()
        for word, question in ranked:
            if len(different) == self.settings.candidates:
                break
            different.add(folded(word))
            words.setdefault(word, sums[word, question])
        return tuple(words.items()), tokens[ranked[0]] if ranked else None

    def reads(self, token_ids: Tokens) -> str | None:
        """What an answer reads as, None if it is none."""
        word = normalised(self.pieces.word(token_ids, one_word=self.settings.one_word))
        return None if not word or "\ufffd" in word or (self.letters and not word.isalpha()) else word

    def _question_of(self, token_ids: Tokens) -> int:
        """Which question an answer is to, where a blank is asked in several ways: their probabilities do not add up."""
        return 0

    def _worth(self, log_probability: float, token_ids: Tokens) -> float:
        """What answers are ranked by."""
        return log_probability

    @property
    def width(self) -> int:
        """Beginnings of an answer that a search follows, of each number of tokens."""
        return self.width_per_candidate * self.settings.candidates

    def search(self, question: int, encoded: Encoded, blank: int, closers: Tokens, max_tokens: int) -> Search:
        """A search of the answers to a blank that end with any of `closers`."""
        first, later = self.allowed(encoded, blank)
        found = Found(self.reads, self.settings.candidates)
        return Search(question, Grammar(first, later, closers, max_tokens), found, self.width)

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
    def _search(self, encoded: Sequence[Encoded], blank: int, chosen: Sequence[Sequence[Tokens]]) -> list[Search]:
        """Searches of the likeliest answers to a blank of each text, done; a search's question is the text's number.

        `chosen` are the tokens that fill the blanks before it.
        """


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
