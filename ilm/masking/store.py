"""The masks of a corpus on disk: written by `MaskWriter`, memory-mapped by `MaskStore`.

masks/<masking>-<hash>/{train,valid,test}.arrow    see `ilm.masking.masks`; texts are only in documents.parquet
masks/<masking>-<hash>/settings.json               hash, settings, mask_types; sha256 and bytes of the files
masks/<masking>-<hash>/statistics.json             by split, and "all"
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ilm.corpus.splitting.assign import SPLITS
from ilm.corpus.store import MANIFEST, prepare_command
from ilm.errors import UserError
from ilm.files import GrowingArray, read_json, write_json
from ilm.hashing import digest, file_record
from ilm.masking.masks import Masks, offsets
from ilm.masking.statistics import mask_statistics

SETTINGS = "settings.json"
STATISTICS = "statistics.json"


@dataclass(frozen=True, eq=False)
class MaskStore:
    """Masks written by `MaskWriter`; the arrays of `splits` are read-only views of the mapped files."""

    name: str  # of the folder
    mask_types: tuple[str, ...]
    splits: dict[str, Masks]  # train, valid, test

    @classmethod
    def open(cls, folder: Path) -> "MaskStore":
        """Map the masks of `folder`, named `<masking>-<hash>`.

        Raises UserError if a file is missing, damaged, or belongs to another hash.
        """
        folder = Path(folder)
        mask_types, splits = read_settings(folder)["mask_types"], {}
        for split in SPLITS:
            path = folder / f"{split}.arrow"
            try:
                splits[split], written = Masks.read(path)
            except (OSError, ValueError, AttributeError, pa.ArrowException) as error:
                raise UserError(f"{path} is missing or damaged ({error}): {remedy(folder)}.") from error
            if written != json.dumps(mask_types).encode():
                raise UserError(f"{folder / SETTINGS} and {path.name} disagree on mask types: {remedy(folder)}.")
        return cls(folder.name, tuple(mask_types), splits)


def read_settings(folder: Path) -> dict[str, Any]:
    """The contents of `settings.json` in a masks folder, after checking its hash and the file sizes.

    Raises UserError if there are no masks, or they belong to another hash or are cut off.
    """
    try:
        about = read_json(folder / SETTINGS)
        found, expected = about["hash"], digest(about["settings"])
        sizes = {name: file["bytes"] for name, file in about["files"].items()}
    except FileNotFoundError:
        raise UserError(f"No masks at {folder}: run `{_command(folder)}` first, with the same settings.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / SETTINGS} is damaged ({error!r}): {remedy(folder)}.") from error
    if found != folder.name.rpartition("-")[2] or found != expected:
        raise UserError(f"{folder} holds masks of hash {found}, expected the one in its name: {remedy(folder)}.")
    for name, size in sizes.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise UserError(f"{path} is missing or cut off (expected {size:,} bytes): {remedy(folder)}.")
    return about


class MaskWriter:
    """Writes the masks of a corpus, a few documents at a time, with no more than their offsets in memory.

    Each column is buffered in a raw file beside the result. `folder` is empty and becomes the store atomically
    (`ilm.files.atomic_folder`). `text_lengths`: characters of all documents of the corpus. `masks_per_document`: masks
    asked for.
    """

    def __init__(self, folder: Path, mask_types: Sequence[str], text_lengths: np.ndarray, masks_per_document: int):
        self._folder, self._mask_types = folder, tuple(mask_types)
        self._text_lengths, self._count = text_lengths, masks_per_document
        narrow = np.uint16 if text_lengths.max(initial=0) < 2**16 else np.uint32
        self._types = (np.int32, np.int32, np.int32, np.uint8, narrow, narrow)
        names = ("documents", "masks_of_each", "spans_of_each", "types", "starts", "lengths")
        self._columns = {split: [GrowingArray(folder / f"{split}.{name}") for name in names] for split in SPLITS}

    def add(self, split: str, masks: Masks) -> None:
        """Append the masks of further documents, in row order."""
        counts = np.diff(masks.mask_offsets), np.diff(masks.span_offsets)
        values = (masks.documents, *counts, masks.types, masks.starts, masks.lengths)
        for column, part, dtype in zip(self._columns[split], values, self._types, strict=True):
            column.append(part.astype(dtype))

    def finish(self, identity: Mapping[str, Any]) -> dict[str, Any]:
        """Write the files; the folder name carries the digest of `identity`. Returns the statistics by split."""
        files, stored = {}, {}
        for split, columns in self._columns.items():
            path = self._folder / f"{split}.arrow"
            arrays = [column.mapped(dtype) for column, dtype in zip(columns, self._types, strict=True)]
            documents, masks_of_each, spans_of_each, *spans = arrays
            Masks(documents, offsets(masks_of_each), offsets(spans_of_each), *spans).write(path, self._mask_types)
            for column in columns:
                column.remove()
            files[path.name] = file_record(path)
            stored[split] = [Masks.read(path)[0]]
        stored["all"] = [masks for (masks,) in stored.values()]
        statistics = {
            split: mask_statistics(masks, self._text_lengths, self._mask_types, self._count)
            for split, masks in stored.items()
        }
        write_json(self._folder / STATISTICS, statistics)
        files[STATISTICS] = file_record(self._folder / STATISTICS)
        about = {"hash": digest(identity), "settings": identity, "mask_types": list(self._mask_types), "files": files}
        write_json(self._folder / SETTINGS, about)
        return statistics


def verify_masks(folder: Path, documents: pd.DataFrame) -> list[str]:
    """Compare masks with the splits and lengths of `documents` (columns text and split); one line for each fault.

    Raises: UserError as `MaskStore.open`.
    """
    store = MaskStore.open(folder)
    text_lengths = documents["text"].str.len().to_numpy(dtype=np.int64)
    in_split = documents["split"].to_numpy()
    # Masks of an epoch cover the train split only.
    drawn = read_settings(folder)["settings"].get("splits", SPLITS)
    faults = []
    for split, masks in store.splits.items():
        rows = np.flatnonzero((in_split == split) & (split in drawn))
        if not np.array_equal(masks.documents, rows):
            faults.append(f"{split}: {len(masks.documents)} documents, expected the {len(rows)} of the split")
            continue
        spans_of_each = np.diff(masks.span_offsets[masks.mask_offsets])
        ends = masks.starts.astype(np.int64) + masks.lengths
        if outside := int((ends > np.repeat(text_lengths[rows], spans_of_each)).sum()):
            faults.append(f"{split}: {outside} spans end outside their text")
    return faults


def remedy(folder: Path) -> str:
    """What to type if a masks folder is unusable."""
    # Masks drawn by training for a later epoch.
    if re.search(r"-epoch\d+-", folder.name):
        return f"delete {folder}, then run the same command again to redraw them"
    return f"delete {folder}, then run `{_command(folder)}`"


def _command(folder: Path) -> str:
    """The command that creates the masks of a folder."""
    corpus, masking = folder.absolute().parent.parent, folder.name.rpartition("-")[0]
    try:
        manifest = read_json(corpus / MANIFEST)
    except (OSError, ValueError):
        manifest = None
    # Imported masks come with their corpus.
    return prepare_command(corpus.name, manifest) + (f" masking={masking}" if masking != "reference" else "")
