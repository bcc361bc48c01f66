"""Imports a corpus from a folder of the reference: documents with their splits, and masks.

A document's id is `<level>:<split>:<number>`, numbered from 1 in file order. Learner and L1 are unknown.
"""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ilm.config.sections import Corpus
from ilm.corpus.build import locked_folder
from ilm.corpus.formats.table import NO_CHARACTER, Tally
from ilm.corpus.reader import ReadReport
from ilm.corpus.row_validation import NO_TEXT, UNKNOWN_L1
from ilm.corpus.sources import CorpusSource
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.files import atomic_folder, read_json, write_json
from ilm.hashing import file_sha256
from ilm.masking.masks import Masks
from ilm.masking.sampling import masks_folder
from ilm.masking.store import SETTINGS, MaskWriter
from ilm.reference.masks import ENUMERATIONS, HIERARCHICAL, MaskedDocument, checked_mask, iter_masked, reference_files
from ilm.reference.texts import iter_texts

log = logging.getLogger("ilm")

IMPORT_REPORT = "import.json"

_STRIPPED = "white space around the text removed, as the reference does"
_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")
_DIGITS = 7
_CHUNK_DOCUMENTS = 5_000


@dataclass(frozen=True)
class ReferenceSource(CorpusSource):
    """The documents of a reference folder (`ilm.reference.masks`); `levels`: of the corpus."""

    path: Path
    levels: Sequence[str]
    encoding: str = "utf-8"
    max_dropped: float = 0.01

    @property
    def settings(self) -> dict[str, Any]:
        return {"levels": sorted(self.levels), "encoding": self.encoding, "format": "reference"}

    def read(self) -> tuple[pd.DataFrame, ReadReport]:
        """Documents sorted by `writing_id`, with their split; empty texts are dropped.

        Raises: UserError for a folder without reference files, for damaged files, or if more than the share
        `max_dropped` is dropped.
        """
        files = reference_files(self.path, self.levels)
        dropped, notes = Tally(), Tally()
        rows, chunks = 0, []
        for (level, split), path in files.items():
            documents = enumerate(self._texts(path, notes), start=1)
            while chunk := list(islice(documents, _CHUNK_DOCUMENTS)):
                rows += len(chunk)
                for cause, fault in ((NO_TEXT, _is_empty), (NO_CHARACTER, _has_no_character)):
                    if faulty := [number for number, text in chunk if fault(text)]:
                        dropped.add(f"{cause} ({self._name(path)})", *faulty)
                kept = [(n, text) for n, text in chunk if not (_is_empty(text) or _has_no_character(text))]
                chunks.append(_table(level, split, kept))
        documents = pa.concat_tables(chunks) if chunks else _table("", "", [])
        hashes = [f"{self._name(path)} {file_sha256(path)}" for path in files.values()]
        report = ReadReport(
            path=str(self.path),
            sha256=hashlib.sha256("\n".join(hashes).encode()).hexdigest(),
            bytes=sum(path.stat().st_size for path in files.values()),
            rows=rows,
            kept=len(documents),
            dropped=dict(dropped),
            notes=dict(notes),
            columns_used={"text": "text", "split": "split"},
        )
        self._check_share(report)
        return documents.to_pandas().astype("str"), report

    def _texts(self, path: Path, notes: Tally) -> Iterator[str]:
        if path.suffix == ".pkl":
            yield from (document.text for document in iter_masked(path))
            return
        for number, (text, stripped) in enumerate(iter_texts(path, self.encoding), start=1):
            if stripped:
                notes.add(f"{_STRIPPED} ({self._name(path)})", number)
            yield text

    def _name(self, path: Path) -> str:
        return path.relative_to(self.path).as_posix()

    def _check_share(self, report: ReadReport) -> None:
        lost = report.rows - report.kept
        if not report.kept or lost > self.max_dropped * report.rows:
            causes = "; ".join(f"{cause}: {found['count']}" for cause, found in report.dropped.items())
            raise UserError(
                f"corpus.reference={self.path}: {lost} of {report.rows} documents cannot be used "
                f"({causes or 'no texts'}), more than corpus.max_dropped={self.max_dropped}. Correct the files, or "
                "raise corpus.max_dropped."
            )


def reference_source(corpus: Corpus) -> ReferenceSource | None:
    """The reference folder to import the corpus from, if any."""
    if corpus.reference is None:
        return None
    return ReferenceSource(Path(corpus.reference), corpus.levels, corpus.encoding, corpus.max_dropped)


@dataclass(frozen=True)
class ImportedMasks:
    """A folder of masks converted from the reference's pickles, with counts of kept and dropped masks."""

    folder: Path
    kept: int
    kept_after_sorting: int  # kept masks whose spans were unsorted
    left_out: dict[str, int]  # cause -> masks


def import_masks(corpus: PreparedCorpus, source: ReferenceSource) -> ImportedMasks | None:
    """Write the masks of the source's pickles to `masks/reference-<hash>` of the imported corpus.

    Masks with faulty spans are dropped and counted. Documents from text files have no masks. None without any pickle.

    Raises: UserError if the files have changed since the corpus was imported, or mix mask types of two enumerations.
    """
    files = reference_files(source.path, source.levels)
    sha256 = {"/".join(key): file_sha256(path) for key, path in files.items() if path.suffix == ".pkl"}
    if not sha256:
        return None
    settings = {"documents": corpus.documents_hash, "name": "reference", "pickles": sha256}
    folder = masks_folder(corpus.folder, settings)
    if (folder / SETTINGS).is_file():
        log.info("%s already holds these masks", folder)
        return ImportedMasks(folder, **read_json(folder / IMPORT_REPORT))
    collected = _Collected()
    for key, path in files.items():
        collected.read(corpus.documents, *key, path)
    mask_types = ENUMERATIONS[collected.enumeration or HIERARCHICAL]
    lengths = corpus.documents["text"].str.len().to_numpy(dtype=np.int64)
    with locked_folder(corpus.folder), atomic_folder(folder) as temporary:
        writer = MaskWriter(temporary, mask_types, lengths, collected.most)
        for split, masks in collected.masks:
            writer.add(split, masks)
        writer.finish(settings)
        report: dict[str, Any] = {
            "kept": collected.kept,
            "kept_after_sorting": collected.sorted,
            "left_out": dict(sorted(collected.left_out.items())),
        }
        write_json(temporary / IMPORT_REPORT, report)
    log.info("%s: %d masks imported, %d of them with spans sorted", folder, collected.kept, collected.sorted)
    for cause, count in report["left_out"].items():
        log.warning("warning: %d masks of the reference dropped: %s", count, cause)
    return ImportedMasks(folder, **report)


class _Collected:
    """Collects the masks of some files, as flat arrays of a few thousand documents each."""

    def __init__(self) -> None:
        self.masks: list[tuple[str, Masks]] = []  # by split, rows ascending in each
        self.enumeration: str | None = None
        self.kept = self.sorted = self.most = 0
        self.left_out: Counter[str] = Counter()

    def read(self, documents: pd.DataFrame, level: str, split: str, path: Path) -> None:
        rows, numbers = _rows_of_file(documents, level, split)
        if path.suffix != ".pkl":
            self.masks.append((split, Masks.of(rows, [[] for _ in rows], ())))
            return
        texts, items = documents["text"], enumerate(iter_masked(path), start=1)
        begin = 0
        while chunk := dict(islice(items, _CHUNK_DOCUMENTS)):
            end = begin + int(np.searchsorted(numbers[begin:], max(chunk), side="right"))
            wanted = [chunk.get(number) for number in numbers[begin:end].tolist()]
            if [document and document.text for document in wanted] != texts.iloc[rows[begin:end]].tolist():
                raise UserError(
                    f"{path} has changed since this corpus was imported from it. Prepare the corpus again "
                    "(overwrite=true), or restore the file."
                )
            masks = [self._checked(document, path) for document in wanted if document]
            mask_types = ENUMERATIONS[self.enumeration or HIERARCHICAL]
            self.masks.append((split, Masks.of(rows[begin:end], masks, mask_types)))
            begin = end
        if begin != len(rows):
            raise UserError(f"{path} has fewer documents than the corpus imported from it. Prepare the corpus again.")

    def _checked(self, document: MaskedDocument, path: Path) -> list[list[Any]]:
        kept = []
        for mask in document.masks:
            checked = checked_mask(mask, len(document.text))
            if isinstance(checked, str):
                self.left_out[checked] += 1
                continue
            spans, enumeration = checked
            if enumeration is not None and self.enumeration not in (None, enumeration):
                raise UserError(
                    f"{path} has mask types of {enumeration}, other files have {self.enumeration}: they come from two "
                    "mask functions. Import them as two corpora (corpus.name=...)."
                )
            self.enumeration = self.enumeration or enumeration
            self.sorted += [span.start for span in spans] != [span[1] for span in mask]
            kept.append(spans)
        self.kept += len(kept)
        self.most = max(self.most, len(document.masks))
        return kept


def _table(level: str, split: str, texts: list[tuple[int, str]]) -> pa.Table:
    columns = {
        "writing_id": [f"{level}:{split}:{number:0{_DIGITS}}" for number, _ in texts],
        "l1": [UNKNOWN_L1] * len(texts),
        "cefr_level": [level] * len(texts),
        "text": [text for _, text in texts],
        "split": [split] * len(texts),
    }
    return pa.table({name: pa.array(values, pa.large_string()) for name, values in columns.items()})


def _rows_of_file(documents: pd.DataFrame, level: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the documents of a file, ascending, and their numbers in the file."""
    prefix = f"{level}:{split}:"
    rows = np.flatnonzero(documents["writing_id"].str.startswith(prefix).to_numpy(dtype=bool)).astype(np.int32)
    return rows, documents["writing_id"].iloc[rows].str.slice(len(prefix)).astype("int64").to_numpy()


def _is_empty(text: str) -> bool:
    return not text.strip()


def _has_no_character(text: str) -> bool:
    return _NO_CHARACTER.search(text) is not None
