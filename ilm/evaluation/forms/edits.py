"""Where a corrected text differs from the learner's: edits, of aligned words or as an M2 file gives them.

    learner      I has  went to home    .
    corrected    I have gone    home    .       edits: has went -> have gone, to -> (nothing)

Words are those that the masks use; they are aligned by `difflib` (Ratcliff and Obershelp), which needs no model and
knows no kinds of errors. Neighbouring words that differ are one edit. What differs in white space alone is none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from ilm.masking.segmentation import words_of

Stretch = tuple[int, int]
"""(start, length) in characters; of length 0 where one side has nothing."""


@dataclass(frozen=True)
class Edit:
    """A stretch of the learner's text, and what stands in the corrected text instead; `kind` as M2 types name it."""

    learner: Stretch
    corrected: Stretch
    kind: str | None = None


@dataclass(frozen=True)
class ParallelText:
    """A learner's text and its corrected version. `level`, `l1`: "" where unknown."""

    writing_id: str
    level: str
    l1: str
    learner: str
    corrected: str
    edits: tuple[Edit, ...]


def aligned_edits(learner: str, corrected: str) -> list[Edit]:
    """The edits between two texts, in order."""
    if learner == corrected:
        return []
    own, other = words_of(learner), words_of(corrected)
    sides = ((learner, own), (corrected, other))
    words = ([text[start : start + length] for start, length in of] for text, of in sides)
    matcher = SequenceMatcher(None, *words, autojunk=False)
    return [
        Edit(covering(own[a:b], own[b:]), covering(other[c:d], other[d:]))
        for operation, a, b, c, d in matcher.get_opcodes()
        if operation != "equal"
    ]


def covering(words: Sequence[Stretch], following: Sequence[Stretch]) -> Stretch:
    """From the first of some words to the last; of none, nothing before the one that follows."""
    if not words:
        return (following[0][0], 0) if following else (0, 0)
    return words[0][0], words[-1][0] + words[-1][1] - words[0][0]


def touched(learner: str, corrected: str) -> Iterator[Stretch]:
    """The stretches of the learner's text that edits change, those of an insertion of length 0."""
    yield from (edit.learner for edit in aligned_edits(learner, corrected))
