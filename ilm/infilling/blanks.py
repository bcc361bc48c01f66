"""Parses a text typed with blanks into a context as in training.

    typed      She ate [ngram] for _.
    pieces     "She ate "   " for "   "."        blanks  ngram, word
    context    She ate<|infill_ngram|> for<|infill_word|>.<|startofinfill|>
    answers    " leftover pasta"   " lunch"      as generated

With a byte-level BPE, training examples have the space before an answer in the answer, not before its blank. So one
typed space before a blank is removed from the context, and the answer is forced to begin with it; answers are shown
without it, as "leftover pasta". If the tokenizer puts a space before the first word of every text, a blank at the start
of the text is treated the same way.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ilm.errors import UserError
from ilm.examples.alignment import align
from ilm.examples.layout import Example, Examples, add_prefixes, lay_out
from ilm.examples.tokenize import token_positions
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.token_bytes import TokenBytes
from ilm.runs.trained_model import INFILLING

WORD = "word"  # the mask type whose answers have one word by default
DEFAULT_BLANK = "[MASK]"
MAX_OPTION_CHARS = 500  # characters after a colon; unbounded, many open brackets would take minutes to parse


@dataclass(frozen=True)
class BlankLimits:
    """Limits on the answer to one blank: `min_tokens` to `max_tokens` tokens (None: `max_answer_tokens`), not counting
    its end token; `min_words` to `max_words` words (runs without ASCII white space); `prefix`, the text it must begin
    with, as shown in place of the blank.

    Typed after a colon in the brackets: `[word:l...]`, `[ngram:2-5 words]`, `[word:1 word]`, `[ngram:3 tokens]`,
    `[ngram:2-5 words:left...]`. A bare number is refused, since it could mean words or tokens.

    Raises: UserError for limits that no answer meets, or a prefix that is white space or has too many words.
    """

    min_tokens: int = 1
    max_tokens: int | None = None
    prefix: str = ""
    min_words: int = 1
    max_words: int | None = None

    def __post_init__(self) -> None:
        numbers = (("tokens", self.min_tokens, self.max_tokens), ("words", self.min_words, self.max_words))
        for unit, least, most in numbers:
            if least < 1 or (most is not None and most < least):
                bound = "" if most is None else f" and at most {most}"
                raise UserError(f"An answer of at least {least}{bound} {unit}: expected 1 <= minimum <= maximum")
        if self.max_words is not None and self._words_in_prefix > self.max_words:
            raise UserError(f"An answer that begins with {self.prefix!r} has more than {self.max_words} words")
        if self.prefix.isspace() or self.prefix.startswith(" "):
            raise UserError(f"The prefix {self.prefix!r} begins with a space: type the space before the blank instead")

    @property
    def _words_in_prefix(self) -> int:
        """Words in the prefix, plus one if it ends with a space, which begins another."""
        return len(self.prefix.split()) + self.prefix[-1:].isspace()

    def max_words_or(self, default: int | None) -> int | None:
        """Maximum words of an answer: `default` if no limit is given, but at least those of the prefix."""
        if self.max_words is not None or self.min_words > 1 or default is None:
            return self.max_words
        return max(default, self._words_in_prefix)

    @classmethod
    def parse(cls, options: str) -> "BlankLimits":
        """Parse what follows the colon of a typed blank.

        Raises: UserError unless it is a number of words or tokens, or a prefix with dots.
        """
        found: dict[str, Any] = {}
        # A beginning may hold colons itself, so it comes last.
        head, _, rest = options.partition(":")
        numbers = re.fullmatch(r"(\d{0,9})(-?)(\d{0,9}) ?(?:(word|token)s?)?", head)
        if numbers and (numbers[1] or numbers[3]):
            least, dash, most, unit = numbers.groups()
            if unit is None:
                raise UserError(
                    f"[...:{head}] does not say what it counts. Type [...:{head} words], or [...:{head} tokens] for "
                    "tokens of the model: a frequent word is one, a rare or misspelt word several"
                )
            found[f"min_{unit}s"] = int(least or 1)
            if most or not dash:
                found[f"max_{unit}s"] = int(most or least)
            options = rest
        if options and (beginning := re.fullmatch(r"(.+?)(?:\.\.\.|…)", options, flags=re.DOTALL)):
            found["prefix"] = beginning[1]
        elif options or not found:
            raise UserError(
                f"[...:{options}] is not understood. After the colon of a blank, type how many words or tokens its "
                "answer has, [ngram:3 words] or [ngram:2-5 tokens], or what it begins with, [word:l...], or both, "
                "[ngram:2-5 words:left...]"
            )
        return cls(**found)


NO_LIMITS = BlankLimits()


def default_type(mask_types: Sequence[str]) -> int:
    """The index of the default mask type: `word` if it exists, else the last."""
    return mask_types.index(WORD) if WORD in mask_types else len(mask_types) - 1


def parse_blanks(
    text: str, mask_types: Sequence[str]
) -> tuple[tuple[str, ...], tuple[int, ...], tuple[BlankLimits, ...]]:
    """The pieces of text around the blanks (one more than blanks), and each blank's mask type index and limits.

    A blank is `[TYPE]` with a mask type, or `[MASK]` or a lone `_` for the default type (`default_type`). Brackets may
    contain limits, `[TYPE:...]` (see `BlankLimits`). An underscore is lone between white space, brackets, quotation and
    punctuation marks; `a_b`, `__` and `^_^` are text, and so is `[TYPE]` with an unknown type.

    Raises: UserError for invalid limits.
    """
    types = {"MASK": default_type(mask_types)} | {name: index for index, name in enumerate(mask_types)}
    bracketed = rf"\[({'|'.join(map(re.escape, types))})(?::([^\]\n]{{0,{MAX_OPTION_CHARS}}}))?\]"
    lone = r"""(?<![^\s\]("'“‘«])_(?![^\s\[.,;:!?…)"'”’»])"""
    pieces, found, limits, done = [], [], [], 0
    for blank in re.finditer(f"{bracketed}|{lone}", text):
        name, options = blank.groups()
        pieces.append(text[done : blank.start()])
        found.append(types[name or "MASK"])
        limits.append(NO_LIMITS if options is None else BlankLimits.parse(options))
        done = blank.end()
    return (*pieces, text[done:]), tuple(found), tuple(limits)


@dataclass(frozen=True)
class Context:
    """A text with K blanks, tokenised to be filled.

    `pieces`, `types`, `limits`: from `parse_blanks`. `leading_space`: whether the answer begins with a hidden space,
    usually the one typed before its blank. `ids`: the tokens up to and including the separator. `left_out`: characters
    dropped from the start of the first piece and the end of the last because the text was too long (`truncate`).
    `prefix`: the prefix of `ids` that conditions the model.
    """

    text: str
    pieces: tuple[str, ...]  # K + 1
    types: tuple[int, ...]
    limits: tuple[BlankLimits, ...]
    leading_space: tuple[bool, ...]
    ids: tuple[int, ...]
    left_out: tuple[int, int] = (0, 0)
    prefix: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str, token_bytes: TokenBytes) -> "Context":
        """The context of a typed text. Raises: UserError for a text without blanks, or with invalid Unicode."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"The text is not valid UTF-8 (at character {error.start + 1}). Convert it.") from error
        mask_types = token_bytes.vocabulary.mask_types
        pieces, types, limits = parse_blanks(text, mask_types)
        if not types:
            forms = " ".join(f"[{name}]" for name in mask_types)
            raise UserError(f"The text has no blank. Write _ or {DEFAULT_BLANK}, or with its type one of {forms}")
        return cls.from_pieces(text, pieces, types, limits, token_bytes)

    @classmethod
    def from_pieces(
        cls,
        text: str,
        pieces: Sequence[str],
        types: Sequence[int],
        limits: Sequence[BlankLimits],
        token_bytes: TokenBytes,
    ) -> "Context":
        """Build a context from pieces and blanks; `text`: as typed."""
        vocabulary = token_bytes.vocabulary
        leading_space = [token_bytes.words_carry_space and piece.endswith(" ") for piece in pieces[:-1]]
        if token_bytes.adds_prefix_space and not pieces[0]:
            leading_space[0] = True
        ids: list[int] = []
        for number, (piece, mask_type, space) in enumerate(zip(pieces, types, leading_space, strict=False)):
            encode = token_bytes.encode_continuation if number else vocabulary.encode
            ids += [*_encode_before_answer(piece, space, encode, token_bytes), int(vocabulary.blanks[mask_type])]
        ids += [*token_bytes.encode_continuation(pieces[-1]), vocabulary.start_of_infill]
        return cls(text, tuple(pieces), tuple(types), tuple(limits), tuple(leading_space), tuple(ids))

    def after(self, prefix: tuple[int, ...]) -> "Context":
        """The same context after a conditioning prefix."""
        return replace(self, ids=(*prefix, *self.ids), prefix=prefix)

    def answer_prefix(self, blank: int) -> bytes:
        """What the answer to a blank must begin with, in bytes as generated."""
        return b" " * self.leading_space[blank] + self.limits[blank].prefix.encode()

    def fill(self, answers: Sequence[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
        """The text with `answers` in place of the blanks, and their spans (start, length) in characters."""
        return fill_pieces(self.pieces, answers)


def fill_pieces(pieces: Sequence[str], answers: Sequence[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The text of `pieces` with `answers` between them, and their spans (start, length) in characters."""
    text, spans = pieces[0], []
    for answer, piece in zip(answers, pieces[1:], strict=True):
        spans.append((len(text), len(answer)))
        text += answer + piece
    return text, tuple(spans)


def _encode_before_answer(
    piece: str, space: bool, encode: Callable[[str], list[int]], token_bytes: TokenBytes
) -> list[int]:
    """The tokens of a piece as they are before an answer.

    Byte-level BPEs split white space by what follows ("\\n\\n" is one token at the end of a text, two before a word),
    so such a piece is tokenised with a word after it.
    """
    follower = " x" if space else "x"
    kept = piece[:-1] if space else piece
    if not kept[-1:].isspace():
        return encode(kept) if kept else []
    ids, tail = encode(kept + follower), token_bytes.encode_continuation(follower)
    return ids[: -len(tail)] if ids[-len(tail) :] == tail else encode(kept)


def truncate(context: Context, most: int, token_bytes: TokenBytes) -> Context:
    """The context truncated to at most `most` tokens, with the dropped characters in `left_out`.

    Words are dropped at the start and the end of the text, those farthest from a blank first. Nothing is dropped
    between the first blank and the last, which would change the text that answers belong to.

    Raises: UserError if the text between the blanks is longer than that.
    """
    first, last = context.pieces[0], context.pieces[-1]
    # Lengths of suffixes of the first piece, and of prefixes of the last, that consist of whole words.
    before = [0, *(len(first) - space.end() for space in reversed([*re.finditer(r"\s+", first)])), len(first)]
    after = [0, *(space.start() for space in re.finditer(r"\s+", last)), len(last)]

    def within(reach: int) -> Context:
        """The context with `reach` characters on either side of the blanks."""
        start = len(first) - max(n for n in before if n <= reach)
        end = max(n for n in after if n <= reach)
        pieces = (first[start:], *context.pieces[1:-1], last[:end])
        made = Context.from_pieces(context.text, pieces, context.types, context.limits, token_bytes)
        return replace(made, pieces=context.pieces, left_out=(start, len(last) - end))

    shortest = within(0)
    if len(shortest.ids) > most:
        raise UserError(
            f"From the first blank to the last one the text has {len(shortest.ids)} tokens, but only {most} fit: "
            "fill fewer blanks at a time."
        )
    reaches = range(1, max(len(first), len(last)) + 1)
    farthest = bisect_right(reaches, most, key=lambda reach: len(within(reach).ids))
    return within(farthest) if farthest else shortest


def filled_example(
    text: str,
    spans: Sequence[tuple[int, int]],
    types: Sequence[int],
    vocabulary: Vocabulary,
    prefix: Sequence[int] = (),
) -> Example:
    """The example of a text with answers at `spans`, (start, length) in characters; it is tokenised whole.

    `types`: of each blank the index of its mask type; `prefix`: conditioning tokens.

    Raises: UserError if two answers share a token.
    """
    encoded = vocabulary.tokenizer(
        text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
    )
    starts, lengths = np.array(spans).T
    first, last = align(token_positions(encoded.offset_mapping, len(text)), starts, lengths)
    if (first[1:] < last[:-1]).any():
        raise UserError("Two answers share a token. Leave a space between the blanks.")
    runs = list(zip(types, first.tolist(), last.tolist(), strict=True))
    ids = encoded.input_ids
    example = lay_out(ids, runs, vocabulary, INFILLING, max_length=len(ids) + 2 * len(runs) + 1)
    return add_prefixes(Examples.of([example]), [np.array(prefix, dtype=np.int32)])[0]
