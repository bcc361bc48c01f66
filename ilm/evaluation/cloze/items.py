"""The items of a cloze test: learners' texts with words cut out.

    text       She ate leftover pasta for lunch.
    item       (text, blanks at "pasta")

Items are a pure function of (seed, writing_id, sample number) and the text. The eligible words are ordered by a hash of
(seed, writing_id, word number); sample 0 takes the first, sample 1 the next. So no word is cut out twice, and 5 samples
are the first 5 of 10.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from ilm.config.evaluate import Cloze
from ilm.evaluation.cloze.metrics import folded, normalised
from ilm.evaluation.forms.edits import aligned_edits
from ilm.hashing import order_key
from ilm.masking.segmentation import segment, words_of
from ilm.masking.tagging import Tagger

# Parts of speech by prefixes of the tagger's tags (Penn Treebank, Marcus et al. 1993).
_TAGS = {
    "pronoun": ("PRP", "WP", "EX"),
    "proper noun": ("NNP",),  # before NN
    "determiner": ("PDT", "WDT", "DT"),
    "adverb": ("WRB", "RB"),
    "noun": ("NN",),
    "verb": ("VB",),
    "modal verb": ("MD",),
    "adjective": ("JJ",),
    "particle": ("RP",),
    "preposition or subordinator": ("IN",),
    "to": ("TO",),
    "coordinator": ("CC",),
    "number": ("CD",),
}

HUMAN_TOKENS, RANDOM, EDITS = "human-tokens", "random", "edits"
FUNCTION, CONTENT = "function word", "content word"
TOO_FEW = "texts with fewer eligible words than task.n_masks"
FEWER_SAMPLES = "texts with too few eligible words for task.samples_per_text"


@dataclass(frozen=True)
class Item:
    """A text and its blanks: `spans` are (start, length) in characters of `text`, sorted."""

    writing_id: str
    l1: str
    cefr_level: str
    sample: int
    text: str
    spans: tuple[tuple[int, int], ...]

    @property
    def key(self) -> str:
        return f"{self.writing_id}#{self.sample}"

    @property
    def words(self) -> tuple[str, ...]:
        """The learner's words in the blanks."""
        return tuple(self.text[start : start + length] for start, length in self.spans)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "spans": [list(span) for span in self.spans], "words": list(self.words)}


def draw_items(documents: pd.DataFrame, options: Cloze) -> tuple[list[Item], dict[str, int]]:
    """(The items of `documents` (writing_id, l1, cefr_level, text), in order; counts of texts by what they lack)."""
    items: list[Item] = []
    counts: Counter[str] = Counter()
    edited = options.positions == EDITS
    others = documents[options.corrected] if edited else [None] * len(documents)
    for row, other in zip(documents.itertuples(), others, strict=True):
        text = cut(row.text, options.max_chars)
        counts["texts cut at task.max_chars"] += len(text) < len(row.text)
        words = words_of(text)
        waiting = eligible_words(text, words, options.positions)
        if edited:
            is_corrected = isinstance(other, str) and bool(other.strip())
            counts["texts without a corrected version"] += not is_corrected
            edits = aligned_edits(row.text, other) if is_corrected else []
            waiting = [number for number in waiting if any(_overlap(words[number], edit.learner) for edit in edits)]
        drawn = list(_draw(words, waiting, row.writing_id, options))
        counts[TOO_FEW] += not drawn
        counts[FEWER_SAMPLES] += 0 < len(drawn) < options.samples_per_text
        items += [
            Item(row.writing_id, row.l1, row.cefr_level, sample, text, spans) for sample, spans in enumerate(drawn)
        ]
    return items, {cause: count for cause, count in counts.items() if count}


def cut(text: str, max_chars: int | None) -> str:
    """The text, or its beginning: up to the last sentence end in the second half of `max_chars`, else to a word end."""
    if max_chars is None or len(text) <= max_chars:
        return text
    ends = (
        sentence.start + sentence.length for paragraph in segment(text).paragraphs for sentence in paragraph.sentences
    )
    if in_second_half := [end for end in ends if max_chars / 2 <= end <= max_chars]:
        return text[: max(in_second_half)]
    spaces = [at for at in range(max_chars + 1) if text[at].isspace()]
    return (text[: spaces[-1]].rstrip() if spaces else "") or text[:max_chars]


def eligible_words(text: str, words: Sequence[tuple[int, int]], positions: str) -> list[int]:
    """The numbers of the `words` that may be cut out.

    "random": all. "human-tokens": words of letters only, between white space, brackets, quotation or punctuation
    marks; not the "do" of "don't", nor a part of "e-mail" or "and/or". "edits": the same; `draw_items` keeps those that
    were corrected.
    """
    if positions == RANDOM:
        return list(range(len(words)))
    return [
        number
        for number, (start, length) in enumerate(words)
        if normalised(text[start : start + length]).isalpha() and _stands_alone(text, start, start + length)
    ]


def _stands_alone(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    joined = "'’`-_/@#&"
    if before.isalnum() or after.isalnum() or after == "_" or before == "_":
        return False
    if (before == "&" and after == ";") or (text[:start].endswith(("<", "</")) and after in (">", "/")):
        return False  # the name of an XML entity or a tag
    # A quotation mark or dash with nothing on its other side joins nothing.
    return not (
        (before and before in joined and text[start - 2 : start - 1].isalnum())
        or (after and after in joined and text[end + 1 : end + 2].isalnum())
    )


def _overlap(word: tuple[int, int], stretch: tuple[int, int]) -> bool:
    return word[0] < sum(stretch) and stretch[0] < sum(word)


def _draw(
    words: Sequence[tuple[int, int]], eligible: Sequence[int], writing_id: str, options: Cloze
) -> Iterator[tuple[tuple[int, int], ...]]:
    """The spans of a text's samples, as many as its `eligible` words allow.

    No two blanks of a sample are neighbours: a model that fills them one after the other could not tell where the first
    one ends.
    """
    waiting = sorted(eligible, key=lambda number: order_key(options.seed, "cloze", writing_id, number))
    for _ in range(options.samples_per_text):
        taken: list[int] = []
        for number in waiting:
            if all(abs(number - other) > 1 for other in taken):
                taken.append(number)
            if len(taken) == options.n_masks:
                break
        else:
            return
        waiting = [number for number in waiting if number not in taken]
        yield tuple(sorted(words[number] for number in taken))


def parts_of_speech(items: Sequence[Item], tagger: Tagger) -> dict[tuple[str, int], str]:
    """The part of speech of each blank's word in its sentence, by (item key, number of the blank)."""
    tags_of = {text: _tags(text, tagger) for text in {item.text for item in items}}
    return {
        (item.key, number): coarse(tags_of[item.text][span]) for item in items for number, span in enumerate(item.spans)
    }


def coarse(tag: str) -> str:
    """The part of speech of a Penn Treebank tag; "other" for punctuation and the rest."""
    return next((name for name, beginnings in _TAGS.items() if tag.startswith(beginnings)), "other")


def word_class(word: str) -> str:
    """Function or content word by a closed list (`data/function_words.txt`), whatever the context.

    So `like`, `past` and `need` always count as function words.
    """
    return FUNCTION if folded(word) in _function_words() else CONTENT


@cache
def _function_words() -> frozenset[str]:
    text = files("ilm.evaluation.cloze").joinpath("data/function_words.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def _tags(text: str, tagger: Tagger) -> dict[tuple[int, int], str]:
    tags: dict[tuple[int, int], str] = {}
    for paragraph in segment(text).paragraphs:
        for sentence in paragraph.sentences:
            words = [text[start : start + length] for start, length in sentence.words]
            tags |= dict(zip(sentence.words, (tag for _, tag in tagger(words)), strict=True))
    return tags
