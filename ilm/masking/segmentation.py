"""Where the paragraphs, sentences and words of a document are, in characters.

    document    the whole text
    paragraphs  its lines (`str.splitlines`), stripped, without empty ones
    sentences   Punkt (Kiss and Strunk 2006) with NLTK's English parameters, stripped
    words       as `nltk.word_tokenize(sentence)` splits them: punctuation marks and clitics are words

The boundaries are NLTK's own; where they need not be computed anew `ilm.masking.words` and
`ilm.masking.sentences` know why.
"""

from functools import lru_cache
from typing import NamedTuple

from ilm.masking.sentences import sentence_bounds
from ilm.masking.words import Word, append_words


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
    paragraphs = []
    line_start = 0
    for line in text.splitlines(keepends=True):
        if stripped := line.strip():
            start = line_start + len(line) - len(line.lstrip())
            sentences = tuple(
                Sentence(start + begin, end - begin, _words(stripped[begin:end], start + begin))
                for begin, end in sentence_bounds(stripped)
            )
            paragraphs.append(Paragraph(start, len(stripped), sentences))
        line_start += len(line)
    return Document(0, len(text), tuple(paragraphs))


def words_of(text: str) -> list[Word]:
    """(start, length) of all words, numbers and marks of a text, in order."""
    return [
        word for paragraph in segment(text).paragraphs for sentence in paragraph.sentences for word in sentence.words
    ]


def _words(sentence: str, offset: int) -> tuple[Word, ...]:
    # `nltk.word_tokenize` splits into sentences first, also what is a sentence already, and a sentence
    # taken out of its paragraph may well split again.
    words: list[Word] = []
    for begin, end in sentence_bounds(sentence):
        append_words(words, sentence[begin:end], offset + begin)
    return tuple(words)
