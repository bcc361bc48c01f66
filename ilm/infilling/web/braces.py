"""Parses a text with answers in braces into a text with blanks.

    typed      She ate {leftover pasta} for {word: lunch}.
    text       She ate [ngram] for [word].
    answers    "leftover pasta"   "lunch"

The type of a blank is guessed from its answer, unless named before a colon. White space just inside the braces is not
part of the answer; a lone brace and `{}` are text.
"""

import re
from collections.abc import Collection, Sequence

from ilm.errors import UserError
from ilm.infilling.blanks import DEFAULT_BLANK, parse_blanks

# An answer does not begin with white space, or a long run of it after a lone brace would backtrack quadratically.
_MARKED = re.compile(r"\{(\s*)([^{}\s](?:[^{}]*[^{}\s])?)(\s*)\}")
_TYPED = re.compile(r"(\w+):\s*(?=\S)")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*$")
_SENTENCE_WITHIN = re.compile(r"[.!?…][\"'”’)\]]*\s+\S")


def parse_braces(
    text: str, mask_types: Sequence[str], known_types: Collection[str]
) -> tuple[str, tuple[str | None, ...]]:
    """The text with a blank for each answer in braces, and the answer to each blank: None if it was typed as a blank.

    `mask_types`: the model's. `known_types`: all that may be named before a colon.

    Raises: UserError if an answer names a known type that this model does not have, or for invalid limits.
    """
    blanked, answers, done = "", [], 0
    for match in _MARKED.finditer(text):
        before, answer, after = match.groups()
        named = _TYPED.match(answer)
        if named and named[1] in {*mask_types, *known_types}:
            if named[1] not in mask_types:
                raise UserError(f"The model has no blanks of type {named[1]}, only {', '.join(mask_types)}")
            kind, answer = named[1], answer[named.end() :]
        else:
            kind = unit_of(answer)
        # Blanks can be counted piece by piece: a bracket next to `_` does not change what it is.
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
    """A text with blanks, and the answer to each; `answers` None: given in the text, in braces.

    Raises: UserError if there are no answers, or not as many as blanks.
    """
    if answers is None:
        text, marked = parse_braces(text, mask_types, known_types)
        answers = [answer for answer in marked if answer is not None]
    if not answers:
        raise UserError("No answer is marked. Put braces around the words to judge: She ate {pasta} for lunch.")
    blanks = len(parse_blanks(text, mask_types)[1])
    if blanks != len(answers):
        raise UserError(
            f"The text has {blanks} blank(s), but {len(answers)} answer(s). To be judged, all answers must be in "
            f"braces, beside no other blanks; this model has the types {', '.join(mask_types)}"
        )
    return text, answers


def unit_of(answer: str) -> str:
    """The hierarchical mask type that an answer looks like, from its words, sentence ends and lines."""
    if len(answer.split()) == 1:
        return "word"
    if "\n" in answer:
        return "document"
    if _SENTENCE_WITHIN.search(answer):
        return "paragraph"
    return "sentence" if _SENTENCE_END.search(answer) else "ngram"
