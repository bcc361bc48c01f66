"""The masks of a corpus on disk: drawn once by `write_masks`, mapped from disk by `MaskStore`.

Legend: D documents of a split, M masks, S spans. A document's text stands only in documents.parquet.

    masks/<masking>-<hash>/{train,valid,test}.arrow    one uncompressed record batch each, so that it can be mapped
        document  int32                                 row number in documents.parquet
        masks     list<list<struct<type: uint8, start: uint32, length: uint32>>>      characters
        metadata  masks_hash, mask_types (JSON list; a span's type is an index into it)
    masks/<masking>-<hash>/statistics.json             by split, and "all"
"""

import json
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from ilm.corpus.splits import SPLITS
from ilm.corpus.store import corpus_arguments
from ilm.errors import UserError
from ilm.files import atomic_folder, write_json
from ilm.hashing import digest
from ilm.masking.drawing import draw_masks, example_generator
from ilm.masking.functions import MaskFunction
from ilm.masking.statistics import MaskCounts, mask_statistics

_SPAN = pa.struct([("type", pa.uint8()), ("start", pa.uint32()), ("length", pa.uint32())])
_FIELDS = [("document", pa.int32()), ("masks", pa.list_(pa.list_(_SPAN)))]
_CHUNK_DOCUMENTS = 512


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
    starts: np.ndarray  # uint32 [S], characters
    lengths: np.ndarray  # uint32 [S], characters

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
        batches = {split: _read_batch(folder, split) for split in SPLITS}
        mask_types = json.loads(batches["train"].schema.metadata[b"mask_types"])
        return cls(tuple(mask_types), {split: _views(batch) for split, batch in batches.items()})


def write_masks(
    folder: Path, documents: pd.DataFrame, function: MaskFunction, settings: dict[str, Any], workers: int
) -> dict[str, Any]:
    """Draw the masks of all documents and write them to `folder`; return the statistics by split and of "all".

    `documents` has the columns writing_id, text and split, in the order of documents.parquet. `function` is
    the mask function of `settings` (`masks_settings`). The files are the same, byte for byte, for any number of
    `workers`; up to 1 works in this process. An interrupted run leaves no `folder`, or the old one.
    """
    if workers > 1:
        _check_picklable(function)
    metadata = {"masks_hash": digest(settings), "mask_types": json.dumps(function.mask_types)}
    counts = {}
    with (
        atomic_folder(folder, keep_existing=True) as temporary,
        _ordered_map(workers) as ordered_map,
        tqdm(total=len(documents), desc="Drawing masks", unit=" documents", disable=None) as progress,
    ):
        for split in SPLITS:
            parts = []
            for part in ordered_map(partial(_draw_chunk, function, settings), _chunks(documents, split)):
                parts.append(part)
                progress.update(len(part.documents))
            drawn = _concatenate(parts)
            _write_batch(temporary / f"{split}.arrow", drawn, metadata)
            counts[split] = MaskCounts.of(
                documents["text"].iloc[drawn.documents].str.len().to_numpy(),
                drawn.masks_per_document,
                drawn.spans_per_mask,
                drawn.types,
                drawn.lengths,
                function.mask_types,
                settings["count"],
            )
        counts["all"] = counts["train"] + counts["valid"] + counts["test"]
        statistics = {split: mask_statistics(n, function.mask_types) for split, n in counts.items()}
        write_json(temporary / "statistics.json", statistics)
    return statistics


class _Chunk(NamedTuple):
    """Documents to be masked: what a worker is sent."""

    rows: np.ndarray  # int32, row numbers in documents.parquet
    writing_ids: list[str]
    texts: list[str]


class _Drawn(NamedTuple):
    """Masks of some documents: what a worker sends back. Counts in place of offsets, so that parts concatenate."""

    documents: np.ndarray  # int32 [D]
    masks_per_document: np.ndarray  # int32 [D]
    spans_per_mask: np.ndarray  # int32 [M]
    types: np.ndarray  # uint8 [S]
    starts: np.ndarray  # uint32 [S]
    lengths: np.ndarray  # uint32 [S]

    @classmethod
    def of(cls, *columns: Iterable[int]) -> "_Drawn":
        dtypes = (np.int32, np.int32, np.int32, np.uint8, np.uint32, np.uint32)
        return cls(*(np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)))


def _chunks(documents: pd.DataFrame, split: str) -> Iterator[_Chunk]:
    split_rows = np.flatnonzero((documents["split"] == split).to_numpy()).astype(np.int32)
    for first in range(0, len(split_rows), _CHUNK_DOCUMENTS):
        rows = split_rows[first : first + _CHUNK_DOCUMENTS]
        chunk = documents.iloc[rows]
        yield _Chunk(rows, chunk["writing_id"].tolist(), chunk["text"].tolist())


def _draw_chunk(function: MaskFunction, settings: dict[str, Any], chunk: _Chunk) -> _Drawn:
    function_digest = digest(settings["function"])
    type_numbers = {mask_type: number for number, mask_type in enumerate(function.mask_types)}
    masks_per_document, spans_per_mask, types, starts, lengths = [], [], [], [], []
    for writing_id, text in zip(chunk.writing_ids, chunk.texts, strict=True):
        generator = example_generator(settings["seed"], function_digest, writing_id)
        try:
            masks = draw_masks(text, function, settings["count"], settings["tries"], generator)
        except UserError as error:
            raise UserError(f"Document {writing_id}: {error}") from error
        masks_per_document.append(len(masks))
        for mask in masks:
            spans_per_mask.append(len(mask))
            for mask_type, start, length in mask:
                types.append(type_numbers[mask_type])
                starts.append(start)
                lengths.append(length)
    return _Drawn.of(chunk.rows, masks_per_document, spans_per_mask, types, starts, lengths)


def _concatenate(parts: list[_Drawn]) -> _Drawn:
    return _Drawn(*map(np.concatenate, zip(_Drawn.of([], [], [], [], [], []), *parts, strict=True)))


def _write_batch(path: Path, drawn: _Drawn, metadata: dict[str, str]) -> None:
    spans = pa.StructArray.from_arrays([drawn.types, drawn.starts, drawn.lengths], fields=list(_SPAN))
    masks = pa.ListArray.from_arrays(_offsets(drawn.spans_per_mask), spans)
    documents = pa.ListArray.from_arrays(_offsets(drawn.masks_per_document), masks)
    batch = pa.record_batch([pa.array(drawn.documents), documents], pa.schema(_FIELDS, metadata))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def _offsets(counts: np.ndarray) -> pa.Array:
    # int32 offsets hold 2,147 million spans, 95 times those of EFCAMDAT; Arrow refuses more.
    return pa.array(np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]), pa.int32())


def _read_batch(folder: Path, split: str) -> pa.RecordBatch:
    path = folder / f"{split}.arrow"
    masking, _, expected_hash = folder.name.rpartition("-")
    corpus = corpus_arguments(folder.absolute().parent.parent.name)
    remedy = f"run `python prepare.py {corpus} masking={masking}`"
    try:
        # The map is not closed: the arrays read from it, and it goes with the last of them.
        batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        found_hash = batch.schema.metadata[b"masks_hash"].decode()
    except FileNotFoundError:
        raise UserError(f"There are no masks at {path}: {remedy} first, with the same settings.") from None
    except (pa.ArrowInvalid, TypeError, KeyError) as error:
        raise UserError(f"{path} is damaged or no file of masks ({error}): delete {folder}, then {remedy}.") from error
    if found_hash != expected_hash:
        raise UserError(
            f"{path} holds masks of hash {found_hash}, expected {expected_hash} as in the name of its folder: "
            f"delete the folder, then {remedy}."
        )
    return batch


def _views(batch: pa.RecordBatch) -> SplitMasks:
    documents, masks = batch.columns
    spans = masks.values.values
    return SplitMasks(
        documents.to_numpy(),
        masks.offsets.to_numpy(),
        masks.values.offsets.to_numpy(),
        *(spans.field(name).to_numpy() for name in ("type", "start", "length")),
    )


@contextmanager
def _ordered_map(workers: int) -> Iterator[Callable]:
    """A `map` over `workers` processes that gives results in order and runs only a little ahead of its reader."""
    if workers <= 1:
        yield map
        return
    # Started afresh ("spawn") instead of forked: safe beside the threads of pyarrow and of the progress bar.
    executor = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_ignore_interrupts)

    def ordered_map(call: Callable, items: Iterable) -> Iterator:
        pending = deque()
        for item in items:
            pending.append(executor.submit(call, item))
            if len(pending) > 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    try:
        yield ordered_map
    finally:
        executor.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    # Ctrl-C reaches every process of the terminal; the parent stops its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _check_picklable(function: MaskFunction) -> None:
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(
            f"Mask function {function!r} cannot be sent to worker processes ({error}): define its class at the "
            "top level of a module, or run with one worker."
        ) from error
