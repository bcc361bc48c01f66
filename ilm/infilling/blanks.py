"""A text typed with blanks, and how it becomes the context of a training example.

    typed      She ate [ngram] for _.
    pieces     "She ate "   " for "   "."        blanks  ngram, word
    context    She ate<|infill_ngram|> for<|infill_word|>.<|startofinfill|>
    answers    " leftover pasta"   " lunch"      as the model writes them

In the training examples of a byte-level BPE an answer carries the space before it, and none stands before its blank.
So the context loses the one space that was typed there, and the answer must begin with it; what is shown as the
answer is again what stands in the place of the blank, "leftover pasta".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ilm.errors import UserError
from ilm.examples.vocabulary import Vocabulary

DEFAULT = "[MASK]"


def parse_blanks(text: str, mask_types: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The pieces of text around the blanks (one more than blanks), and the mask type of each, its index.

    A blank is `[TYPE]` for one of the mask types, or `[MASK]` or a lone `_` for the default: `word` where there is
    one, else the last type. Alone is an underscore between white space, brackets, quotation and punctuation marks;
    `a_b`, `__` and `^_^` are text, and so is `[TYPE]` of an unknown type.
    """
    default = mask_types.index("word") if "word" in mask_types else len(mask_types) - 1
    types = {DEFAULT: default, "_": default} | {f"[{name}]": index for index, name in enumerate(mask_types)}
    bracketed = "|".join(re.escape(blank) for blank in types if blank != "_")
    lone = r"""(?<![^\s\]("'“‘«])_(?![^\s\[.,;:!?…)"'”’»])"""
    parts = re.split(f"({bracketed}|{lone})", text)
    return tuple(parts[::2]), tuple(types[blank] for blank in parts[1::2])


@dataclass(frozen=True)
class Context:
    """A typed text, ready to be filled.

    `pieces` as `parse_blanks` gives them; for each of the K blanks `types`, the index of its mask type, and `spaced`,
    whether the space typed before it went over to its answer; `ids`, the tokens up to the separator, with it.
    """

    text: str
    pieces: tuple[str, ...]
    types: tuple[int, ...]
    spaced: tuple[bool, ...]
    ids: tuple[int, ...]

    @classmethod
    def of(cls, text: str, vocabulary: Vocabulary, answers_carry_space: bool) -> "Context":
        """Parse and tokenise; `answers_carry_space`: the tokenizer has words that begin with their space.

        Raises: UserError for a text without a blank, or one that is no Unicode text.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"The text is not valid UTF-8 (at character {error.start + 1}). Convert it to UTF-8."
            ) from error
        pieces, types = parse_blanks(text, vocabulary.mask_types)
        if not types:
            forms = " ".join(f"[{name}]" for name in vocabulary.mask_types)
            raise UserError(f"The text has no blank. Write _ or {DEFAULT}, or with its type one of {forms}")
        spaced = tuple(answers_carry_space and piece.endswith(" ") for piece in pieces[:-1])
        ids: list[int] = []
        for piece, mask_type, space in zip(pieces, types, spaced, strict=False):
            ids += [*_encode_before_answer(piece, space, vocabulary), int(vocabulary.blanks[mask_type])]
        return cls(text, pieces, types, spaced, (*ids, *vocabulary.encode(pieces[-1]), vocabulary.start_of_infill))

    def fill(self, answers: Sequence[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
        """The text with `answers` in the place of its blanks, and their spans (start, length) in characters."""
        text, spans = self.pieces[0], []
        for answer, piece in zip(answers, self.pieces[1:], strict=True):
            spans.append((len(text), len(answer)))
            text += answer + piece
        return text, tuple(spans)


def _encode_before_answer(piece: str, space: bool, vocabulary: Vocabulary) -> list[int]:
    """The tokens of a piece as they are when an answer follows.

    Byte-level BPEs split white space by what comes after it ("\\n\\n" is one token at the end of a text and two before
    a word), so such a piece is read with a word behind it.
    """
    follower = " x" if space else "x"
    kept = piece[:-1] if space else piece
    if not kept[-1:].isspace():
        return vocabulary.encode(kept)
    ids, tail = vocabulary.encode(kept + follower), vocabulary.encode(follower)
    return ids[: -len(tail)] if ids[-len(tail) :] == tail else vocabulary.encode(kept)
