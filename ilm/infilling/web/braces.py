"""A text with its answers in braces, and how it becomes a text with blanks.

    typed      She ate {leftover pasta} for {word: lunch}.
    text       She ate [ngram] for [word].
    answers    "leftover pasta"   "lunch"

The blank has the type of the unit that the answer is, or the one named before a colon. White space at the edges of
the braces stays outside of the answer; a lone brace and `{}` are text.
"""

import re
from collections.abc import Collection, Sequence

from ilm.errors import UserError
from ilm.infilling.blanks import DEFAULT_BLANK, parse_blanks

# The first character of an answer is no white space: a long run of it behind a lone brace is not tried in every way.
_MARKED = re.compile(r"\{(\s*)([^{}\s](?:[^{}]*[^{}\s])?)(\s*)\}")
_TYPED = re.compile(r"(\w+):\s*(?=\S)")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*$")
_SENTENCE_WITHIN = re.compile(r"[.!?…][\"'”’)\]]*\s+\S")


def parse_braces(
    text: str, mask_types: Sequence[str], known_types: Collection[str]
) -> tuple[str, tuple[str | None, ...]]:
    """The text with a blank in the place of every answer in braces, and of each blank its answer: None if it was typed
    as a blank.

    `mask_types` are those of the model that is asked, `known_types` all that may be named before a colon.

    Raises: UserError if an answer names a type that is known, but not to this model, or limits are not understood.
    """
    blanked, answers, done = "", [], 0
    for match in _MARKED.finditer(text):
        before, answer, after = match.groups()
        named = _TYPED.match(answer)
        if named and named[1] in {*mask_types, *known_types}:
            if named[1] not in mask_types:
                raise UserError(f"The model has no blanks of type {named[1]}, only {', '.join(mask_types)}.")
            kind, answer = named[1], answer[named.end() :]
        else:
            kind = unit_of(answer)
        # What is a blank in a piece is one in the text: the bracket beside it changes nothing.
        piece = text[done : match.start()] + before
        answers += [*_open_blanks(piece, mask_types), answer]
        blanked += piece + (f"[{kind}]" if kind in mask_types else DEFAULT_BLANK) + after
        done = match.end()
    return blanked + text[done:], (*answers, *_open_blanks(text[done:], mask_types))


def _open_blanks(text: str, mask_types: Sequence[str]) -> list[None]:
    return [None] * len(parse_blanks(text, mask_types)[1])


def read_answers(
    text: str, answers: Sequence[str] | None, mask_types: Sequence[str], known_types: Collection[str]
) -> tuple[str, Sequence[str]]:
    """A text with blanks, and an answer to each; `answers` None: they stand in the text, in braces.

    Raises: UserError if there is no answer, or another number of them than of blanks.
    """
    marked: Sequence[str | None]
    if answers is None:
        text, marked = parse_braces(text, mask_types, known_types)
    else:
        marked = answers
    given = [answer for answer in marked if answer is not None]
    if not given:
        raise UserError("No answer is marked. Put braces around what is to be judged: She ate {pasta} for lunch.")
    blanks = len(parse_blanks(text, mask_types)[1])
    if blanks != len(given):
        raise UserError(
            f"Blanks: {blanks}, answers: {len(given)}. A text to judge has answers in braces, and no blanks beside; "
            f"the types of this model are {', '.join(mask_types)}."
        )
    return text, given


def unit_of(answer: str) -> str:
    """The mask type of hierarchical masking that an answer looks like: by its words, sentence ends and lines."""
    if len(answer.split()) == 1:
        return "word"
    if "\n" in answer:
        return "document"
    if _SENTENCE_WITHIN.search(answer):
        return "paragraph"
    return "sentence" if _SENTENCE_END.search(answer) else "ngram"
