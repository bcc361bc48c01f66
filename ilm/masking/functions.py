"""Mask functions choose the spans of a document that are cut out for the model to fill in.

A mask function is any object with `mask_types` and a call `(text, rng) -> list[Span]`; `check_spans` defines a valid
result. Possible results of those in this module for "She ate leftover pasta for lunch.":

    Hierarchical    [("ngram", 8, 14), ("word", 27, 5)]    leftover pasta, lunch; the ILM paper's function
    Documents       [("document", 0, 33)]                  likewise Paragraphs, Sentences, Ngrams, Words:
                                                           a single level of the hierarchy
    Punctuation     [("sentence_terminal", 32, 1)]
    Verse           as Hierarchical, with stanzas and lines; ProperNouns: names

The single-level functions mask about 15 % of a text by default, as BERT does (Devlin et al. 2019). That is close to the
13.6 % of `Hierarchical`, so models trained with them can be compared.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, Protocol

from ilm.errors import UserError
from ilm.masking.segmentation import Document, segment, segment_verse
from ilm.masking.tagging import proper_nouns, require_tagger


class Span(NamedTuple):
    """A part of a document to cut out: `text[start : start + length]`, in characters."""

    mask_type: str
    start: int
    length: int


class MaskFunction(Protocol):
    """Draws one mask: non-overlapping spans sorted by start, with types from `mask_types`.

    `rng` must be its only source of randomness, so that a document's masks never depend on other documents.
    """

    mask_types: tuple[str, ...]

    def __call__(self, text: str, rng: random.Random) -> list[Span]: ...


@dataclass(frozen=True)
class _Checked:
    """Raises UserError for a parameter that is not a valid probability or number of words."""

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
    """Masks each unit with probability `p`, from the document down, and descends into units not masked.

    With `ngram_probability`, a masked word becomes an n-gram of k words, k uniform on 1 to `max_ngram_words` but within
    its sentence. From Donahue, Lee and Liang (2020, arXiv 2005.05339), section 3. It consumes `rng` as their
    implementation does, so equal seeds give equal masks.
    """

    p: float = 0.03
    ngram_probability: float = 0.5
    max_ngram_words: int = 8
    mask_types: ClassVar[tuple[str, ...]] = ("document", "paragraph", "sentence", "ngram", "word")

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        return self._drawn(segment(text), rng)

    def _drawn(self, document: Document, rng: random.Random) -> list[Span]:
        return _draw(document, rng, self.p, self.p, self.p, self.p, self.ngram_probability, self.max_ngram_words)


class Verse(Hierarchical):
    """`Hierarchical` for poems: stanzas have type "paragraph", lines "sentence", as in the reference implementation.

    Empty lines separate stanzas. Equal seeds give the masks of the reference's MaskHierarchicalVerse.
    """

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        return self._drawn(segment_verse(text), rng)


@dataclass(frozen=True)
class _OneLevel(_Checked):
    p: float = 0.15
    mask_types: ClassVar[tuple[str, ...]] = ()

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        probability: dict[str, Any] = {f"p_{self.mask_types[0]}": self.p}
        return _draw(segment(text), rng, **probability)


class Documents(_OneLevel):
    """Masks the whole document with probability `p`: generation without context. A text has at most two masks."""

    mask_types = ("document",)


class Paragraphs(_OneLevel):
    """Masks each paragraph (line) with probability `p`. A text of n paragraphs has at most 2**n masks."""

    mask_types = ("paragraph",)


class Sentences(_OneLevel):
    """Masks each sentence with probability `p`. A text of n sentences has at most 2**n masks."""

    mask_types = ("sentence",)


class Words(_OneLevel):
    """Masks each word with probability `p`."""

    mask_types = ("word",)


@dataclass(frozen=True)
class Ngrams(_Checked):
    """At each word, starts an n-gram of k words with probability `p`; k is uniform on 1 to `max_ngram_words`.

    An n-gram never crosses the end of its sentence. The default masks 15 % of the words: on average 4.5 masked words
    (fewer at sentence ends) alternate with 1/p - 1 = 24 unmasked ones.
    """

    p: float = 0.04
    max_ngram_words: int = 8
    mask_types: ClassVar[tuple[str, ...]] = ("ngram",)

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        return _draw(segment(text), rng, p_word=self.p, ngram_probability=1, max_ngram_words=self.max_ngram_words)


@dataclass(frozen=True)
class Punctuation(_Checked):
    """Masks each character that is neither alphanumeric nor white space with probability `p`, one by one.

    The default masks half of them: they are few, and the rest of a text hardly reveals their number.
    """

    p: float = 0.5
    mask_types: ClassVar[tuple[str, ...]] = ("sentence_terminal", "other")

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        return [
            Span("sentence_terminal" if character in ".?!" else "other", start, 1)
            for start, character in enumerate(text)
            if not (character.isalnum() or character.isspace()) and rng.random() < self.p
        ]


@dataclass(frozen=True)
class ProperNouns(_Checked):
    """Masks each word tagged by NLTK as a singular proper noun (NNP) with probability `p`.

    With the default of 1, as in the reference implementation, a document has a single mask.

    Raises: UserError if the tagger's data is not installed.
    """

    p: float = 1.0
    mask_types: ClassVar[tuple[str, ...]] = ("proper_noun",)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_tagger()

    def __call__(self, text: str, rng: random.Random) -> list[Span]:
        return [Span("proper_noun", *word) for word in proper_nouns(text) if rng.random() < self.p]


def check_spans(spans: Sequence[Span], text_length: int, mask_types: Sequence[str], function_name: str) -> None:
    """Raise UserError unless `spans` is a valid mask of a text of `text_length` characters.

    Spans are (type, start, length), with a type in `mask_types`, non-empty, inside the text, sorted by start, and
    non-overlapping; they may be adjacent. The only empty span allowed is that of an empty text.
    """
    end = 0
    for number, span in enumerate(spans):
        try:
            mask_type, start, length = span
        except (TypeError, ValueError):
            mask_type, start, length = "", -1, 0
        is_span = mask_type in mask_types and type(start) is int and type(length) is int
        if not is_span or start < end or length < min(1, text_length) or start + length > text_length:
            raise UserError(
                f"Mask function {function_name}: span {number} of {len(spans)} is {span!r}. Expected (type, start, "
                f"length): a type of {', '.join(mask_types)}; whole numbers of characters; not empty; from character "
                f"{end}, where the previous span ends, to {text_length}, the end of the text. Correct the function and "
                "run prepare.py again."
            )
        end = start + length


def _draw(
    document: Document,
    rng: random.Random,
    p_document: float = 0,
    p_paragraph: float = 0,
    p_sentence: float = 0,
    p_word: float = 0,
    ngram_probability: float = 0,
    max_ngram_words: int = 1,
) -> list[Span]:
    """Draw one mask as `Hierarchical` does, with a probability per level; a probability of 0 consumes no draw."""
    draw = rng.random
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
                # The inner loop takes nearly all the time: one draw for every word of every mask.
                while next_word < count:
                    for first in range(next_word, count):  # noqa: B007
                        if draw() < p_word:
                            break
                    else:
                        break
                    start, length = words[first]
                    next_word = first + 1
                    if ngram_probability > 0 and draw() < ngram_probability:
                        # Equals rng.randint(1, ...), but faster.
                        next_word += rng.randrange(min(max_ngram_words, count - first))
                        length = sum(words[next_word - 1]) - start
                        spans.append(Span("ngram", start, length))
                    else:
                        spans.append(Span("word", start, length))
    return spans
