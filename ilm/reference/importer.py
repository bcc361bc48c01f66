"""Imports a corpus from a folder of the reference: documents with their splits, and masks.

A document's id is `<level>:<split>:<number>`, numbered from 1 in file order. Learner and L1 are unknown.
"""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ilm.config.sections import Corpus
from ilm.corpus.build import locked_folder
from ilm.corpus.columns import Reading
from ilm.corpus.formats.table import NO_CHARACTER, Tally
from ilm.corpus.reader import ReadReport, require_share
from ilm.corpus.row_validation import NO_TEXT, UNKNOWN_L1
from ilm.corpus.sources import FileSource
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.files import atomic_folder, write_json
from ilm.hashing import file_sha256
from ilm.masking.functions import Span
from ilm.masking.masks import Masks
from ilm.masking.sampling import masks_folder
from ilm.masking.store import SETTINGS, MaskWriter
from ilm.reference.masks import ENUMERATIONS, HIERARCHICAL, checked_mask, iter_masked, reference_files
from ilm.reference.texts import read_texts

log = logging.getLogger("ilm")

IMPORT_REPORT = "import.json"

_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")
_DIGITS = 7
_CHUNK_DOCUMENTS = 5_000


class ReferenceSource(FileSource):
    """The documents of a reference folder (`ilm.reference.masks`), the only one of `paths`."""

    @property
    def settings(self) -> dict[str, Any]:
        return {**super().settings, "format": "reference"}

    def read(self) -> tuple[pd.DataFrame, ReadReport]:
        """Documents sorted by `writing_id`, with their split; empty texts are dropped.

        Raises: UserError for a folder without reference files, for damaged files, or if more than the share
        `max_dropped` is dropped.
        """
        files = self.files()
        dropped, rows, kept = Tally(), 0, []
        for (level, split), path in files.items():
            is_pickle = path.suffix == ".pkl"
            texts = [text for text, _ in iter_masked(path)] if is_pickle else read_texts(path, self.reading.encoding)
            rows += len(texts)
            for number, text in enumerate(texts, start=1):
                fault = NO_TEXT if not text.strip() else NO_CHARACTER if _NO_CHARACTER.search(text) else None
                if fault is not None:
                    dropped.add(f"{fault} ({path.relative_to(self.paths[0]).as_posix()})", number)
                else:
                    kept.append((f"{level}:{split}:{number:0{_DIGITS}}", UNKNOWN_L1, level, text, split))
        report = ReadReport(
            path=str(self.paths[0]),
            sha256=self.sha256(files),
            bytes=sum(path.stat().st_size for path in files.values()),
            rows=rows,
            kept=len(kept),
            dropped=dict(dropped),
            notes={},
            columns_used={"text": "text", "split": "split"},
        )
        require_share(report, self.reading.max_dropped)
        return pd.DataFrame(kept, columns=["writing_id", "l1", "cefr_level", "text", "split"], dtype="str"), report

    def files(self) -> dict[tuple[str, str], Path]:
        """The folder's files by level and split."""
        return reference_files(self.paths[0], self.reading.levels)

    def sha256(self, files: Mapping[tuple[str, str], Path]) -> str:
        """One hash of the files' names and contents."""
        hashes = [f"{path.relative_to(self.paths[0]).as_posix()} {file_sha256(path)}" for path in files.values()]
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def reference_source(corpus: Corpus) -> ReferenceSource | None:
    """The reference folder to import the corpus from, if any."""
    if corpus.reference is None:
        return None
    reading = Reading(corpus.levels, encoding=corpus.encoding, max_dropped=corpus.max_dropped)
    return ReferenceSource([Path(corpus.reference)], reading)


def import_masks(corpus: PreparedCorpus, source: ReferenceSource) -> Path | None:
    """Write the masks of the source's pickles to the folder `masks/reference-<hash>` of the imported corpus.

    Masks with faulty spans are dropped, and counted in its import.json. Documents from text files have no masks. None
    without any pickle.

    Raises: UserError if the files have changed since the corpus was imported, or mix mask types of two enumerations.
    """
    files = source.files()
    sha256 = {"/".join(key): file_sha256(path) for key, path in files.items() if path.suffix == ".pkl"}
    if not sha256:
        return None
    if source.sha256(files) != corpus.manifest["sources"][0]["sha256"]:
        raise UserError(
            f"{source.paths[0]} has changed since this corpus was imported from it. Prepare the corpus again "
            "(overwrite=true), or restore the files."
        )
    settings = {"documents": corpus.documents_hash, "name": "reference", "pickles": sha256}
    folder = masks_folder(corpus.folder, settings)
    if (folder / SETTINGS).is_file():
        log.info("%s already holds these masks", folder)
        return folder
    collected = _Collected()
    for key, path in files.items():
        collected.read(corpus.documents, *key, path)
    lengths = corpus.documents["text"].str.len().to_numpy(dtype=np.int64)
    with locked_folder(corpus.folder), atomic_folder(folder) as temporary:
        writer = MaskWriter(temporary, collected.mask_types, lengths, collected.most)
        for split, masks in collected.masks:
            writer.add(split, masks)
        writer.finish(settings)
        report = {
            "kept": collected.kept,
            "kept_after_sorting": collected.sorted,
            "left_out": dict(sorted(collected.left_out.items())),
        }
        write_json(temporary / IMPORT_REPORT, report)
    counts = f"{collected.kept:,} masks imported, {collected.sorted:,} of them with spans sorted"
    log.info("%s: %s", folder, counts)
    for cause, count in sorted(collected.left_out.items()):
        log.warning("warning: %s masks of the reference dropped: %s", f"{count:,}", cause)
    return folder


class _Collected:
    """Collects the masks of some files, as flat arrays of a few thousand documents each."""

    def __init__(self) -> None:
        self.masks: list[tuple[str, Masks]] = []  # by split, rows ascending in each
        self.enumeration: str | None = None
        self.kept = self.sorted = self.most = 0
        self.left_out: Counter[str] = Counter()

    @property
    def mask_types(self) -> tuple[str, ...]:
        return ENUMERATIONS[self.enumeration or HIERARCHICAL]

    def read(self, documents: pd.DataFrame, level: str, split: str, path: Path) -> None:
        """Add the masks of a file's documents, as far as they are in the corpus."""
        prefix = f"{level}:{split}:"
        rows = np.flatnonzero(documents["writing_id"].str.startswith(prefix))
        if path.suffix != ".pkl":
            self.masks.append((split, Masks.of(rows, [[] for _ in rows], ())))
            return
        numbers = documents["writing_id"].iloc[rows].str.removeprefix(prefix).astype("int64")
        row_of = dict(zip(numbers, rows, strict=True))
        found = ((number, *document) for number, document in enumerate(iter_masked(path), start=1) if number in row_of)
        while chunk := list(islice(found, _CHUNK_DOCUMENTS)):
            checked = [self._checked(masks, len(text), path) for _, text, masks in chunk]
            chunk_rows = [row_of[number] for number, _, _ in chunk]
            self.masks.append((split, Masks.of(chunk_rows, checked, self.mask_types)))

    def _checked(self, masks: list[Any], text_length: int, path: Path) -> list[list[Span]]:
        kept = []
        for mask in masks:
            checked = checked_mask(mask, text_length)
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
        self.most = max(self.most, len(masks))
        return kept
