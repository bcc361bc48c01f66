"""Where a corrected text differs from the learner's: edits, of aligned words or as an M2 file gives them.

    learner      I has  went to home    .
    corrected    I have gone    home    .       edits: has went -> have gone, to -> (nothing)

Words are those that the masks use; they are aligned by `difflib` (Ratcliff and Obershelp), which needs no model and
knows no kinds of errors. Neighbouring words that differ are one edit. What differs in white space alone is none.
"""

from collections.abc import Sequence
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
    before, after = ([text[start : start + length] for start, length in of] for text, of in sides)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    return [
        Edit(covering(own, a, b), covering(other, c, d))
        for operation, a, b, c, d in matcher.get_opcodes()
        if operation != "equal"
    ]


def covering(words: Sequence[Stretch], first: int, last: int) -> Stretch:
    """From the beginning of word `first` to the end of the one before `last`; between words where they are the same."""
    if first < last:
        return words[first][0], sum(words[last - 1]) - words[first][0]
    return (words[first][0] if first < len(words) else sum(words[-1]) if words else 0), 0
