"""Edits between a learner's text and its corrected version, from aligned words.

    learner      I has  went to home    .
    corrected    I have gone    home    .       edits: has went -> have gone, to -> (nothing)

Words are those of the masks, aligned by `difflib` (Ratcliff and Obershelp), which needs no model and assigns no error
types. Neighbouring words that differ are one edit; differences in white space are none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from ilm.masking.segmentation import words_of

Stretch = tuple[int, int]
"""(start, length) in characters; length 0 if this side of an edit is empty."""


@dataclass(frozen=True)
class Edit:
    """A stretch of the learner's text and its counterpart in the corrected text; `kind` is the type in an M2 file."""

    learner: Stretch
    corrected: Stretch
    kind: str | None = None


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
    """The stretch of words `first` to `last` (exclusive); if they are the same, an empty one before that word."""
    if first < last:
        return words[first][0], sum(words[last - 1]) - words[first][0]
    return (words[first][0] if first < len(words) else sum(words[-1]) if words else 0), 0
