"""The base class of all kinds of model: it predicts blanks one after the other and lists candidates as words.

    blank 1   predicted from the text, with the other blanks still open
    blank 2   predicted with the model's own best candidate in blank 1, the later blanks still open

The learner's words are scored likewise, each given the learner's words before it, so their sum over an item's blanks
is the joint log-probability (chain rule).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ilm.config.evaluate import Cloze
from ilm.evaluation.cloze.items import RANDOM, Item
from ilm.evaluation.cloze.metrics import folded, normalised
from ilm.evaluation.cloze.search import BestFirstSearch, Hypothesis, TokenConstraint, TokenIds, TopWords
from ilm.evaluation.cloze.subwords import UNKNOWN, EncodedItem, Subwords

TOO_LONG = "the text is longer than the model takes"
WORD_TOO_LONG = "the word has more subtokens than task.max_answer_tokens"
NO_ANSWER = "no answer ended within task.max_answer_tokens"
EARLIER = "an earlier blank of the item has no answer"

# Increased whenever the same model may predict something else for the same item, so that predictions are never mixed.
METHOD = 3


@dataclass(frozen=True)
class Prediction:
    """A model's candidates for one blank, best first: different words with their log-probabilities in nats.

    Words that differ only in case are all listed but count as one, so a cased model lists as many as an uncased one.
    `log_probability` is that of the learner's word in the tokenizer's own segmentation, None if there is none
    (`unscored` says why); `subtokens` is the length of that segmentation. `failure` says why there are no candidates.
    `complete`: whether the search expanded every hypothesis that was likely enough to be listed.
    """

    candidates: tuple[tuple[str, float], ...]
    log_probability: float | None
    subtokens: int | None
    failure: str | None = None
    unscored: str | None = None
    complete: bool = True


class ClozeModel(ABC):
    """A language model that fills blanks; a subclass for each architecture."""

    width_per_candidate: ClassVar[int]  # hypotheses of each length that a search expands, for each candidate wanted

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        options: Cloze,
        *,
        max_tokens: float = math.inf,
    ):
        """`max_tokens` is the longest input that the model takes."""
        self.model, self.options, self.max_tokens = model.eval(), options, max_tokens
        self.subwords = Subwords(tokenizer, model.get_output_embeddings().weight.shape[0])
        self.search_width = self.width_per_candidate * options.candidates  # hypotheses of each length expanded
        self._letters_only = options.positions != RANDOM

    @torch.inference_mode()
    def predict(self, items: Sequence[Item]) -> list[tuple[Prediction, ...]]:
        """Predictions for the blanks of each item."""
        encoded = [self._encode_item(item) for item in items]
        for at, found in enumerate(encoded):
            if not isinstance(found, str) and self._input_length(found) > self.max_tokens:
                encoded[at] = TOO_LONG
        valid = [found for found in encoded if not isinstance(found, str)]
        predictions = iter(self._predict(valid) if valid else ())
        return [
            tuple(Prediction((), None, None, found, found) for _ in item.spans)
            if isinstance(found, str)
            else next(predictions)
            for item, found in zip(items, encoded, strict=True)
        ]

    def _encode_item(self, item: Item) -> EncodedItem | str:
        """The item's tokens, or why it has none."""
        return self.subwords.encode(item)

    def _predict(self, items: list[EncodedItem]) -> list[tuple[Prediction, ...]]:
        scores = self._score(items)
        filled: list[list[Any]] = [[] for _ in items]  # token ids; None where nothing was found
        predictions: list[list[Prediction]] = [[] for _ in items]
        for blank in range(len(items[0].token_spans)):
            failures = [
                self._blank_error(item, blank) or (EARLIER if None in before else None)
                for item, before in zip(items, filled, strict=True)
            ]
            valid = [at for at, failure in enumerate(failures) if failure is None]
            done = self._search([items[at] for at in valid], blank, [filled[at] for at in valid]) if valid else []
            searches = dict(zip(valid, done, strict=True))
            for at, item in enumerate(items):
                search = searches.get(at)
                candidates, best = self._rank(search.top.hypotheses if search else ())
                filled[at].append(best)
                score = None if item.unknown[blank] else scores[at][blank]
                predictions[at].append(
                    Prediction(
                        candidates,
                        score,
                        len(item.word_ids(blank)),
                        failures[at] or (None if candidates else NO_ANSWER),
                        UNKNOWN if score is None else None,
                        search is None or search.is_complete,
                    )
                )
        return [tuple(blanks) for blanks in predictions]

    def _rank(self, answers: Sequence[Hypothesis]) -> tuple[tuple[tuple[str, float], ...], TokenIds | None]:
        """(Answers as words, best first, with the segmentations of each word added up; the tokens of the best)."""
        sums: dict[str, float] = {}
        tokens: dict[str, TokenIds] = {}
        for token_ids, log_probability in sorted(answers, key=lambda answer: (-answer[1], answer[0])):
            word = self.decode(token_ids) or ""
            sums[word] = float(np.logaddexp(sums.get(word, -math.inf), log_probability))
            tokens.setdefault(word, token_ids)
        ranked = sorted(sums, key=lambda word: (-sums[word], word))
        listed: list[tuple[str, float]] = []
        different: set[str] = set()
        for word in ranked:
            if len(different) == self.options.candidates:
                break
            different.add(folded(word))
            listed.append((word, sums[word]))
        return tuple(listed), tokens[ranked[0]] if ranked else None

    def decode(self, token_ids: TokenIds) -> str | None:
        """The word that an answer's tokens spell; None if they spell none."""
        word = normalised(self.subwords.decode(token_ids))
        return None if not word or "\ufffd" in word or (self._letters_only and not word.isalpha()) else word

    def new_search(
        self, number: int, item: EncodedItem, blank: int, end_tokens: TokenIds, max_tokens: int
    ) -> BestFirstSearch:
        """A search for answers to a blank of item `number` that end with any of `end_tokens`."""
        first, later = self.subwords.allowed(item.leading_space[blank], letters=self._letters_only)
        constraint = TokenConstraint(first, later, end_tokens, max_tokens)
        return BestFirstSearch(number, constraint, TopWords(self.decode, self.options.candidates), self.search_width)

    def _blank_error(self, item: EncodedItem, blank: int) -> str | None:
        """Why this blank gets no candidates even though its word has a score."""
        return None

    @abstractmethod
    def _input_length(self, item: EncodedItem) -> int:
        """The most tokens that the model must read at once for this text."""

    @abstractmethod
    def _score(self, items: Sequence[EncodedItem]) -> list[list[float]]:
        """The log-probability in nats of the learner's word in each blank, given the learner's words before it."""

    @abstractmethod
    def _search(
        self, items: Sequence[EncodedItem], blank: int, filled: Sequence[Sequence[TokenIds]]
    ) -> list[BestFirstSearch]:
        """A finished search for the likeliest answers to a blank of each item; `BestFirstSearch.item` is its number.

        `filled` are the tokens in the blanks before it.
        """
