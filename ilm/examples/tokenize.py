"""Tokenizes texts in batches, with the position of each token.

In the tokenizers library, character offsets take longer than the tokens themselves. Byte-level BPEs (GPT-2's and most
since) do not need them: their tokens are the UTF-8 bytes of the text, which show where characters begin. For other
tokenizers the library's offsets are used.

Legend: D documents of a chunk, N their tokens.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tokenizers import Encoding, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase

from ilm.corpus.text_keys import blocks
from ilm.masking.masks import offsets

DOCUMENTS_PER_CHUNK = 2_000


class TokenChunk(NamedTuple):
    """The concatenated tokens of some documents."""

    ids: np.ndarray  # int64 (N,)
    advances: np.ndarray  # int64 (N,), characters from each token's position to the next
    counts: np.ndarray  # int64 (D,), tokens of each document
    changed: int  # documents changed by encoding and decoding


def token_positions(offsets: Sequence[tuple[int, int]], length: int) -> np.ndarray:
    """Positions (tokens + 1,) in characters of a text with `length` characters, from a tokenizer's offsets.

    The last one is `length`. White space missing from the offsets is counted to the next token.
    """
    positions = np.empty(len(offsets) + 1, dtype=np.int64)
    boundary = previous_end = 0
    for i, (start, end) in enumerate(offsets):
        if i and previous_end <= start:
            boundary = previous_end
        positions[i] = boundary
        previous_end = max(previous_end, end)
    positions[len(offsets)] = length
    return positions


def tokenize(texts: pd.Series, tokenizer: PreTrainedTokenizerBase) -> Iterator[TokenChunk]:
    """Yield the tokens of all texts in order, in chunks, from a fast tokenizer.

    No token is added, and literal control tokens in a text stay text.
    """
    bytes_of_token = _bytes_of_token(tokenizer) if is_byte_level(tokenizer) else None
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    encode = partial(
        backend.encode_batch if bytes_of_token is None else backend.encode_batch_fast, add_special_tokens=False
    )

    def measured(texts: list[str], encoded: Sequence[Encoding]) -> TokenChunk:
        if bytes_of_token is None:
            return _by_offsets(texts, encoded, tokenizer)
        return _by_bytes(texts, encoded, bytes_of_token)

    with ThreadPoolExecutor(1) as ahead:
        chunks = blocks(texts, DOCUMENTS_PER_CHUNK)
        encoded: Iterator[Any] = ((chunk, ahead.submit(encode, chunk)) for chunk in chunks)
        # The library releases the GIL, so it tokenizes the next chunk, which `pairwise` takes, while this is processed.
        for (chunk, tokens), _ in pairwise(chain(encoded, [None])):
            yield measured(chunk, tokens.result())


def _by_bytes(texts: list[str], encoded: Sequence[Encoding], bytes_of_token: np.ndarray) -> TokenChunk:
    ids = [np.array(encoding.ids, dtype=np.int64) for encoding in encoded]
    counts = np.array([len(document) for document in ids], dtype=np.int64)
    flat = np.concatenate(ids)
    raw = [text.encode() for text in texts]
    byte_counts = np.array([len(document) for document in raw], dtype=np.int64)
    bounds = offsets(bytes_of_token[flat])
    if not np.array_equal(bounds[np.cumsum(counts)], np.cumsum(byte_counts)):
        raise RuntimeError("the tokens of a byte-level tokenizer are not the bytes of the text")
    return TokenChunk(flat, _advances(b"".join(raw), bounds), counts, 0)


def _by_offsets(texts: list[str], encoded: Sequence[Encoding], tokenizer: PreTrainedTokenizerBase) -> TokenChunk:
    advances = [
        np.diff(token_positions(encoding.offsets, len(text))) for text, encoding in zip(texts, encoded, strict=True)
    ]
    ids = [encoding.ids for encoding in encoded]
    decoded = tokenizer.batch_decode(ids, clean_up_tokenization_spaces=False)
    changed = sum(text != back for text, back in zip(texts, decoded, strict=True))
    counts = np.array([len(document) for document in ids], dtype=np.int64)
    flat = np.concatenate([np.array(document, dtype=np.int64) for document in ids])
    return TokenChunk(flat, np.concatenate(advances), counts, changed)


def _advances(raw: bytes, bounds: np.ndarray) -> np.ndarray:
    """Advances (N,) in characters of tokens with byte bounds `bounds` (N + 1,) in concatenated documents."""
    # In UTF-8 a byte 10xxxxxx continues a character; the end of the last document counts as a start.
    begins = np.append((np.frombuffer(raw, np.uint8) & 0xC0) != 0x80, True)
    characters = np.cumsum(begins) - 1
    # The position of a token is its character at a boundary, else that of the last boundary before it.
    positions = np.maximum.accumulate(np.where(begins[bounds], characters[bounds], 0))
    return np.diff(positions)


def is_byte_level(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokens are the bytes of the text: no normalizer, no added space, nothing unknown."""
    backend = tokenizer.backend_tokenizer
    splitter = backend.pre_tokenizer
    parts = [*iter(splitter)] if isinstance(splitter, pre_tokenizers.Sequence) else [splitter]
    byte_levels = [part for part in parts if isinstance(part, pre_tokenizers.ByteLevel)]
    return (
        backend.normalizer is None
        and isinstance(backend.model, models.BPE)
        and isinstance(backend.decoder, decoders.ByteLevel)
        and len(byte_levels) == 1
        and not byte_levels[0].add_prefix_space
        and all(isinstance(part, pre_tokenizers.ByteLevel | pre_tokenizers.Digits) for part in parts)
        and all(backend.token_to_id(symbol) is not None for symbol in pre_tokenizers.ByteLevel.alphabet())
    )


def _bytes_of_token(tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Text bytes per token, int64 (vocabulary,). A symbol of a BPE token is one byte."""
    lengths = np.zeros(len(tokenizer), dtype=np.int64)
    added = {number: str(token) for number, token in tokenizer.added_tokens_decoder.items()}
    for token, number in tokenizer.get_vocab().items():
        lengths[number] = len(added[number].encode()) if number in added else len(token)
    return lengths
