"""The masks of a corpus on disk: written once by a `MaskWriter`, mapped from disk by `MaskStore`.

Legend: D documents of a split, M masks, S spans. A document's text stands only in documents.parquet.

    masks/<masking>-<hash>/{train,valid,test}.arrow    one uncompressed record batch each, so that it can be mapped
        document  int32                                 row number in documents.parquet
        masks     list<list<struct<type: uint8, start, length>>>      characters; uint16, or uint32 for longer texts
        metadata  mask_types (JSON list; a span's type is an index into it)
    masks/<masking>-<hash>/settings.json               hash, settings, mask_types; sha256 and bytes of the files
    masks/<masking>-<hash>/statistics.json             by split, and "all"
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ilm.corpus.splitting.assign import SPLITS
from ilm.corpus.store import MANIFEST, prepare_command
from ilm.errors import UserError
from ilm.files import GrowingArray, read_json, write_json
from ilm.hashing import digest, file_sha256
from ilm.masking.sampling import FlatMasks
from ilm.masking.statistics import MaskCounts, mask_statistics

SETTINGS = "settings.json"
STATISTICS = "statistics.json"
# In the name of masks that training draws, for an epoch of its own.
EPOCH_NAME = r"-epoch\d+-"


@dataclass(frozen=True, eq=False)
class SplitMasks:
    """The masks of a split's documents, as flat arrays.

    The masks of document k are `mask_offsets[k] : mask_offsets[k + 1]`; a mask's position among them is its
    example number. The spans of mask m are `span_offsets[m] : span_offsets[m + 1]`.
    """

    documents: np.ndarray  # int32 [D], row numbers in documents.parquet
    mask_offsets: np.ndarray  # int32 [D+1]
    span_offsets: np.ndarray  # int32 [M+1]
    types: np.ndarray  # uint8 [S], indices into the store's mask_types
    starts: np.ndarray  # uint16 or uint32 [S], characters; widen them before adding
    lengths: np.ndarray  # uint16 or uint32 [S], characters

    def spans(self, mask: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Types, starts and lengths of the spans of mask number `mask` of the split (views)."""
        spans = slice(self.span_offsets[mask], self.span_offsets[mask + 1])
        return self.types[spans], self.starts[spans], self.lengths[spans]


@dataclass(frozen=True, eq=False)
class MaskStore:
    """Masks as `write_masks` wrote them; the arrays of `splits` are read-only views of the mapped files."""

    mask_types: tuple[str, ...]
    splits: dict[str, SplitMasks]  # train, valid, test

    @classmethod
    def open(cls, folder: Path) -> "MaskStore":
        """Map the masks of `folder`, which is named `<masking>-<hash>`.

        Raises UserError if a file is missing or damaged, or was written under another hash.
        """
        folder = Path(folder)
        about = read_settings(folder)
        batches = {split: _read_batch(folder, split) for split in SPLITS}
        for split, batch in batches.items():
            if (batch.schema.metadata or {}).get(b"mask_types") != json.dumps(about["mask_types"]).encode():
                raise UserError(f"{folder / SETTINGS} and {split}.arrow name other mask types: {remedy(folder)}.")
        return cls(tuple(about["mask_types"]), {split: _views(batch) for split, batch in batches.items()})


def read_settings(folder: Path) -> dict[str, Any]:
    """What `settings.json` of a masks folder says, having checked that it is this folder's and the files' sizes.

    Raises UserError if there are no masks, or they were written under another hash or cut off.
    """
    try:
        about = read_json(folder / SETTINGS)
        found = about["hash"]
        sizes = {name: file["bytes"] for name, file in about["files"].items()}
    except FileNotFoundError:
        raise UserError(
            f"There are no masks at {folder}: run `{_command(folder)}` first, with the same settings."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / SETTINGS} is damaged ({error!r}): {remedy(folder)}.") from error
    if found != folder.name.rpartition("-")[2] or found != digest(about["settings"]):
        raise UserError(f"{folder} holds masks of hash {found}, expected that in its name: {remedy(folder)}.")
    for name, size in sizes.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise UserError(f"{path} is missing or cut off (expected {size:,} bytes): {remedy(folder)}.")
    return about


class MaskWriter:
    """Collects the masks of a corpus, a few documents at a time, and writes them; memory does not grow with them.

    What is collected waits in one raw file per column beside the result. `folder` is an empty one that becomes the
    store as a whole (`ilm.files.atomic_folder`). `longest_text` (characters) chooses the type of starts and lengths.
    """

    def __init__(self, folder: Path, mask_types: Sequence[str], *, longest_text: int, masks_per_document: int):
        self._folder, self._mask_types, self._count = folder, tuple(mask_types), masks_per_document
        self._type = np.uint16 if longest_text < 2**16 else np.uint32
        none = FlatMasks.of([], [], mask_types)
        self._counts = {split: self._counted(none, np.zeros(0, dtype=np.int64)) for split in SPLITS}
        self._columns = {
            split: [GrowingArray(folder / f"{split}.{name}") for name in FlatMasks._fields] for split in SPLITS
        }

    def add(self, split: str, masks: FlatMasks, text_lengths: np.ndarray) -> None:
        """Append the masks of documents that follow those already added; `text_lengths` [D] in characters."""
        self._counts[split] += self._counted(masks, text_lengths)
        narrow = masks._replace(starts=masks.starts.astype(self._type), lengths=masks.lengths.astype(self._type))
        for column, values in zip(self._columns[split], narrow, strict=True):
            column.append(values)

    def finish(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Write the files; `settings` are what their digest names the folder by. Returns the statistics by split."""
        files = {}
        for split, columns in self._columns.items():
            path = self._folder / f"{split}.arrow"
            dtypes = (np.int32, np.int32, np.int32, np.uint8, self._type, self._type)
            arrays = [column.mapped(dtype) for column, dtype in zip(columns, dtypes, strict=True)]
            _write_batch(path, FlatMasks(*arrays), self._mask_types)
            del arrays
            for column in columns:
                column.remove()
            files[path.name] = _described(path)
        counts = self._counts | {"all": self._counts["train"] + self._counts["valid"] + self._counts["test"]}
        statistics = {split: mask_statistics(n, self._mask_types) for split, n in counts.items()}
        write_json(self._folder / STATISTICS, statistics)
        files[STATISTICS] = _described(self._folder / STATISTICS)
        about = {"hash": digest(settings), "settings": settings, "mask_types": list(self._mask_types), "files": files}
        write_json(self._folder / SETTINGS, about)
        return statistics

    def _counted(self, masks: FlatMasks, text_lengths: np.ndarray) -> MaskCounts:
        _, masks_per_document, spans_per_mask, types, _, lengths = masks
        return MaskCounts.of(
            text_lengths, masks_per_document, spans_per_mask, types, lengths, self._mask_types, self._count
        )


def _described(path: Path) -> dict[str, Any]:
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size}


def _write_batch(path: Path, masks: FlatMasks, mask_types: Sequence[str]) -> None:
    spans = pa.StructArray.from_arrays(
        [pa.array(masks.types), pa.array(masks.starts), pa.array(masks.lengths)],
        fields=[
            pa.field(name, pa.from_numpy_dtype(getattr(masks, f"{name}s").dtype))
            for name in ("type", "start", "length")
        ],
    )
    of_masks = pa.ListArray.from_arrays(_offsets(masks.spans_per_mask), spans)
    of_documents = pa.ListArray.from_arrays(_offsets(masks.masks_per_document), of_masks)
    schema = pa.schema(
        [("document", pa.int32()), ("masks", of_documents.type)], {"mask_types": json.dumps(list(mask_types))}
    )
    batch = pa.record_batch([pa.array(masks.documents), of_documents], schema)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def _offsets(counts: np.ndarray) -> pa.Array:
    # int32 offsets hold 2,147 million spans, 75 times those of EFCAMDAT; Arrow refuses more.
    return pa.array(np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]), pa.int32())


def _read_batch(folder: Path, split: str) -> pa.RecordBatch:
    path = folder / f"{split}.arrow"
    try:
        # The map is not closed: the arrays read from it, and it goes with the last of them.
        return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} is missing or damaged ({error}): {remedy(folder)}.") from error


def remedy(folder: Path) -> str:
    """What to type where a masks folder cannot be used."""
    if re.search(EPOCH_NAME, folder.name):
        return f"delete {folder}, then run the same command again, which draws them"
    return f"delete {folder}, then run `{_command(folder)}`"


def _command(folder: Path) -> str:
    """The command that makes the masks of a folder."""
    corpus, masking = folder.absolute().parent.parent, folder.name.rpartition("-")[0]
    try:
        manifest = read_json(corpus / MANIFEST)
    except (OSError, ValueError):
        manifest = None
    # Imported masks come with their corpus.
    return prepare_command(corpus.name, manifest) + (f" masking={masking}" if masking != "reference" else "")


def _views(batch: pa.RecordBatch) -> SplitMasks:
    documents, masks = batch.columns
    spans = masks.values.values
    return SplitMasks(
        documents.to_numpy(),
        masks.offsets.to_numpy(),
        masks.values.offsets.to_numpy(),
        *(spans.field(name).to_numpy() for name in ("type", "start", "length")),
    )
