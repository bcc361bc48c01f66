"""The bytes that each token of a vocabulary stands for inside a text, and which tokens may begin a given string.

Tokens end inside words and even inside characters, so "the answer begins with lun" is a rule about bytes: the first
token may be " l", " lun" or " lunch", but not " loud". (Starting a token early or late in this way is often called
token healing.)
"""

import codecs
import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from ilm.examples.vocabulary import Vocabulary

WORD_START = "\u2581"  # how SentencePiece writes a space
PROBES = ("x", "a", "e")  # a small vocabulary may lack a letter
# None of them is part of a longer token, in one kind of vocabulary or another.
MARKERS = ("\x01", "\n", "~")


class TokenStrings:
    """Of the V tokens of the base vocabulary: `of`, their bytes; special tokens stand for none.

    `carry_space`: words begin with their space, as in " lunch". `lead_with_space`: the tokenizer puts one before the
    first word of a text, where none was typed (Llama 2 and other SentencePiece models).
    """

    def __init__(self, vocabulary: Vocabulary):
        tokenizer, size = vocabulary.tokenizer, vocabulary.base_size
        self._vocabulary = vocabulary
        self.special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        self.special |= set(tokenizer.all_special_ids)
        found = _bytes_of(tokenizer, size, vocabulary)
        self.of: tuple[bytes, ...] = tuple(b"" if i in self.special else found[i] for i in range(size))
        self.carry_space = any(text.startswith(b" ") and text.strip() for text in self.of)
        self._probe = next((letter for letter in PROBES if self._leads(letter)), None)
        self.lead_with_space = self.carry_space and self._probe is not None
        self._sorted = sorted((text, i) for i, text in enumerate(self.of) if text)
        self._texts = [text for text, _ in self._sorted]
        self._longest = max(map(len, self._texts))
        self.fewest = lru_cache(maxsize=4096)(self._fewest)
        self._marker = self._find_marker() if self.lead_with_space else None

    def join(self, ids: Iterable[int]) -> bytes:
        """The bytes of tokens of the base vocabulary, end to end."""
        return b"".join(self.of[i] for i in ids)

    def text(self, ids: Iterable[int]) -> str:
        """Tokens as they read inside a text; bytes that are no UTF-8 become U+FFFD."""
        return self.join(ids).decode("utf-8", "replace")

    def beginning(self, string: bytes) -> list[int]:
        """The tokens that begin with all of `string`, which is not empty."""
        first = bisect_left(self._texts, string)
        after = bisect_left(self._texts, _successor(string)) if _successor(string) else len(self._texts)
        return [i for _, i in self._sorted[first:after]]

    def parts(self, string: bytes) -> list[int]:
        """The tokens that `string` begins with, and that are shorter."""
        found = []
        for end in range(1, min(len(string), self._longest + 1)):
            place = bisect_left(self._sorted, (string[:end], -1))
            while place < len(self._sorted) and self._sorted[place][0] == string[:end]:
                found.append(self._sorted[place][1])
                place += 1
            if place == len(self._sorted) or not self._sorted[place][0].startswith(string[:end]):
                break  # no longer token begins so
        return found

    def _fewest(self, string: bytes) -> float:
        """The fewest tokens that make a text beginning with the text `string`; infinite if none do."""
        # Of each ending of it, the shortest first. The last token may go on, but not end inside a character.
        least = [0.0] * (len(string) + 1)
        for start in reversed(range(len(string))):
            rest = string[start:]
            if any(begun_character(self.of[i][len(rest) :]) == b"" for i in self.beginning(rest)):
                least[start] = 1
            else:
                least[start] = 1 + min((least[start + len(self.of[i])] for i in self.parts(rest)), default=float("inf"))
        return least[0]

    def encode_inside(self, text: str) -> list[int]:
        """The tokens of a piece of text that does not begin its text: no space is put before it."""
        if self._marker is None:
            return self._vocabulary.encode(text)
        return self._vocabulary.encode(self._marker + text)[len(self._vocabulary.encode(self._marker)) :]

    def _leads(self, letter: str) -> bool:
        return self.join(self._vocabulary.encode(letter)) == f" {letter}".encode()

    def _find_marker(self) -> str | None:
        def separates(marker: str) -> bool:
            before, whole = self._vocabulary.encode(marker), self._vocabulary.encode(f"{marker} {self._probe}")
            return whole[: len(before)] == before and self.join(whole[len(before) :]) == f" {self._probe}".encode()

        return next(filter(separates, MARKERS), None)


def begun_character(text: bytes) -> bytes | None:
    """The first bytes of a character that `text` ends in; empty if it ends with a whole one, None if it is no UTF-8."""
    if text.isascii():
        return b""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(text)
    except UnicodeDecodeError:
        return None
    begun = decoder.getstate()[0]
    # Surrogates, which no character is, are noticed by the decoder at their last byte only.
    return None if begun >= b"\xed\xa0" and begun < b"\xee" else begun


def words_begun(text: bytes, in_word: bool) -> int:
    """How many words begin in `text`; `in_word`: what stands before it ends with one, which it goes on with.

    Words are runs of what is no ASCII white space.
    """
    goes_on = in_word and not text[:1].isspace()
    return len(text.split()) - int(goes_on)


def _successor(string: bytes) -> bytes:
    """The smallest string after all that begin with `string`; empty if there is none."""
    kept = string.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else b""


def _bytes_of(tokenizer: PreTrainedTokenizerBase, size: int, vocabulary: Vocabulary) -> Sequence[bytes]:
    tokens: list[str] = tokenizer.convert_ids_to_tokens(range(size))
    added = {i: str(token).encode() for i, token in tokenizer.added_tokens_decoder.items()}
    decoder = json.dumps(json.loads(tokenizer.backend_tokenizer.to_str())["decoder"], ensure_ascii=False)
    if "ByteLevel" in decoder:
        byte_of = byte_of_symbol()
        return [added[i] if i in added else bytes(byte_of[s] for s in token) for i, token in enumerate(tokens)]
    if WORD_START in decoder:
        return [added[i] if i in added else _of_sentencepiece(token) for i, token in enumerate(tokens)]
    # Any other kind: what the tokenizer decodes behind another token.
    start = vocabulary.start_of_infill
    before = vocabulary.decode([start])
    return [vocabulary.decode([start, i]).removeprefix(before).encode() for i in range(size)]


def _of_sentencepiece(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace(WORD_START, " ").encode()


@lru_cache(maxsize=1)
def byte_of_symbol() -> dict[str, int]:
    """How byte-level BPEs write bytes as printable characters (Radford et al. 2019, GPT-2, `bytes_to_unicode`)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}
