"""Exports a prepared corpus in the reference's formats: texts and masks by level and split, and a report.

    <folder>/<level>/{train,valid,test}.txt     and <folder>/all/...; for its `create_ilm_examples.py --data_dir`
    <folder>/<level>/{train,valid,test}.pkl     as written by its create_ilm_examples.py, for its train_ilm.py
    <folder>/export_report.json                 counts; ids of texts missing from the .txt files, by cause

The pickles hold every document. An empty split has no files: an empty text file would read as one empty document.
"""

import logging
import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from ilm.corpus.splitting.assign import SPLITS
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.files import atomic_folder, require_writable, write_json
from ilm.masking.masks import Masks
from ilm.masking.store import MaskStore
from ilm.reference.masks import ALL_LEVELS, MaskedPickleWriter, enumeration_of
from ilm.reference.texts import SEPARATOR, unwritable

log = logging.getLogger("ilm")

EXPORT_REPORT = "export_report.json"

_CHUNK_DOCUMENTS = 5_000


def export_corpus(corpus: PreparedCorpus, masks: MaskStore, folder: Path) -> dict[str, Any]:
    """Write `folder`, replacing an earlier export; returns the contents of export_report.json.

    Takes constant memory besides the corpus itself.

    Raises: UserError, before writing, if `folder` holds other files, a level cannot name a folder, or the reference
    does not know the mask types.
    """
    folder, documents = Path(folder), corpus.documents
    levels = sorted(documents["cefr_level"].unique())
    require_replaceable(folder)
    enumeration = enumeration_of(masks.mask_types)
    odd = [level for level in levels if level == ALL_LEVELS or not re.fullmatch(r"\w[\w.+-]*", level)]
    if odd:
        raise UserError(
            f"The levels {', '.join(map(repr, odd))} cannot name export folders. Rename them in the corpus file, with "
            f"letters, digits and . + - (but not {ALL_LEVELS!r}), and prepare it again."
        )
    faults = pd.Series([unwritable(text) for text in documents["text"]], dtype=object)
    counts: dict[str, dict[str, dict[str, int]]] = {level: {} for level in [*levels, ALL_LEVELS]}
    left_out = {cause: documents["writing_id"][faults == cause].tolist() for cause in sorted(faults.dropna().unique())}
    with atomic_folder(folder) as temporary:
        for level, split in tqdm([*product(counts, SPLITS)], "Exporting", unit=" splits", disable=None):
            drawn = masks.splits[split]
            of_level = documents["cefr_level"].iloc[drawn.documents].to_numpy() == level
            chosen = np.flatnonzero(of_level | (level == ALL_LEVELS))
            counts[level][split] = {
                "documents": len(chosen),
                "texts_in_txt": int(faults.iloc[drawn.documents[chosen]].isna().sum()),
                "masks": int(np.diff(drawn.mask_offsets)[chosen].sum()),
            }
            if len(chosen):
                (temporary / level).mkdir(exist_ok=True)
                _write_split(temporary / level / split, documents["text"], drawn, chosen, masks.mask_types)
        report = {
            "corpus": corpus.name,
            "documents_hash": corpus.documents_hash,
            "mask_types": {"names": list(masks.mask_types), "enumeration": enumeration},
            "levels": counts,
            "left_out_of_text_files": {
                cause: {"count": len(ids), "writing_ids": ids} for cause, ids in left_out.items()
            },
        }
        write_json(temporary / EXPORT_REPORT, report)
    for cause, ids in left_out.items():
        log.warning("warning: %s texts are left out of the .txt files, which cannot hold %s", f"{len(ids):,}", cause)
    if left_out:
        log.warning("their ids are in %s; the .pkl files hold them", folder / EXPORT_REPORT)
    return report


def _write_split(
    path: Path, all_texts: pd.Series, masks: Masks, chosen: np.ndarray, mask_types: tuple[str, ...]
) -> None:
    """Write the `chosen` documents, as positions in `masks`, to `path` with the suffixes .txt and .pkl."""
    with (
        open(f"{path}.txt", "w", encoding="utf-8", newline="") as text_file,
        open(f"{path}.pkl", "wb") as mask_file,
    ):
        pickled, separator = MaskedPickleWriter(mask_file, mask_types), ""
        for begin in range(0, len(chosen), _CHUNK_DOCUMENTS):
            chunk = masks.select(chosen[begin : begin + _CHUNK_DOCUMENTS])
            texts = all_texts.iloc[chunk.documents].tolist()
            pickled.add(texts, chunk)
            for text in texts:
                if unwritable(text) is None:
                    text_file.write(separator + text)
                    separator = SEPARATOR
        pickled.finish()


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
