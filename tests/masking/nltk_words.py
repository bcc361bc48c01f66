"""Sentences and words as NLTK itself splits them: what the fast path of `ilm.masking.segmentation` is held against."""

from functools import cache

import punkt
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

from ilm.masking.words import align

Bounds = list[tuple[int, int]]


@cache
def sentence_tokenizer() -> PunktSentenceTokenizer:
    tables, parameters = punkt.load_model("english"), PunktParameters()
    for name in ("abbrev_types", "collocations", "sent_starters"):
        setattr(parameters, name, set(getattr(tables, name)))
    parameters.ortho_context.update(tables.ortho_context)
    return PunktSentenceTokenizer(parameters)


def sentences(text: str) -> Bounds:
    """(start, end) of NLTK's sentences, stripped."""
    bounds = []
    for start, end in sentence_tokenizer().span_tokenize(text):
        piece = text[start:end]
        if piece.strip():
            start += len(piece) - len(piece.lstrip())
            bounds.append((start, start + len(piece.strip())))
    return bounds


def words(sentence: str) -> Bounds:
    """(start, length) of the words that `nltk.word_tokenize` makes of one sentence."""
    return [
        (begin + start, end - start)
        for begin, finish in sentences(sentence)
        for start, end in align(NLTKWordTokenizer().tokenize(sentence[begin:finish]), sentence[begin:finish])
    ]


def segment(text: str) -> list[tuple[int, int, Bounds]]:
    """Every sentence of a text: start, end, and its words, in characters of the text."""
    result, line_start = [], 0
    for line in text.splitlines(keepends=True):
        start = line_start + len(line) - len(line.lstrip())
        paragraph = line.strip()
        for begin, end in sentences(paragraph) if paragraph else []:
            found = [(start + begin + first, length) for first, length in words(paragraph[begin:end])]
            result.append((start + begin, start + end, found))
        line_start += len(line)
    return result
