"""The subwords of three kinds of tokenizer: which begin or continue a word, and which ones make up a text's words.

Byte-level BPEs write the space before a word as Ġ (GPT-2, RoBERTa, BART), SentencePiece as ▁ (T5, ALBERT); WordPiece
marks all subwords but the first with ## (BERT).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from ilm.errors import UserError
from ilm.evaluation.cloze.items import Item
from ilm.examples.alignment import align
from ilm.examples.tokenize import token_positions
from ilm.infilling.token_bytes import BYTE_OF_SYMBOL

BYTE_LEVEL, SENTENCE_PIECE, WORD_PIECE = "Ġ", "▁", "##"
SHARES_A_TOKEN = "the word shares a token with its neighbours"
UNKNOWN = "the tokenizer does not know the word"


@dataclass(frozen=True)
class EncodedItem:
    """An item's text as tokens; `prefix` and `suffix` are the special tokens that the model expects around it.

    Blank b stands for the tokens ids[first:last] of `token_spans[b]`; `leading_space[b]`: the first of them includes
    the space before the word; `unknown[b]`: one of them is the unknown token.
    """

    prefix: tuple[int, ...]
    ids: tuple[int, ...]
    suffix: tuple[int, ...]
    token_spans: tuple[tuple[int, int], ...]
    leading_space: tuple[bool, ...]
    unknown: tuple[bool, ...]

    def word_ids(self, blank: int) -> tuple[int, ...]:
        """The tokens of the learner's word."""
        first, last = self.token_spans[blank]
        return self.ids[first:last]

    def fill(self, contents: Sequence[Sequence[int]]) -> list[int]:
        """The tokens of the text, without prefix and suffix, with `contents` in the blanks."""
        ids, done = [], 0
        for (first, last), content in zip(self.token_spans, contents, strict=True):
            ids += [*self.ids[done:first], *content]
            done = last
        return [*ids, *self.ids[done:]]


class Subwords:
    """The vocabulary of a fast tokenizer, padded to the V `rows` of the model's output.

    Boolean tensors (V,): `with_space` begin with a space, `without_space` do not (with WordPiece, both are those that
    begin a word), `continuing` may follow within a word, `regular` are not special, `letters` may be part of a word of
    letters, `unbroken` contain no white space except at the start.

    Raises: UserError for a tokenizer without character offsets, or one that does not mark the beginnings of words.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, rows: int):
        if not tokenizer.is_fast:
            raise UserError(
                f"The tokenizer of {tokenizer.name_or_path!r}, {type(tokenizer).__name__}, gives no character offsets "
                "(it is not a 'fast' one), so words cannot be located. Choose a model with a tokenizer.json: T5, mT5 "
                "or BERT, but not ByT5 or CANINE, which read bytes or characters."
            )
        self.tokenizer = tokenizer
        size = min(len(tokenizer), rows)
        raw = tokenizer.convert_ids_to_tokens(list(range(size)))
        special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        special |= set(tokenizer.all_special_ids)
        marks = {
            mark: sum(t is not None and t.startswith(mark) for t in raw)
            for mark in (BYTE_LEVEL, SENTENCE_PIECE, WORD_PIECE)
        }
        self.style = max(marks, key=lambda mark: marks[mark])
        if not marks[self.style]:
            raise UserError(
                f"The tokenizer of {tokenizer.name_or_path!r} does not mark words as {BYTE_LEVEL}word, "
                f"{SENTENCE_PIECE}word or wo{WORD_PIECE}rd. Choose another model."
            )
        self._raw = ["" if token is None or i in special else token for i, token in enumerate(raw)]
        texts = list(map(self._text, self._raw))

        def those(test: Callable[[str], bool], of: Sequence[str] = texts) -> torch.Tensor:
            found = torch.zeros(rows, dtype=torch.bool)
            found[:size] = torch.tensor([text != "" and test(token) for text, token in zip(texts, of, strict=True)])
            return found

        self.regular = those(bool)
        self.letters = those(_is_letters)
        self.unbroken = those(lambda text: not any(map(str.isspace, text[1:])))
        if self.style == WORD_PIECE:
            self.continuing = those(lambda token: token.startswith(WORD_PIECE), self._raw)
            self.with_space = self.without_space = self.regular & ~self.continuing
        else:
            self.with_space = those(lambda text: text.startswith(" "))
            self.without_space = self.continuing = self.regular & ~self.with_space

    def allowed(self, leading_space: bool, *, letters: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """(first, later), each boolean (V,): the tokens allowed first in an answer of one word, and after that.

        `leading_space`: a space precedes the blank. `letters`: letters only.
        """
        first = self.with_space if leading_space else self.without_space
        # WordPiece splits "n't" into three words: if marks are allowed, they may continue a word.
        later = self.regular if self.style == WORD_PIECE and not letters else self.continuing
        first, later = first & self.unbroken, later & self.unbroken
        return (first & self.letters, later & self.letters) if letters else (first, later)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of an answer of one word, without its leading space."""
        tokens = [self._raw[i] for i in ids]
        if self.style == BYTE_LEVEL:
            return bytes(BYTE_OF_SYMBOL[c] for token in tokens for c in token).decode("utf-8", "replace").strip()
        if any(token.startswith("<0x") for token in tokens):
            return self.tokenizer.decode(list(ids)).strip()
        return "".join(map(self._text, tokens)).strip()

    def encode(self, item: Item) -> EncodedItem | str:
        """The tokens of an item's text with the learner's words, or why this tokenizer cannot encode it.

        Special tokens spelled out in a text are treated as text.
        """
        encoding = self.tokenizer(
            item.text,
            split_special_tokens=True,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            verbose=False,  # the report counts texts that are too long
        )
        mask = encoding.special_tokens_mask
        begin = next((at for at, special in enumerate(mask) if not special), len(mask))
        end = len(mask) - next((at for at, special in enumerate(reversed(mask)) if not special), len(mask))
        ids = encoding.input_ids[begin:end]
        if not ids:
            return UNKNOWN
        positions = token_positions(encoding.offset_mapping[begin:end], len(item.text))
        starts, lengths = np.array(item.spans).T
        token_spans = []
        for (start, length), first, last in zip(
            item.spans, *map(np.ndarray.tolist, align(positions, starts, lengths)), strict=True
        ):
            # A bar that is a token of its own belongs to the word: it is the space that the blank includes.
            if self.style == SENTENCE_PIECE and first and self._raw[ids[first - 1]] == SENTENCE_PIECE:
                first -= 1
            covered = item.text[positions[first] : positions[last]]
            if covered.strip() != item.text[start : start + length]:
                return SHARES_A_TOKEN
            token_spans.append((first, last))
        unknown = self.tokenizer.unk_token_id
        return EncodedItem(
            tuple(encoding.input_ids[:begin]),
            tuple(ids),
            tuple(encoding.input_ids[end:]),
            tuple(token_spans),
            tuple(bool(self.with_space[ids[first]]) for first, _ in token_spans),
            tuple(unknown is not None and unknown in ids[first:last] for first, last in token_spans),
        )

    def _text(self, token: str) -> str:
        """The text of a token, with its mark as a space and part of a character as U+FFFD."""
        if self.style == BYTE_LEVEL:
            if any(character not in BYTE_OF_SYMBOL for character in token):
                return token  # an added token, spelled as it is
            return bytes(BYTE_OF_SYMBOL[character] for character in token).decode("utf-8", "replace")
        if self.style == SENTENCE_PIECE:
            return "\ufffd" if token.startswith("<0x") and len(token) == 6 else token.replace(SENTENCE_PIECE, " ")
        return token.removeprefix(WORD_PIECE)


def _is_letters(text: str) -> bool:
    """Whether a token can be part of a word of letters; it may be half a character, or begin with a space."""
    letters = text.removeprefix(" ").replace("\ufffd", "")
    return letters.isalpha() or not letters
