"""The bytes of each token of a vocabulary, and the tokens compatible with a given prefix.

Tokens may end inside words and even characters, so "the answer begins with lun" is a rule about bytes: the first token
may be " l", " lun" or " lunch", but not " loud" (token healing).
"""

import codecs
import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import takewhile

from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from ilm.examples.vocabulary import Vocabulary

# How byte-level BPEs write bytes as printable characters (GPT-2).
BYTE_OF_SYMBOL = {symbol: byte for byte, symbol in bytes_to_unicode().items()}
WORD_START = "\u2581"  # how SentencePiece writes a space
PROBES = ("x", "a", "e")  # several, since a small vocabulary may lack a letter
# In each kind of vocabulary, one of these is never part of a longer token.
MARKERS = ("\x01", "\n", "~")


class TokenBytes:
    """`of`: the bytes of each of the V tokens of the base vocabulary; empty for special tokens.

    `words_carry_space`: word tokens include the preceding space, as in " lunch". `adds_prefix_space`: the tokenizer
    adds a space before the first word of a text (Llama 2 and other SentencePiece models).
    """

    def __init__(self, vocabulary: Vocabulary):
        self.vocabulary = vocabulary
        tokenizer, size = vocabulary.tokenizer, vocabulary.base_size
        self.special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        self.special |= set(tokenizer.all_special_ids)
        found = _bytes_of(tokenizer, size, vocabulary)
        self.of: tuple[bytes, ...] = tuple(b"" if i in self.special else found[i] for i in range(size))
        self.words_carry_space = any(text.startswith(b" ") and text.strip() for text in self.of)
        self._probe = next((letter for letter in PROBES if self._leads(letter)), None)
        self.adds_prefix_space = self.words_carry_space and self._probe is not None
        self._sorted = sorted((text, i) for i, text in enumerate(self.of) if text)
        self._ids_of: dict[bytes, list[int]] = {}
        for text, i in self._sorted:
            self._ids_of.setdefault(text, []).append(i)
        self._longest = max(map(len, self._ids_of))
        self.min_tokens = lru_cache(maxsize=4096)(self._find_min_tokens)
        self._marker = self._find_marker() if self.adds_prefix_space else None

    def join(self, ids: Iterable[int]) -> bytes:
        """The concatenated bytes of tokens of the base vocabulary."""
        return b"".join(self.of[i] for i in ids)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of tokens inside a text; invalid UTF-8 becomes U+FFFD."""
        return self.join(ids).decode("utf-8", "replace")

    def texts(self, ids: Sequence[int], answer: str) -> tuple[str, ...]:
        """The texts of an answer's tokens, which concatenate to it; that of the end token, the last, is empty."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        found = [decoder.decode(self.of[i]) for i in ids[:-1]]
        found[-1] += decoder.decode(b"", final=True)
        # A space typed before the blank is part of the first token, but not of the answer.
        typed = len("".join(found)) - len(answer)
        return (found[0][typed:], *found[1:], "")

    def beginning_with(self, string: bytes) -> list[int]:
        """The tokens that begin with the non-empty `string`."""
        first = bisect_left(self._sorted, (string, -1))
        entries = map(self._sorted.__getitem__, range(first, len(self._sorted)))
        return [i for _, i in takewhile(lambda entry: entry[0].startswith(string), entries)]

    def prefixes_of(self, string: bytes) -> list[int]:
        """The tokens that are proper prefixes of `string`."""
        ends = range(1, min(len(string), self._longest + 1))
        return [i for end in ends for i in self._ids_of.get(string[:end], ())]

    def _find_min_tokens(self, string: bytes) -> float:
        """Minimum tokens of a text that begins with `string` (whole characters); infinite if there is none."""
        # Dynamic programming over suffixes, shortest first. The last token may be longer, but must end a character.
        least = [0.0] * (len(string) + 1)
        for start in reversed(range(len(string))):
            rest = string[start:]
            if any(partial_character(self.of[i][len(rest) :]) == b"" for i in self.beginning_with(rest)):
                least[start] = 1
            else:
                shorter = (least[start + len(self.of[i])] for i in self.prefixes_of(rest))
                least[start] = 1 + min(shorter, default=math.inf)
        return least[0]

    def encode_continuation(self, text: str) -> list[int]:
        """The tokens of a piece inside a text, without the tokenizer's prefix space."""
        if self._marker is None:
            return self.vocabulary.encode(text)
        return self.vocabulary.encode(self._marker + text)[len(self.vocabulary.encode(self._marker)) :]

    def _leads(self, letter: str) -> bool:
        return self.join(self.vocabulary.encode(letter)) == f" {letter}".encode()

    def _find_marker(self) -> str | None:
        def separates(marker: str) -> bool:
            before, whole = self.vocabulary.encode(marker), self.vocabulary.encode(f"{marker} {self._probe}")
            return whole[: len(before)] == before and self.join(whole[len(before) :]) == f" {self._probe}".encode()

        return next(filter(separates, MARKERS), None)


def partial_character(text: bytes) -> bytes | None:
    """The bytes of an incomplete last character of `text`; empty if it is complete, None if `text` is not UTF-8."""
    if text.isascii():
        return b""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(text)
    except UnicodeDecodeError:
        return None
    begun = decoder.getstate()[0]
    # The decoder rejects surrogates only at their last byte.
    return None if begun >= b"\xed\xa0" and begun < b"\xee" else begun


def count_words(text: bytes, in_word: bool) -> int:
    """The number of words that begin in `text`; `in_word`: the preceding text ends inside a word.

    Words are runs without ASCII white space.
    """
    return len(text.split()) - (in_word and not text[:1].isspace())


def _bytes_of(tokenizer: PreTrainedTokenizerBase, size: int, vocabulary: Vocabulary) -> Sequence[bytes]:
    tokens: list[str] = tokenizer.convert_ids_to_tokens(range(size))
    added = {i: str(token).encode() for i, token in tokenizer.added_tokens_decoder.items()}
    decoder = json.dumps(json.loads(tokenizer.backend_tokenizer.to_str())["decoder"], ensure_ascii=False)
    if "ByteLevel" in decoder:
        return [added[i] if i in added else bytes(BYTE_OF_SYMBOL[s] for s in token) for i, token in enumerate(tokens)]
    if WORD_START in decoder:
        return [added[i] if i in added else _of_sentencepiece(token) for i, token in enumerate(tokens)]
    # Any other kind: what the tokenizer decodes after another token.
    start = vocabulary.start_of_infill
    before = vocabulary.decode([start])
    return [vocabulary.decode([start, i]).removeprefix(before).encode() for i in range(size)]


def _of_sentencepiece(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace(WORD_START, " ").encode()
