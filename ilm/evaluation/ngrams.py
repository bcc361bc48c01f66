"""An n-gram model over token ids with Witten-Bell interpolation: how far counting neighbours gets.

    P_k(w | h) = (c(h w) + T(h) P_{k-1}(w | h')) / (c(h) + T(h))          k = 1 .. order

c counts in the training texts, T(h) is the number of different tokens seen after h, h' is h without its first token,
and P_0 is uniform over the vocabulary (Chen and Goodman 1998, section 2.5). Where h was never seen, P_k = P_{k-1}. A
token that occurs in no text marks the beginning of each.

Legend: V size of the vocabulary, N tokens of all texts with their beginnings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class _Order:
    """The distinct n-grams of one order: sorted `codes`, history * (V + 1) + token, and their `counts`.

    A history is the number of an n-gram of the order below; `tokens_behind` and `types_behind` are c(h) and T(h).
    """

    codes: np.ndarray
    counts: np.ndarray
    tokens_behind: np.ndarray
    types_behind: np.ndarray

    @classmethod
    def count(cls, codes: np.ndarray, histories: int, base: int) -> "_Order":
        found, counts = np.unique(codes, return_counts=True)
        history = found // base
        behind = np.bincount(history, counts, minlength=histories).astype(np.int64)
        return cls(found, counts, behind, np.bincount(history, minlength=histories))

    def look_up(self, codes: np.ndarray) -> np.ndarray:
        """The number of each n-gram; -1 for one that was not seen."""
        at = np.searchsorted(self.codes, codes).clip(max=len(self.codes) - 1)
        return np.where(self.codes[at] == codes, at, -1)


class NGramModel:
    """All n-grams up to `order` of token ids below `vocabulary_size` in some texts."""

    def __init__(self, texts: Sequence[np.ndarray], vocabulary_size: int, order: int = 5):
        self._base = vocabulary_size + 1
        ids, places = self._joined(texts)
        unigrams = np.arange(self._base)  # every one has a number, as the beginning of a text needs one too
        behind = np.bincount(ids[places > 0], minlength=self._base)
        self._orders = [_Order(unigrams, behind, behind.sum(keepdims=True), (behind > 0).sum(keepdims=True))]
        strings = ids
        for k in range(2, order + 1):
            codes = self._codes(strings, ids, places, k)
            if not len(seen := codes[codes >= 0]):
                break  # no text is that long
            self._orders.append(_Order.count(seen, len(self._orders[-1].codes), self._base))
            strings = self._orders[-1].look_up(codes)

    def nll(self, texts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The NLL in nats of every token of each text, float64."""
        ids, places = self._joined(texts)
        first = self._orders[0]
        tokens: Any = int(first.tokens_behind[0])  # then arrays, as types
        types: Any = int(first.types_behind[0])
        p = (first.counts[ids] + types / (self._base - 1)) / (tokens + types)
        strings = ids
        for k, order in enumerate(self._orders[1:], start=2):
            codes = self._codes(strings, ids, places, k)
            history = np.where(codes >= 0, codes // self._base, 0)
            tokens, types = (np.where(codes >= 0, of[history], 0) for of in (order.tokens_behind, order.types_behind))
            strings = order.look_up(codes)
            counts = np.where(strings >= 0, order.counts[strings], 0)
            p = np.where(tokens > 0, (counts + types * p) / np.maximum(tokens + types, 1), p)
        return [nll[1:] for nll in np.split(-np.log(p), np.flatnonzero(places == 0)[1:])]

    def _joined(self, texts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The texts end to end, each behind its beginning, and the place of each token in its text: two int64 (N,)."""
        beginning = np.array([self._base - 1])
        parts = [part for text in texts for part in (beginning, text)]
        places = [np.arange(len(text) + 1) for text in texts]
        return np.concatenate(parts).astype(np.int64), np.concatenate(places)

    def _codes(self, strings: np.ndarray, ids: np.ndarray, places: np.ndarray, k: int) -> np.ndarray:
        """The code of the k tokens up to each one; -1 where its text has fewer, or the first k - 1 were never seen.

        `strings` are the numbers of the k - 1 tokens up to each one.
        """
        history = np.concatenate([[-1], strings[:-1]])
        return np.where((places >= k - 1) & (history >= 0), history * self._base + ids, -1)
