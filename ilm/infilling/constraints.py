"""Constrained decoding: which tokens may come next in an answer.

    sequence  =  context <|startofinfill|> answer{one per blank, in order}
    answer    =  token{min_tokens to max_tokens} <|endofinfill|>        token: of the base vocabulary, not special

An answer is valid UTF-8, although a token may hold part of a character. It is not just white space, begins with its
prefix (the space typed before its blank, and the prefix of its limits), and has `min_words` to `max_words` words, with
no white space after the last possible word. Every allowed token leaves a valid answer within reach.

Legend: V rows of the model's output (at least the tokenizer's).
"""

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import torch

from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import WORD, Context
from ilm.infilling.token_bytes import TokenBytes, count_words, partial_character

MAX_CACHED_MASKS = 256
MAX_CHARACTER_BYTES = 4  # in UTF-8


class ConstraintState(NamedTuple):
    """Everything that determines which tokens may come next in an open answer."""

    prefix: bytes  # the rest of the required prefix
    partial: bytes  # leading bytes of an incomplete last character
    needs_text: bool  # only white space so far
    may_end: bool
    tokens_left: int
    in_word: bool = False  # ends with a word
    words_missing: int = 0  # words up to the minimum
    words_left: int | None = None  # words that may still begin; None: any number


class AnswerConstraints:
    """The allowed tokens of a vocabulary, for a model with `rows` output rows."""

    def __init__(self, vocabulary: Vocabulary, token_bytes: TokenBytes, rows: int, device: torch.device):
        self.token_bytes, self.end, self._device, self._rows = token_bytes, vocabulary.end_of_infill, device, rows
        self._text_tokens = [i for i in range(len(token_bytes.of)) if i not in token_bytes.special]
        self.word = vocabulary.mask_types.index(WORD) if WORD in vocabulary.mask_types else None
        # No answer may begin with a token that continues a character.
        self._continuations = [i for i in self._text_tokens if partial_character(token_bytes.of[i]) is None]
        self._free = self._mask(set(self._text_tokens).difference(self._continuations))
        self._allowed = lru_cache(maxsize=MAX_CACHED_MASKS)(self._find_allowed)
        self._min_tokens_to_complete = lru_cache(maxsize=None)(self._find_min_tokens_to_complete)
        self._max_words_of_token = max(count_words(token_bytes.of[i], in_word=False) for i in self._text_tokens)

    def min_tokens(self, context: Context, blank: int) -> float:
        """Minimum tokens of a valid answer, without its end token; infinite if there is none."""
        prefix, limits = context.answer_prefix(blank), context.limits[blank]
        # A space alone is not an answer, but a single token of a space and more may be.
        fewest = self.token_bytes.min_tokens(prefix) if prefix else 1
        words = max(count_words(prefix, in_word=False), 1)
        return max(limits.min_tokens, fewest + self._min_tokens_of_words(limits.min_words - words, in_word=True))

    def allowed_tokens(self, state: ConstraintState) -> torch.Tensor:
        """A mask (V,) of the tokens that may come next.

        It always includes the end token: `may_end` decides on it, and it is forced when no tokens are left.
        """
        prefix, partial, needs_text, _, tokens_left, in_word, words_missing, words_left = state
        # Normalised, so that states with equal allowed tokens share a mask: words missing and tokens left matter only
        # when scarce, words left only if a single token could exceed them.
        words_missing = words_missing if tokens_left < len(prefix) + MAX_CHARACTER_BYTES + 2 * words_missing else 0
        tokens_left = min(tokens_left, len(prefix) + MAX_CHARACTER_BYTES + 2 * words_missing)
        words_left = words_left if words_left is not None and words_left <= self._max_words_of_token else None
        is_free = not prefix and not partial and not words_missing and words_left is None
        if tokens_left == 0 or (is_free and tokens_left >= MAX_CHARACTER_BYTES):
            return self._free
        in_word = in_word and (words_left is not None or words_missing > 0)
        needs_text = needs_text and tokens_left <= 1
        return self._allowed(
            ConstraintState(prefix, partial, needs_text, False, tokens_left, in_word, words_missing, words_left)
        )

    def _find_allowed(self, state: ConstraintState) -> torch.Tensor:
        if state.prefix:
            possible = [*self.token_bytes.beginning_with(state.prefix), *self.token_bytes.prefixes_of(state.prefix)]
        else:
            possible = self._continuations if state.partial else self._text_tokens
        return self._mask(i for i in possible if self._can_follow(self.token_bytes.of[i], state))

    def _mask(self, allowed: Iterable[int]) -> torch.Tensor:
        mask = torch.zeros(self._rows, dtype=torch.bool)
        mask[[*allowed, self.end]] = True
        return mask.to(self._device)

    def _can_follow(self, token: bytes, state: ConstraintState) -> bool:
        """Whether the answer is valid with this token, and can be completed in the remaining tokens."""
        prefix, partial, needs_text, _, tokens_left, in_word, words_missing, words_left = state
        text = token if len(token) >= len(prefix) else prefix
        new_words, ends_in_word = count_words(text, in_word), not text[-1:].isspace()
        if words_left is not None and (new_words > words_left or (new_words == words_left and not ends_in_word)):
            return False
        for_words = self._min_tokens_of_words(words_missing - new_words, ends_in_word)
        if len(token) < len(prefix):
            return self.token_bytes.min_tokens(prefix[len(token) :]) + for_words < tokens_left
        # A prefix always ends with a whole character.
        new_partial = partial_character(token[len(prefix) :] if prefix else partial + token)
        if new_partial is None:
            return False
        if self._min_tokens_to_complete(_representative(new_partial)) + for_words >= tokens_left:
            return False
        return not (needs_text and tokens_left == 1) or bool((partial + token).decode().strip())

    def _min_tokens_of_words(self, words: int, in_word: bool) -> int:
        """Minimum tokens for `words` more words, after a word or after white space."""
        if words <= 0:
            return 0
        behind_a_word = 1 if self.token_bytes.words_carry_space else 2  # the space is a separate token
        return behind_a_word * words if in_word else 1 + behind_a_word * (words - 1)

    def _find_min_tokens_to_complete(self, partial: bytes) -> float:
        """Minimum tokens that complete a character; infinite if none do."""
        if not partial:
            return 0
        texts = {partial + self.token_bytes.of[i] for i in self._continuations}
        # Either completes the character, or leaves fewer bytes missing.
        rests = ((partial_character(text), text) for text in texts if len(text) <= MAX_CHARACTER_BYTES)
        fewest = (self._min_tokens_to_complete(_representative(rest)) for rest, text in rests if rest in (b"", text))
        return 1 + min(fewest, default=math.inf)


def _representative(partial: bytes) -> bytes:
    """A canonical partial character with the same completions: after the second byte only the length matters."""
    if len(partial) < 2:
        return partial
    length = 4 if partial[0] >= 0xF0 else 3
    return {1: b"\xc2", 2: b"\xe1"}[length - len(partial)]
