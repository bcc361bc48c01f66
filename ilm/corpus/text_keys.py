"""Equality of texts: folded and compared by 64-bit keys, without holding a second copy of the corpus."""

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np
import pandas as pd
import pyarrow as pa

BLOCK = 2000  # texts converted to Python strings at a time


def folded(text: str) -> str:
    """The text as compared between documents: case folded, every run of white space one space."""
    text = text.casefold()
    # Most texts have single spaces only; checking that is cheaper than splitting them.
    if text.isascii() and text.isprintable() and "  " not in text and text.strip(" ") == text:
        return text
    return " ".join(text.split())


def blocks(values: pd.Series, size: int = BLOCK) -> Iterator[list[str]]:
    """Yield the values of a column in lists of at most `size`."""
    for start in range(0, len(values), size):
        yield values.iloc[start : start + size].tolist()


class Picked:
    """Random access to the values of a column. (pandas' `take` copies a column that has several chunks.)"""

    def __init__(self, values: pd.Series) -> None:
        arrow = pa.array(values)
        self._chunks = arrow.chunks if isinstance(arrow, pa.ChunkedArray) else [arrow]
        self._starts = np.cumsum([0, *map(len, self._chunks)])

    def at(self, rows: np.ndarray) -> list[str]:
        """The values at `rows`, in their order."""
        values = np.empty(len(rows), dtype=object)
        of_chunk = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.flatnonzero(np.bincount(of_chunk)).tolist():
            places = np.flatnonzero(of_chunk == number)
            values[places] = self._chunks[number].take(pa.array(rows[places] - self._starts[number])).to_pylist()
        return values.tolist()


def text_keys(texts: pd.Series) -> np.ndarray:
    """One key per text, (D,) uint64; texts that are equal when folded have equal keys.

    Keys are 8 bytes of BLAKE2b. The chance of any collision among a million texts is 3 in 100 million; it would only
    keep two documents together unnecessarily.
    """
    raw = (folded(text).encode("utf-8", "surrogatepass") for block in blocks(texts) for text in block)
    return np.frombuffer(b"".join(blake2b(text, digest_size=8).digest() for text in raw), dtype="<u8")
