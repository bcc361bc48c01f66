"""The masks of many documents as flat arrays, the same in memory and on disk.

    <split>.arrow    one uncompressed record batch, which can be memory-mapped
        document  int32                                 row number in documents.parquet
        masks     list<list<struct<type: uint8, start, length>>>      characters; uint16, or uint32 for longer texts
        metadata  mask_types (JSON list; a span's type is an index into it)

Legend: D documents, M masks, S spans.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from ilm.masking.functions import Span


def ranges(begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The concatenated ranges begins[k]..ends[k]-1 (int64)."""
    lengths = (ends - begins).astype(np.int64)
    result = np.repeat(begins - (np.cumsum(lengths) - lengths), lengths)
    result += np.arange(len(result))
    return result


def offsets(counts: np.ndarray | Sequence[int]) -> np.ndarray:
    """Offsets of consecutive runs of `counts` elements, and the end of the last, int64 (counts + 1,)."""
    result = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, dtype=np.int64, out=result[1:])
    return result


@dataclass(frozen=True, eq=False)
class Masks:
    """The masks of D documents.

    Document k has masks `mask_offsets[k] : mask_offsets[k + 1]`; a mask's position there is its example number.
    Mask m has spans `span_offsets[m] : span_offsets[m + 1]`.
    """

    documents: np.ndarray  # int32 [D], row numbers in documents.parquet
    mask_offsets: np.ndarray  # int32 or int64 [D+1]
    span_offsets: np.ndarray  # int32 or int64 [M+1]
    types: np.ndarray  # uint8 [S], indices into the mask types
    starts: np.ndarray  # uint16 or uint32 [S], characters; widen them before adding
    lengths: np.ndarray  # uint16 or uint32 [S], characters

    @classmethod
    def of(cls, rows: Iterable[int], masks: Iterable[Sequence[Sequence[Span]]], mask_types: Sequence[str]) -> "Masks":
        """Build from `masks[k]`, the masks of the document in row `rows[k]`."""
        number = {mask_type: index for index, mask_type in enumerate(mask_types)}
        masks_per_document, spans_per_mask, types, starts, lengths = [], [], [], [], []
        for of_document in masks:
            masks_per_document.append(len(of_document))
            for mask in of_document:
                spans_per_mask.append(len(mask))
                for mask_type, start, length in mask:
                    types.append(number[mask_type])
                    starts.append(start)
                    lengths.append(length)
        return cls(
            np.array(rows, np.int32),
            offsets(masks_per_document),
            offsets(spans_per_mask),
            np.array(types, np.uint8),
            np.array(starts, np.uint32),
            np.array(lengths, np.uint32),
        )

    def spans(self, mask: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Types, starts and lengths of the spans of mask number `mask` (views)."""
        spans = slice(self.span_offsets[mask], self.span_offsets[mask + 1])
        return self.types[spans], self.starts[spans], self.lengths[spans]

    def select(self, chosen: np.ndarray) -> "Masks":
        """The masks of the `chosen` documents only (positions among the D, or booleans [D])."""
        begins, ends = self.mask_offsets[:-1][chosen], self.mask_offsets[1:][chosen]
        masks = ranges(begins, ends)
        span_begins, span_ends = self.span_offsets[masks], self.span_offsets[masks + 1]
        spans = ranges(span_begins, span_ends)
        return Masks(
            self.documents[chosen],
            offsets(ends - begins),
            offsets(span_ends - span_begins),
            self.types[spans],
            self.starts[spans],
            self.lengths[spans],
        )

    def write(self, path: Path, mask_types: Sequence[str]) -> None:
        """Write an Arrow file (see above). Its int32 offsets limit it to 2,147 million spans; Arrow refuses more."""
        columns = {"type": self.types, "start": self.starts, "length": self.lengths}
        spans = pa.StructArray.from_arrays(
            [pa.array(column) for column in columns.values()],
            fields=[pa.field(name, pa.from_numpy_dtype(column.dtype)) for name, column in columns.items()],
        )
        masks = pa.ListArray.from_arrays(pa.array(self.span_offsets, pa.int32()), spans)
        documents = pa.ListArray.from_arrays(pa.array(self.mask_offsets, pa.int32()), masks)
        schema = pa.schema(
            [("document", pa.int32()), ("masks", documents.type)], {"mask_types": json.dumps(list(mask_types))}
        )
        batch = pa.record_batch([pa.array(self.documents), documents], schema)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(batch)

    @classmethod
    def read(cls, path: Path) -> tuple["Masks", bytes | None]:
        """Read-only views of a memory-mapped Arrow file, and its `mask_types` as stored.

        Raises: OSError or pyarrow.ArrowException for a missing or damaged file.
        """
        # Not closed: the arrays view the mapping, which is freed with the last of them.
        batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        documents, masks = batch.columns
        spans = masks.values.values
        found = cls(
            documents.to_numpy(),
            masks.offsets.to_numpy(),
            masks.values.offsets.to_numpy(),
            *(spans.field(name).to_numpy() for name in ("type", "start", "length")),
        )
        return found, (batch.schema.metadata or {}).get(b"mask_types")
