"""A text typed with blanks, and how it becomes the context of a training example.

    typed      She ate [ngram] for _.
    pieces     "She ate "   " for "   "."        blanks  ngram, word
    context    She ate<|infill_ngram|> for<|infill_word|>.<|startofinfill|>
    answers    " leftover pasta"   " lunch"      as the model writes them

In the training examples of a byte-level BPE an answer carries the space before it, and none stands before its blank.
So the context loses the one space that was typed there, and the answer must begin with it; what is shown as the
answer is again what stands in the place of the blank, "leftover pasta". A tokenizer that puts a space before the first
word of every text has one there too: the answer to a blank at the very beginning must begin with it, and loses it.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ilm.errors import UserError
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.token_bytes import TokenBytes

WORD = "word"  # the mask type whose answers have one word by default
DEFAULT_BLANK = "[MASK]"
MAX_OPTION_CHARS = 500  # characters behind a colon: without a bound, many open brackets would take minutes


@dataclass(frozen=True)
class BlankLimits:
    """What the answer to one blank may be: `min_tokens` to `max_tokens` tokens (None: `max_answer_tokens`), without
    its end token; `min_words` to `max_words` words, runs of what is no ASCII white space; it must begin with `prefix`,
    as it reads in the place of the blank.

    Typed, they stand behind a colon in the brackets: `[word:l...]`, `[ngram:2-5 words]`, `[word:1 word]`,
    `[ngram:3 tokens]`, `[ngram:2-5 words:left...]`. A number alone is refused: it could be one of either.

    Raises: UserError for numbers that admit no answer, a prefix of white space alone or of too many words.
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
                raise UserError(f"An answer of at least {least}{bound} {unit}: expected 1 or more, and no fewer")
        if self.max_words is not None and self._words_in_prefix > self.max_words:
            raise UserError(f"An answer that begins with {self.prefix!r} has more than {self.max_words} words")
        if self.prefix.isspace() or self.prefix.startswith(" "):
            raise UserError(f"The prefix {self.prefix!r} begins with a space: type the space before the blank instead")

    @property
    def _words_in_prefix(self) -> int:
        """Words that the prefix has, or leads to: behind a space another one begins."""
        return len(self.prefix.split()) + self.prefix[-1:].isspace()

    def max_words_or(self, default: int | None) -> int | None:
        """The most words of an answer: `default` without a limit of words, but no fewer than its prefix leads to."""
        if self.max_words is not None or self.min_words > 1 or default is None:
            return self.max_words
        return max(default, self._words_in_prefix)

    @classmethod
    def parse(cls, options: str) -> "BlankLimits":
        """What stands behind the colon of a typed blank.

        Raises: UserError if it is neither a number of words or tokens nor a beginning with its dots.
        """
        found: dict[str, Any] = {}
        # A beginning may hold colons itself, so it comes last.
        head, _, rest = options.partition(":")
        numbers = re.fullmatch(r"(\d{0,9})(-?)(\d{0,9}) ?(?:(word|token)s?)?", head)
        if numbers and (numbers[1] or numbers[3]):
            least, dash, most, unit = numbers.groups()
            if unit is None:
                raise UserError(
                    f"[...:{head}] does not say what it counts. Type [...:{head} words], or [...:{head} tokens]: those "
                    "of the model, where a frequent word is one, and a rare or misspelt word several"
                )
            found[f"min_{unit}s"] = int(least or 1)
            if most or not dash:
                found[f"max_{unit}s"] = int(most or least)
            options = rest
        if options and (beginning := re.fullmatch(r"(.+?)(?:\.\.\.|…)", options, flags=re.DOTALL)):
            found["prefix"] = beginning[1]
        elif options or not found:
            raise UserError(
                f"[...:{options}] is not understood. Behind the colon of a blank stands how many words or tokens its "
                "answer has, [ngram:3 words] or [ngram:2-5 tokens], or what it begins with, [word:l...], or both, "
                "[ngram:2-5 words:left...]"
            )
        return cls(**found)


NO_LIMITS = BlankLimits()


def default_type(mask_types: Sequence[str]) -> int:
    """Which of the mask types a blank has that names none: `word` where there is one, else the last."""
    return mask_types.index(WORD) if WORD in mask_types else len(mask_types) - 1


def parse_blanks(
    text: str, mask_types: Sequence[str]
) -> tuple[tuple[str, ...], tuple[int, ...], tuple[BlankLimits, ...]]:
    """The pieces of text around the blanks (one more than blanks); of each blank its mask type, an index, and limits.

    A blank is `[TYPE]` for one of the mask types, or `[MASK]` or a lone `_` for the default
    (`default_type`). In brackets it may have limits, `[TYPE:...]` (see `BlankLimits`). Alone is an underscore
    between white space, brackets, quotation and punctuation marks; `a_b`, `__` and `^_^` are text, and so is `[TYPE]`
    of an unknown type.

    Raises: UserError for limits that are not understood.
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

    `pieces`, `types` and `limits` as `parse_blanks` gives them; `leading_space`: whether the answer begins with a space
    that is not shown, mostly the one typed before its blank. `ids`: the tokens up to and with the separator.
    `left_out`: how many characters at the beginning of the first piece and at the end of the last are not among them,
    since the text was too long (`truncate`). `told`: the first of `ids`, which tell a conditioned model of the text.
    """

    text: str
    pieces: tuple[str, ...]  # K + 1
    types: tuple[int, ...]
    limits: tuple[BlankLimits, ...]
    leading_space: tuple[bool, ...]
    ids: tuple[int, ...]
    left_out: tuple[int, int] = (0, 0)
    told: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str, vocabulary: Vocabulary, token_bytes: TokenBytes) -> "Context":
        """Raises: UserError for a text without a blank, or one that is no Unicode text."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"The text is not valid UTF-8 (at character {error.start + 1}). Convert it.") from error
        pieces, types, limits = parse_blanks(text, vocabulary.mask_types)
        if not types:
            forms = " ".join(f"[{name}]" for name in vocabulary.mask_types)
            raise UserError(f"The text has no blank. Write _ or {DEFAULT_BLANK}, or with its type one of {forms}")
        return cls.from_pieces(text, pieces, types, limits, vocabulary, token_bytes)

    @classmethod
    def from_pieces(
        cls,
        text: str,
        pieces: Sequence[str],
        types: Sequence[int],
        limits: Sequence[BlankLimits],
        vocabulary: Vocabulary,
        token_bytes: TokenBytes,
    ) -> "Context":
        """The context of pieces and blanks; `text` is what was typed."""
        leading_space = [token_bytes.words_carry_space and piece.endswith(" ") for piece in pieces[:-1]]
        if token_bytes.adds_prefix_space and not pieces[0]:
            leading_space[0] = True
        ids: list[int] = []
        for number, (piece, mask_type, space) in enumerate(zip(pieces, types, leading_space, strict=False)):
            encode = token_bytes.encode_continuation if number else vocabulary.encode
            ids += [*_encode_before_answer(piece, space, encode, token_bytes), int(vocabulary.blanks[mask_type])]
        ids += [*token_bytes.encode_continuation(pieces[-1]), vocabulary.start_of_infill]
        return cls(text, tuple(pieces), tuple(types), tuple(limits), tuple(leading_space), tuple(ids))

    def after(self, told: tuple[int, ...]) -> "Context":
        """The same behind tokens that tell of the text."""
        return replace(self, ids=(*told, *self.ids), told=told)

    def answer_prefix(self, blank: int) -> bytes:
        """What the answer to a blank must begin with, as the model writes it."""
        return b" " * self.leading_space[blank] + self.limits[blank].prefix.encode()

    def fill(self, answers: Sequence[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
        """The text with `answers` in the place of its blanks, and their spans (start, length) in characters."""
        text, spans = self.pieces[0], []
        for answer, piece in zip(answers, self.pieces[1:], strict=True):
            spans.append((len(text), len(answer)))
            text += answer + piece
        return text, tuple(spans)


def _encode_before_answer(
    piece: str, space: bool, encode: Callable[[str], list[int]], token_bytes: TokenBytes
) -> list[int]:
    """The tokens of a piece as they are when an answer follows.

    Byte-level BPEs split white space by what comes after it ("\\n\\n" is one token at the end of a text and two before
    a word), so such a piece is read with a word behind it.
    """
    follower = " x" if space else "x"
    kept = piece[:-1] if space else piece
    if not kept[-1:].isspace():
        return encode(kept) if kept else []
    ids, tail = encode(kept + follower), token_bytes.encode_continuation(follower)
    return ids[: -len(tail)] if ids[-len(tail) :] == tail else encode(kept)


def truncate(context: Context, most: int, vocabulary: Vocabulary, token_bytes: TokenBytes) -> Context:
    """The context with at most `most` tokens, and what it does not read in `left_out`.

    Words are left out at the beginning of the text and at its end, whichever is farther from a blank. Between the first
    blank and the last one nothing is: an answer would be written to a text that nobody wrote.

    Raises: UserError if what stands between its blanks is longer than that.
    """
    first, last = context.pieces[0], context.pieces[-1]
    # Lengths of the ends of the first piece, and of the beginnings of the last one, that consist of whole words.
    before = [0, *(len(first) - space.end() for space in reversed([*re.finditer(r"\s+", first)])), len(first)]
    after = [0, *(space.start() for space in re.finditer(r"\s+", last)), len(last)]

    def within(reach: int) -> Context:
        """With so many characters on either side of the blanks."""
        start = len(first) - max(n for n in before if n <= reach)
        end = max(n for n in after if n <= reach)
        pieces = (first[start:], *context.pieces[1:-1], last[:end])
        made = Context.from_pieces(context.text, pieces, context.types, context.limits, vocabulary, token_bytes)
        return replace(made, pieces=context.pieces, left_out=(start, len(last) - end))

    shortest = within(0)
    if len(shortest.ids) > most:
        raise UserError(
            f"From the first blank to the last one the text has {len(shortest.ids)} tokens, and {most} fit: "
            "fill fewer blanks at a time."
        )
    reaches = range(1, max(len(first), len(last)) + 1)
    farthest = bisect_right(reaches, most, key=lambda reach: len(within(reach).ids))
    return within(farthest) if farthest else shortest
