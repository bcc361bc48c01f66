"""Exports a prepared corpus in the reference's formats: texts and masks by level and split, and a report.

    <folder>/<level>/{train,valid,test}.txt     and <folder>/all/...; for its `create_ilm_examples.py --data_dir`
    <folder>/<level>/{train,valid,test}.pkl     as written by its create_ilm_examples.py, for its train_ilm.py
    <folder>/export_report.json                 counts; ids of texts missing from the .txt files, by cause

The pickles hold every document. An empty split has no files: an empty text file would read as one empty document.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from tqdm import tqdm

from ilm.corpus.splitting.assign import SPLITS
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.files import atomic_folder, require_writable, write_json
from ilm.masking.masks import Masks
from ilm.masking.store import MaskStore
from ilm.reference.masks import ALL_LEVELS, MaskedPickleWriter, enumeration_of, mask_file, text_file
from ilm.reference.texts import TextWriter, unwritable

log = logging.getLogger("ilm")

EXPORT_REPORT = "export_report.json"

_CHUNK_DOCUMENTS = 5_000


def export_corpus(corpus: PreparedCorpus, masks: MaskStore, folder: Path) -> dict[str, Any]:
    """Write `folder`, replacing an earlier export; returns the contents of export_report.json.

    Takes constant memory besides the corpus itself.

    Raises: UserError, before writing, if `folder` holds other files, a level cannot name a folder, or the reference
    does not know the mask types.
    """
    folder = Path(folder)
    levels = sorted(set(corpus.documents["cefr_level"].unique()))
    require_replaceable(folder)
    enumeration = enumeration_of(masks.mask_types)
    odd = [level for level in levels if level == ALL_LEVELS or not re.fullmatch(r"\w[\w.+-]*", level)]
    if odd:
        raise UserError(
            f"The levels {', '.join(map(repr, odd))} cannot name export folders. Rename them in the corpus file, with "
            f"letters, digits and . + - (but not {ALL_LEVELS!r}), and prepare it again."
        )
    left_out: dict[str, list[str]] = {}
    counts = {
        level: {split: {"documents": 0, "texts_in_txt": 0, "masks": 0} for split in SPLITS}
        for level in [*levels, ALL_LEVELS]
    }
    with atomic_folder(folder) as temporary:
        with tqdm(total=len(corpus.documents), desc="Exporting", unit=" documents", disable=None) as progress:
            for split in SPLITS:
                for done in _export_split(corpus, masks, split, temporary, counts, left_out):
                    progress.update(done)
        report = {
            "corpus": corpus.name,
            "documents_hash": corpus.documents_hash,
            "mask_types": {"names": list(masks.mask_types), "enumeration": enumeration},
            "levels": counts,
            "left_out_of_text_files": {
                cause: {"count": len(ids), "writing_ids": ids} for cause, ids in sorted(left_out.items())
            },
        }
        write_json(temporary / EXPORT_REPORT, report)
    for cause, ids in sorted(left_out.items()):
        log.warning("warning: %d texts are left out of the .txt files, which cannot hold %s", len(ids), cause)
    if left_out:
        log.warning("their ids are in %s; the .pkl files hold them", folder / EXPORT_REPORT)
    return report


class _SplitFiles:
    """The two open files of a level and split, with counts."""

    def __init__(self, text: TextIO, pickled: BinaryIO, mask_types: tuple[str, ...], counts: dict[str, int]) -> None:
        self._texts, self._masks, self._counts = TextWriter(text), MaskedPickleWriter(pickled, mask_types), counts

    @classmethod
    @contextmanager
    def open(
        cls, folder: Path, split: str, mask_types: tuple[str, ...], counts: dict[str, int]
    ) -> Iterator["_SplitFiles"]:
        folder.mkdir(exist_ok=True)
        with (
            open(text_file(folder, split), "w", encoding="utf-8", newline="") as text,
            open(mask_file(folder, split), "wb") as pickled,
        ):
            files = cls(text, pickled, mask_types, counts)
            yield files
            files._masks.finish()

    def add(self, texts: list[str], writable: list[bool], masks: Masks) -> None:
        for text, is_writable in zip(texts, writable, strict=True):
            if is_writable:
                self._texts.add(text)
        self._masks.add(texts, masks)
        self._counts["documents"] += len(texts)
        self._counts["texts_in_txt"] += sum(writable)
        self._counts["masks"] += len(masks.span_offsets) - 1


def _export_split(
    corpus: PreparedCorpus,
    masks: MaskStore,
    split: str,
    folder: Path,
    counts: Mapping[str, Mapping[str, dict[str, int]]],
    left_out: dict[str, list[str]],
) -> Iterator[int]:
    """Write the files of a split for all levels; yields numbers of documents done, for the progress bar."""
    documents = corpus.documents
    levels = sorted(documents["cefr_level"].iloc[masks.splits[split].documents].unique())
    with ExitStack() as stack:
        files = {
            level: stack.enter_context(_SplitFiles.open(folder / level, split, masks.mask_types, counts[level][split]))
            for level in ([*levels, ALL_LEVELS] if levels else [])
        }
        for chunk in _chunks(masks.splits[split]):
            rows = documents.iloc[chunk.documents]
            texts, of_document = rows["text"].tolist(), rows["cefr_level"].to_numpy()
            faults = [unwritable(text) for text in texts]
            for writing_id, fault in zip(rows["writing_id"].tolist(), faults, strict=True):
                if fault is not None:
                    left_out.setdefault(fault, []).append(writing_id)
            writable = [fault is None for fault in faults]
            files[ALL_LEVELS].add(texts, writable, chunk)
            for level in np.unique(of_document):
                chosen = of_document == level
                numbers = np.flatnonzero(chosen).tolist()
                files[level].add([texts[i] for i in numbers], [writable[i] for i in numbers], chunk.select(chosen))
            yield len(texts)


def _chunks(masks: Masks) -> Iterator[Masks]:
    for begin in range(0, len(masks.documents), _CHUNK_DOCUMENTS):
        yield masks.select(np.arange(begin, min(begin + _CHUNK_DOCUMENTS, len(masks.documents))))


def require_replaceable(folder: Path) -> None:
    """Raises: UserError if `folder` is not writable, or has files that are not from an export and would be deleted."""
    written = {f"{split}.{kind}" for split in SPLITS for kind in ("txt", "pkl")}
    is_export = (folder / EXPORT_REPORT).is_file()
    for path in [folder] if folder.is_file() else folder.rglob("*"):
        is_ours = path == folder / EXPORT_REPORT or (path.name in written and path.parent.parent == folder)
        if not path.is_dir() and not (is_export and is_ours):
            raise UserError(
                f"export={folder} holds other files ({path.name}). Give a new folder: an export replaces its folder as "
                "a whole."
            )
    require_writable(folder, "export")
