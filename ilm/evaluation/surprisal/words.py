"""The words of texts, which of a text's tokens are whose, and how frequent a word is.

Words are delimited by white space. A word's tokens begin with the white space before it:

    text      She ate.\nLunch was late.
    words     She  ate.  Lunch  was  late.
    tokens    She| ate|.|\n|Lunch| was| late|.      of "Lunch": the line break and "Lunch"

Legend: N words and T tokens of a text.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.token_bytes import TokenBytes
from ilm.masking.segmentation import segment

_WORD = re.compile(r"\S+")
# Punctuation and symbols at the ends of a word, unless it consists of nothing else.
_EDGES = re.compile(r"^[\W_]+(?=.*[^\W_])|(?<=[^\W_])[\W_]+$")
KEY = ["writing_id", "word_index"]


def bounds_of_words(text: str) -> np.ndarray:
    """(start, end) in characters of each word, int64 (N, 2)."""
    return np.array([word.span() for word in _WORD.finditer(text)], dtype=np.int64).reshape(-1, 2)


def words_of_texts(texts: pd.DataFrame) -> pd.DataFrame:
    """A row per word of `texts` (writing_id, text): `KEY`, counted from 0 in each text, and the word's own properties.

    `nltk_index` and `sentence_index` are those of the NLTK word and the sentence that its first character is in,
    `start` and `length` characters of the text; `word_length` is without punctuation at its ends, and `previous_word`
    None of the first.
    """
    return stacked(texts["writing_id"], [*map(_words_of_text, texts["text"])])


def stacked(writing_ids: Iterable[str], of_texts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The columns of texts as one table: arrays of the length of the first of a text, or one value for all of it."""
    counts = [len(next(iter(columns.values()))) for columns in of_texts]
    table = {"writing_id": np.repeat(np.array([*writing_ids], dtype=object), counts)}
    for name in of_texts[0] if of_texts else ():
        values = (np.broadcast_to(own[name], count) for own, count in zip(of_texts, counts, strict=True))
        table[name] = np.concatenate([*values])
    return pd.DataFrame(table)


def _words_of_text(text: str) -> dict[str, Any]:
    starts, ends = bounds_of_words(text).T
    words = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    sentences = [sentence for paragraph in segment(text).paragraphs for sentence in paragraph.sentences]
    nltk_starts = [start for sentence in sentences for start, _ in sentence.words]
    return {
        "word_index": np.arange(len(words)),
        "nltk_index": np.searchsorted(nltk_starts, starts, side="right") - 1,
        "sentence_index": np.searchsorted([sentence.start for sentence in sentences], starts, side="right") - 1,
        "start": starts,
        "length": ends - starts,
        "word": np.array(words, dtype=object),
        "previous_word": np.array([None, *words], dtype=object)[: len(words)],
        "word_length": np.array([len(without_edges(word)) for word in words], dtype=np.int64),
    }


def without_edges(word: str) -> str:
    """A word without the punctuation at its ends."""
    return _EDGES.sub("", word)


def tokens_of_words(positions: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each word its first token and the one after its last, int64 (N,); whether its share of them is unknown.

    It is (bool (N,)) if one of its tokens, or of those before or after it, covers a neighbour too. A token that covers
    several words, or a word and the line break behind it, is the first one's. `positions` (T + 1,) are in characters
    (`ilm.examples.token_store`).
    """
    ends = bounds[:, 1]
    begins = positions[:-1]
    # Tokens that begin at one position belong together, and end where the next position is.
    following = np.searchsorted(positions, begins, side="right").clip(max=len(positions) - 1)
    last_characters = np.maximum(positions[following] - 1, begins)
    owners = np.searchsorted(ends, begins, side="right")
    numbers = np.arange(len(ends))
    firsts, lasts = (np.searchsorted(owners, numbers, side=side) for side in ("left", "right"))
    shared = np.zeros(len(ends), dtype=bool)
    reach = np.searchsorted(ends, last_characters, side="right").clip(max=len(ends) - 1)
    for first, last in zip(owners[reach > owners], reach[reach > owners], strict=True):
        shared[first : last + 1] = True
    return firsts, lasts, shared


@lru_cache(maxsize=4)
def word_beginnings(vocabulary: Vocabulary) -> np.ndarray:
    """The ids of tokens before which a word has ended: those that begin with white space, and the end of a text."""
    texts = TokenBytes(vocabulary).of
    found = [number for number, text in enumerate(texts) if text.decode("utf-8", "ignore")[:1].isspace()]
    end_of_text = vocabulary.tokenizer.eos_token_id
    if end_of_text is not None and end_of_text < vocabulary.base_size:
        found.append(end_of_text)
    return np.unique(found).astype(np.int64)


class Unigrams:
    """Word frequencies in some texts, lower-cased and without the punctuation at their ends.

    The probability of a word with c occurrences is (c + 1) / (n + v + 1), of n words of v kinds (Laplace): one more
    kind stands for all words that do not occur.
    """

    def __init__(self, texts: Iterable[str]):
        exact: Counter[str] = Counter()
        for text in texts:
            exact.update(text.split())
        self._counts: Counter[str] = Counter()
        for word, count in exact.items():
            self._counts[_folded(word)] += count
        self._all = self._counts.total() + len(self._counts) + 1

    def record(self) -> dict[str, int]:
        """What was counted, for a report."""
        return {"words": self._counts.total(), "kinds": len(self._counts)}

    def bits(self, words: pd.Series) -> np.ndarray:
        """The surprisal of each word on its own, float64 (N,)."""
        codes, kinds = pd.factorize(words)
        of_kinds = [math.log2(self._all / (self._counts[_folded(word)] + 1)) for word in kinds]
        return np.array(of_kinds)[codes]


def _folded(word: str) -> str:
    return without_edges(word).lower()
