"""Which token may come next in an answer.

    sequence  =  context <|startofinfill|> answer{one per blank, in order}
    answer    =  token{min_tokens to max_tokens} <|endofinfill|>        token: of the base vocabulary, not special

The tokens of an answer make a text: whole characters, as in training, though a token may hold a part of one. An answer
is not white space alone, begins with what its context requires of it (the space typed before its blank, and the prefix
of its limits), and has from `min_words` to `max_words` words, with no white space behind the last that it may have.
Every set of allowed tokens leaves a way to an answer that keeps all of this.

Legend: V rows of the model's output (at least the tokenizer's).
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch

from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import Context
from ilm.infilling.token_bytes import TokenStrings, begun_character, words_begun

MOST_REMEMBERED = 256
LONGEST_CHARACTER = 4  # bytes in UTF-8


class Position(NamedTuple):
    """Where an answer stands: what it must still begin with, the first bytes of a character that it has begun, whether
    it is white space so far, if it may end, and how many tokens it may still take; whether it ends with a word, how
    many words are missing to the fewest it must have, and how many it may still begin (None: any number)."""

    required: bytes
    begun: bytes
    needs_text: bool
    may_end: bool
    room: int
    in_word: bool = False
    missing: int = 0
    left: int | None = None


class Grammar:
    """The allowed tokens of a vocabulary, for a model with `rows` rows of output."""

    def __init__(self, vocabulary: Vocabulary, strings: TokenStrings, rows: int, device: torch.device):
        self.strings, self.end, self._device, self._rows = strings, vocabulary.end_of_infill, device, rows
        self._words = [i for i in range(len(strings.of)) if i not in strings.special]
        never = set(range(rows)) - {*self._words, self.end}
        # Tokens that no answer holds, and those that go on with a character: they never begin one.
        self.never = torch.tensor(sorted(never), device=device)
        self._goes_on = [i for i in self._words if begun_character(strings.of[i]) is None]
        self.goes_on = torch.tensor(self._goes_on, dtype=torch.long, device=device)
        self._remembered: dict[Position, torch.Tensor] = {}
        self._fewest_to_finish = lru_cache(maxsize=None)(self._find_fewest_to_finish)
        self._most_words = max(words_begun(strings.of[i], in_word=False) for i in self._words)  # of a token

    def least(self, context: Context, blank: int) -> float:
        """The fewest tokens of an answer, without its end."""
        required, limits = context.required(blank), context.limits[blank]
        # A space alone is no answer yet; but then a token with more behind it is one.
        fewest = self.strings.fewest(required) if required else 1
        begun = max(words_begun(required, in_word=False), 1)
        return max(limits.min_tokens, fewest + self._fewest_of_words(limits.min_words - begun, in_word=True))

    def allowed(self, position: Position) -> torch.Tensor | None:
        """Tokens that may come next, boolean (V,); None for all but those of `never` and `goes_on`.

        The end is always among them: `may_end` says whether it may come, and without room it comes whatever is allowed.
        """
        required, begun, needs_text, _, room, in_word, missing, left = position
        # What makes no difference: the words missing and the room where there is more of it than the longest way
        # takes, and how many words may come where it is more than a token has.
        missing = missing if room < len(required) + LONGEST_CHARACTER + 2 * missing else 0
        room = min(room, len(required) + LONGEST_CHARACTER + 2 * missing)
        left = left if left is not None and left <= self._most_words else None
        if room == 0 or (not required and not begun and not missing and left is None and room >= LONGEST_CHARACTER):
            return None
        in_word = in_word and (left is not None or missing > 0)
        key = Position(required, begun, needs_text and room <= 1, False, room, in_word, missing, left)
        if key not in self._remembered:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            allowed = torch.zeros(self._rows, dtype=torch.bool)
            allowed[[i for i in self._candidates(key) if self._leaves_a_way(self.strings.of[i], key)]] = True
            allowed[self.end] = True
            self._remembered[key] = allowed.to(self._device)
        return self._remembered[key]

    def _candidates(self, position: Position) -> list[int]:
        """The tokens worth a look."""
        if position.required:
            return [*self.strings.beginning(position.required), *self.strings.parts(position.required)]
        return self._goes_on if position.begun else self._words

    def _leaves_a_way(self, token: bytes, position: Position) -> bool:
        """Whether an answer goes on with a token, and can be finished in the room behind it."""
        required, begun, needs_text, _, room, in_word, missing, left = position
        text = token if len(token) >= len(required) else required
        new_words, in_word_now = words_begun(text, in_word), not text[-1:].isspace()
        if left is not None and (new_words > left or (new_words == left and not in_word_now)):
            return False
        words_to_come = self._fewest_of_words(missing - new_words, in_word_now)
        if len(token) < len(required):
            return self.strings.fewest(required[len(token) :]) + words_to_come < room
        # What is required ends with a whole character.
        begun_now = begun_character(token[len(required) :] if required else begun + token)
        if begun_now is None or self._fewest_to_finish(_as_long(begun_now)) + words_to_come >= room:
            return False
        return not (needs_text and room == 1) or bool((begun + token).decode().strip())

    def _fewest_of_words(self, words: int, in_word: bool) -> int:
        """The fewest tokens that write so many more words, behind a word or behind white space."""
        if words <= 0:
            return 0
        behind_a_word = 1 if self.strings.carry_space else 2  # the space is one of its own
        return behind_a_word * words if in_word else 1 + behind_a_word * (words - 1)

    def _find_fewest_to_finish(self, begun: bytes) -> float:
        """The fewest tokens that finish a character; infinite if none do."""
        if not begun:
            return 0
        texts = {begun + self.strings.of[i] for i in self._goes_on}
        # Either finished now, or the same character, of which less is missing.
        rests = ((begun_character(text), text) for text in texts if len(text) <= LONGEST_CHARACTER)
        least = (self._fewest_to_finish(_as_long(rest)) for rest, text in rests if rest in (b"", text))
        return 1 + min(least, default=math.inf)


def _as_long(begun: bytes) -> bytes:
    """A begun character that the same bytes finish: behind its second byte any character of as many bytes."""
    if len(begun) < 2:
        return begun
    length = 4 if begun[0] >= 0xF0 else 3
    return {1: b"\xc2", 2: b"\xe1"}[length - len(begun)]
