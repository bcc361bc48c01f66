"""Mask functions: which spans of a document are cut out, to be filled in by the model.

A mask function is any object with `mask_types` and a call `(text, rng) -> list[Span]`; `check_spans` says
what is asked of its result. Those of this module may for example answer, on "She ate leftover pasta for lunch.",

    Hierarchical    [("ngram", 8, 14), ("word", 27, 5)]    leftover pasta, lunch; the ILM paper's function
    Documents       [("document", 0, 33)]                  and so Paragraphs, Sentences, Ngrams, Words:
                                                           one level of the hierarchy alone
    Punctuation     [("sentence_terminal", 32, 1)]

The single-level functions hide about 15 % of a text by default: the share of masked words in BERT (Devlin et
al. 2019), and near the 13.6 % of `Hierarchical`, so that models trained with them can be compared.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple, Protocol

from ilm.errors import UserError
from ilm.masking.segmentation import segment


class Span(NamedTuple):
    """A part of a document to be cut out: `text[start : start + length]`, in characters."""

    mask_type: str
    start: int
    length: int


class MaskFunction(Protocol):
    """Draws one mask: spans sorted by start that do not overlap, of the types in `mask_types`.

    It must use no randomness but `rng`: then a document's masks never depend on its neighbours.
    """

    mask_types: tuple[str, ...]

    def __call__(self, text: str, rng: random.Random) -> list[Span]: ...


class _Checked:
    """Raises UserError where a parameter of a mask function is no probability or no number of words."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            where = f"{type(self).__name__}({field.name}={value!r})"
            if field.name == "max_ngram_words":
                if type(value) is not int or value < 1:
                    raise UserError(f"{where}: expected a whole number of at least 1, for example 8.")
            elif not isinstance(value, int | float) or not 0 <= value <= 1:
                raise UserError(f"{where}: expected a probability from 0 to 1, for example {field.default}.")


@dataclass(frozen=True)
class Hierarchical(_Checked):
    """Masks each unit with probability `p`, from the document down, and looks into those not masked.

    A masked word becomes with `ngram_probability` an n-gram of k words, k uniform on 1 to `max_ngram_words`
    or to the end of its sentence. From Donahue, Lee and Liang (2020, arXiv 2005.05339), section 3; it consumes
    `rng` as their implementation does, so equal seeds give equal masks.
    """

    p: float = 0.03
    ngram_probability: float = 0.5
    max_ngram_words: int = 8
    mask_types: ClassVar[tuple[str, ...]] = ("document", "paragraph", "sentence", "ngram", "word")

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        return _draw(text, rng, self.p, self.p, self.p, self.p, self.ngram_probability, self.max_ngram_words)


@dataclass(frozen=True)
class Documents(_Checked):
    """Masks the whole document with probability `p`: generation without context."""

    p: float = 0.15
    mask_types: ClassVar[tuple[str, ...]] = ("document",)

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        return _draw(text, rng, p_document=self.p)


@dataclass(frozen=True)
class Paragraphs(_Checked):
    """Masks each paragraph (line) with probability `p`."""

    p: float = 0.15
    mask_types: ClassVar[tuple[str, ...]] = ("paragraph",)

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        return _draw(text, rng, p_paragraph=self.p)


@dataclass(frozen=True)
class Sentences(_Checked):
    """Masks each sentence with probability `p`."""

    p: float = 0.15
    mask_types: ClassVar[tuple[str, ...]] = ("sentence",)

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        return _draw(text, rng, p_sentence=self.p)


@dataclass(frozen=True)
class Ngrams(_Checked):
    """Starts with probability `p` at each word an n-gram of k words, k uniform on 1 to `max_ngram_words`.

    An n-gram ends with its sentence at the latest. The default hides 15 % of the words: of those up to the
    next n-gram 4.5 are hidden and 1/p - 1 = 24 are not, less what the ends of sentences cut off.
    """

    p: float = 0.04
    max_ngram_words: int = 8
    mask_types: ClassVar[tuple[str, ...]] = ("ngram",)

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        return _draw(text, rng, p_word=self.p, ngram_probability=1, max_ngram_words=self.max_ngram_words)


@dataclass(frozen=True)
class Words(_Checked):
    """Masks each word with probability `p`."""

    p: float = 0.15
    mask_types: ClassVar[tuple[str, ...]] = ("word",)

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        return _draw(text, rng, p_word=self.p)


@dataclass(frozen=True)
class Punctuation(_Checked):
    """Masks each character that is neither alphanumeric nor white space with probability `p`, one by one.

    The default is half of them: they are few, and a text gives little other hint at their number.
    """

    p: float = 0.5
    mask_types: ClassVar[tuple[str, ...]] = ("sentence_terminal", "other")

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        return [
            Span("sentence_terminal" if character in ".?!" else "other", start, 1)
            for start, character in enumerate(text)
            if not (character.isalnum() or character.isspace()) and rng.random() < self.p
        ]


def check_spans(spans: Sequence[Span], text_length: int, mask_types: Sequence[str], function_name: str) -> None:
    """Raise UserError unless a mask function's `spans` are a mask of a text of `text_length` characters.

    Spans are (type, start, length) with a type of `mask_types`, not empty, inside the text, sorted by start,
    and without overlap; adjacent spans are allowed. The whole of an empty text is the one empty span allowed.
    """
    if _is_mask(spans, text_length, mask_types):
        return
    end = 0
    for number, span in enumerate(spans):
        if fault := _span_fault(span, end, text_length, mask_types):
            raise UserError(
                f"Mask function {function_name}: span {number} of {len(spans)}, {span!r}, {fault}. A "
                "mask function returns (type, start, length) in characters, sorted by start and without overlap; "
                "correct the function and run prepare.py again."
            )
        end = span[1] + span[2]


def _is_mask(spans: Sequence[Span], text_length: int, mask_types: Sequence[str]) -> bool:
    """Whether nothing is wrong, at once; what is wrong is found out by `_span_fault`."""
    end = 0
    try:
        for mask_type, start, length in spans:
            if mask_type not in mask_types or type(start) is not int or type(length) is not int:
                return False
            if length < 1 or start < end:
                return False
            end = start + length
    except (TypeError, ValueError):
        return False
    return end <= text_length


def _span_fault(span: Span, previous_end: int, text_length: int, mask_types: Sequence[str]) -> str | None:
    try:
        mask_type, start, length = span
    except (TypeError, ValueError):
        return "is not of the form (type, start, length)"
    if mask_type not in mask_types:
        return f"has an unknown type: expected one of {', '.join(mask_types)}"
    if type(start) is not int or type(length) is not int:
        return "has a start or a length that is not an int"
    if length < min(1, text_length):
        return "is empty"
    if start < 0 or start + length > text_length:
        return f"is out of bounds: the text has {text_length} characters"
    if start < previous_end:
        return f"starts before character {previous_end}, where the previous one ends: unsorted or overlapping"
    return None


def _draw(
    text: str,
    rng: random.Random,
    p_document: float = 0,
    p_paragraph: float = 0,
    p_sentence: float = 0,
    p_word: float = 0,
    ngram_probability: float = 0,
    max_ngram_words: int = 1,
) -> list[Span]:
    """One mask by the rule of `Hierarchical`, each level with its own probability; no draw where it is 0."""
    draw = rng.random
    document = segment(text)
    if p_document > 0 and draw() < p_document:
        return [Span("document", 0, document.length)]
    spans = []
    for paragraph in document.paragraphs:
        if p_paragraph > 0 and draw() < p_paragraph:
            spans.append(Span("paragraph", paragraph.start, paragraph.length))
            continue
        for sentence in paragraph.sentences:
            if p_sentence > 0 and draw() < p_sentence:
                spans.append(Span("sentence", sentence.start, sentence.length))
            elif p_word > 0:
                words, count, next_word = sentence.words, len(sentence.words), 0
                # Nearly all time is spent in the next line but one: a draw for every word of every mask.
                while next_word < count:
                    for first in range(next_word, count):  # noqa: B007
                        if draw() < p_word:
                            break
                    else:
                        break
                    start, length = words[first]
                    next_word = first + 1
                    if ngram_probability > 0 and draw() < ngram_probability:
                        # The draws of rng.randint(1, ...), by a shorter way.
                        next_word += rng.randrange(min(max_ngram_words, count - first))
                        length = sum(words[next_word - 1]) - start
                        spans.append(Span("ngram", start, length))
                    else:
                        spans.append(Span("word", start, length))
    return spans
