"""Which token may come next in an answer.

    sequence  =  context <|startofinfill|> answer{one per blank, in order}
    answer    =  token{min_tokens to max_tokens} <|endofinfill|>        token: of the base vocabulary, not special

An answer is not white space alone, and begins with what its context requires of it: the space typed before its blank,
and the prefix of its limits. Every set of allowed tokens leaves a way to an answer that keeps all of this.

Legend: V rows of the model's output (at least the tokenizer's).
"""

from typing import NamedTuple

import torch

from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import Context
from ilm.infilling.strings import TokenStrings

MOST_REMEMBERED = 256


class Position(NamedTuple):
    """Where an answer stands: what it must still begin with, whether a token must not be white space, if it may end,
    and how many tokens it may still take."""

    required: bytes
    needs_text: bool
    may_end: bool
    room: int


class Grammar:
    """The allowed tokens of a vocabulary, for a model with `rows` rows of output."""

    def __init__(self, vocabulary: Vocabulary, strings: TokenStrings, rows: int, device: torch.device):
        self.strings, self.end, self._device = strings, vocabulary.end_of_infill, device
        self._words, self._text = torch.zeros(2, rows, dtype=torch.bool)
        for i, text in enumerate(strings.of):
            self._words[i] = i not in strings.special
            self._text[i] = bool(self._words[i]) and not text.decode("utf-8", "replace").isspace()
        never = ~self._words
        never[self.end] = False
        self.never = never.nonzero().flatten().to(device)  # tokens that no answer holds
        self._remembered: dict[tuple[bytes, int, bool], torch.Tensor] = {}

    def is_text(self, token: int) -> bool:
        """Whether a token is more than white space."""
        return bool(self._text[token])

    def least(self, context: Context, blank: int) -> float:
        """The fewest tokens of an answer, without its end."""
        required = context.required(blank)
        fewest = self.strings.fewest(required) if required else 1
        # A space alone is no answer yet; but then a token with more behind it is one.
        return max(context.limits[blank].min_tokens, fewest)

    def allowed(self, position: Position) -> torch.Tensor | None:
        """Tokens that may come next, boolean (V,), the end apart; None for all but those of `never`."""
        required, needs_text, _, room = position
        last = needs_text and room <= 1
        if not required and not last:
            return None
        # Beyond the fewest tokens of what is required the room makes no difference.
        tight = min(room, len(required) + 2)
        key = (required, tight, needs_text)
        if key not in self._remembered:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = self._made(required, tight, needs_text).to(self._device)
        return self._remembered[key]

    def _made(self, required: bytes, room: int, needs_text: bool) -> torch.Tensor:
        strings = self.strings
        if not required:
            return self._text.clone()
        allowed = torch.zeros_like(self._words)
        allowed[strings.beginning(required)] = True
        for i in strings.parts(required):
            allowed[i] = strings.fewest(required[len(strings.of[i]) :]) <= room - 1
        allowed &= self._words
        # Nothing but white space would be an answer that there is no room to save.
        if needs_text and room <= 1 and bool((allowed & self._text).any()):
            allowed &= self._text
        return allowed
