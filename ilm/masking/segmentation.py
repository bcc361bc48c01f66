"""Where the paragraphs, sentences and words of a document are, in characters.

    document    the whole text
    paragraphs  its lines (`str.splitlines`), stripped, without empty ones
    sentences   Punkt (Kiss and Strunk 2006) with NLTK's English parameters, stripped
    words       as `nltk.word_tokenize(sentence)` splits them: punctuation marks and clitics are words

The boundaries are NLTK's own; where they need not be computed anew `ilm.masking.words` and
`ilm.masking.sentences` know why.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from ilm.masking.words import Word, append_words

Bounds = tuple[int, int]
"""(start, end) in characters."""


class Sentence(NamedTuple):
    """`start` and `length` in characters of the document, as in every class here."""

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
    from ilm.masking.sentences import sentence_bounds  # NLTK takes a second to import, and training segments nothing

    return _document(text, _stripped(text.splitlines(keepends=True)), sentence_bounds)


@lru_cache(maxsize=8)
def segment_verse(text: str) -> Document:
    """The hierarchy of a poem: its paragraphs are stanzas, parted by empty lines, its sentences are their lines."""
    stanzas = _stripped(text.split("\n\n"), separator=2)
    return _document(text, stanzas, lambda stanza: _stripped(stanza.splitlines(keepends=True)))


def words_of(text: str) -> list[Word]:
    """(start, length) of all words, numbers and marks of a text, in order."""
    return [
        word for paragraph in segment(text).paragraphs for sentence in paragraph.sentences for word in sentence.words
    ]


def words_across_lines(text: str) -> tuple[Word, ...]:
    """The words of a text whose line ends are no more than white space: `nltk.word_tokenize(text)`."""
    return _words(text.strip(), len(text) - len(text.lstrip())) if text.strip() else ()


def _document(text: str, paragraphs: Iterable[Bounds], sentences_of: Callable[[str], Iterable[Bounds]]) -> Document:
    """`sentences_of` gives the bounds of the sentences in a paragraph's text."""
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
    """Where the pieces of a text are without the white space at their ends; `separator` characters stand between."""
    begin = 0
    for piece in pieces:
        if stripped := piece.strip():
            start = begin + len(piece) - len(piece.lstrip())
            yield start, start + len(stripped)
        begin += len(piece) + separator


def _words(sentence: str, offset: int) -> tuple[Word, ...]:
    # `nltk.word_tokenize` splits into sentences first, also what is a sentence already, and a sentence
    # taken out of its paragraph may well split again.
    from ilm.masking.sentences import sentence_bounds

    words: list[Word] = []
    for begin, end in sentence_bounds(sentence):
        append_words(words, sentence[begin:end], offset + begin)
    return tuple(words)
