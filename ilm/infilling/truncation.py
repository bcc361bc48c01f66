"""A text too long for the model: what is nearest to its blanks is read, the rest is not.

Words are left out at the beginning of the text and at its end, whichever is farther from a blank, in tokens. Between
the first blank and the last one nothing is left out: an answer would be written to a text that nobody wrote.
"""

import re
from dataclasses import replace

from ilm.errors import UserError
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import Context
from ilm.infilling.token_bytes import TokenBytes


def truncate(context: Context, most: int, vocabulary: Vocabulary, token_bytes: TokenBytes) -> Context:
    """The context with at most `most` tokens, and what it does not read in `left_out`.

    Raises: UserError if what stands between its blanks is longer than that.
    """
    first, last = context.pieces[0], context.pieces[-1]
    # Places to cut at, each with what is left: after the white space of the first piece, before that of the last one.
    starts = [0, *(space.end() for space in re.finditer(r"\s+", first)), len(first)]
    ends = [len(last), *(space.start() for space in reversed(list(re.finditer(r"\s+", last)))), 0]

    def cut(start: int, end: int) -> Context:
        pieces = (first[starts[start] :], *context.pieces[1:-1], last[: ends[end]])
        made = Context.from_pieces(context.text, pieces, context.types, context.limits, vocabulary, token_bytes)
        return replace(made, pieces=context.pieces, left_out=(starts[start], len(last) - ends[end]))

    shortest = cut(len(starts) - 1, len(ends) - 1)
    if len(shortest.ids) > most:
        raise UserError(
            f"From the first blank to the last one the text has {len(shortest.ids)} tokens, and {most} fit: "
            "fill fewer blanks at a time."
        )
    # How far from its blank each side may reach, in characters: the most that fits, found by halving.
    low, high = 0, max(len(first), len(last))
    best = shortest
    while low <= high:
        reach = (low + high) // 2
        start = next(n for n, at in enumerate(starts) if len(first) - at <= reach)
        end = next(n for n, at in enumerate(ends) if at <= reach)
        found = cut(start, end)
        if len(found.ids) <= most:
            best, low = found, reach + 1
        else:
            high = reach - 1
    return best
