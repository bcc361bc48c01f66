"""Segments a document into paragraphs, sentences and words, in characters.

    document    the whole text
    paragraphs  its lines (`str.splitlines`), stripped, without empty ones
    sentences   Punkt (Kiss and Strunk 2006) with NLTK's English parameters, stripped
    words       as `nltk.word_tokenize(sentence)` splits them: punctuation marks and clitics are words

The boundaries equal NLTK's; `ilm.masking.words` and `ilm.masking.sentences` compute most of them without calling it.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from ilm.masking.words import Word, append_words

Bounds = tuple[int, int]
"""(start, end) in characters."""


class Sentence(NamedTuple):
    """`start` and `length` are characters of the document, as in every class here."""

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


# The masks of a document are drawn consecutively, so a few entries are enough to segment it only once.
@lru_cache(maxsize=8)
def segment(text: str) -> Document:
    """The hierarchy of a document. Accepts any text; words cover everything but white space."""
    from ilm.masking.sentences import sentence_bounds  # NLTK takes a second to import, and training does not need it

    return _document(text, _stripped(text.splitlines(keepends=True)), sentence_bounds)


@lru_cache(maxsize=8)
def segment_verse(text: str) -> Document:
    """The hierarchy of a poem: paragraphs are stanzas, separated by empty lines; sentences are lines."""
    stanzas = _stripped(text.split("\n\n"), separator=2)
    return _document(text, stanzas, lambda stanza: _stripped(stanza.splitlines(keepends=True)))


def words_of(text: str) -> list[Word]:
    """(start, length) of all words, numbers and punctuation marks of a text, in order."""
    return [
        word for paragraph in segment(text).paragraphs for sentence in paragraph.sentences for word in sentence.words
    ]


def words_across_lines(text: str) -> tuple[Word, ...]:
    """The words of a text as by `nltk.word_tokenize(text)`, which treats line ends as white space."""
    return _words(text.strip(), len(text) - len(text.lstrip())) if text.strip() else ()


def _document(text: str, paragraphs: Iterable[Bounds], sentences_of: Callable[[str], Iterable[Bounds]]) -> Document:
    """`sentences_of`: returns the sentence bounds within a paragraph's text."""
    found = []
    for start, end in paragraphs:
        paragraph = text[start:end]
        sentences = tuple(
            Sentence(start + first, last - first, _words(paragraph[first:last], start + first))
            for first, last in sentences_of(paragraph)
        )
        found.append(Paragraph(start, end - start, sentences))
    return Document(0, len(text), tuple(found))


def _stripped(pieces: Iterable[str], separator: int = 0) -> Iterator[Bounds]:
    """The bounds of consecutive pieces of a text, stripped; `separator`: characters between two pieces."""
    begin = 0
    for piece in pieces:
        if stripped := piece.strip():
            start = begin + len(piece) - len(piece.lstrip())
            yield start, start + len(stripped)
        begin += len(piece) + separator


def _words(sentence: str, offset: int) -> tuple[Word, ...]:
    # `nltk.word_tokenize` splits into sentences first, and a sentence outside its paragraph may split again.
    from ilm.masking.sentences import sentence_bounds

    words: list[Word] = []
    for begin, end in sentence_bounds(sentence):
        append_words(words, sentence[begin:end], offset + begin)
    return tuple(words)
