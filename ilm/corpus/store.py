"""A prepared corpus on disk: `documents.parquet`, one row a document, and `manifest.json`.

The documents hash ties the two together: it is computed from the settings (not from paths), written into
the parquet's schema metadata and into the manifest. The parquet is written first, so a process
killed in between leaves a pair whose hashes differ, which `PreparedCorpus.open` refuses.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import ilm
from ilm.config import flat
from ilm.corpus.reader import OPTIONAL, REQUIRED, ReadReport
from ilm.corpus.splits import SPLITS, SplitReport
from ilm.corpus.statistics import summary
from ilm.errors import UserError
from ilm.files import atomic_file, read_json, write_json
from ilm.hashing import FORMAT_VERSION, digest

DOCUMENTS = "documents.parquet"
MANIFEST = "manifest.json"
COLUMNS = (*REQUIRED, *OPTIONAL, "split")

_METADATA_KEY = b"ilm_documents_hash"


def documents_settings(
    *,
    sources: Sequence[str],
    columns: Mapping[str, str],
    levels: Sequence[str],
    encoding: str,
    sample_size: int | None,
    sample_seed: int,
    split_seed: int,
    keep_together: Sequence[str],
) -> dict[str, Any]:
    """Everything the documents follow from; `ilm.hashing.digest` of it is the documents hash.

    `sources`: SHA-256 of each file. `columns`: name -> header of the file (`ReadReport.columns_used`).
    Whatever cannot change the documents is left out or put in one form: paths, the order of `levels` and
    `keep_together`, the seed of a sample that is not drawn.
    """
    return {
        "sources": list(sources),
        "columns": dict(columns),
        "levels": sorted(levels),
        "encoding": encoding,
        "sample": None if sample_size is None else {"size": sample_size, "seed": sample_seed},
        "split": {"seed": split_seed, "keep_together": sorted(keep_together)},
    }


def corpus_manifest(
    *,
    corpus: str,
    synthetic: bool,
    settings: Mapping[str, Any],
    documents: pd.DataFrame,
    read_report: ReadReport,
    split_report: SplitReport,
) -> dict[str, Any]:
    """The manifest of a corpus: without time stamps, so the same input gives the same bytes."""
    source = read_report.to_dict()
    dropped, notes = source.pop("dropped"), source.pop("notes")
    return {
        "corpus": corpus,
        "synthetic": synthetic,
        "documents_hash": digest(settings),
        "sources": [source],
        "settings": dict(settings),
        "counts": summary(documents),
        "dropped": dropped,
        "notes": notes,
        "split": split_report.to_dict(),
        "versions": {
            "format": FORMAT_VERSION,
            "ilm": ilm.__version__,
            "pandas": pd.__version__,
            "pyarrow": pa.__version__,
            "python": platform.python_version(),
        },
    }


def write_corpus(folder: Path, documents: pd.DataFrame, manifest: Mapping[str, Any]) -> None:
    """Write a prepared corpus, replacing one that is there; caches beside it (masks, tokens) stay.

    `documents`: `COLUMNS`, perhaps without those of `OPTIONAL`; the row's position is the document's number.
    """
    missing = [name for name in (*REQUIRED, "split") if name not in documents]
    if missing:
        raise ValueError(f"documents lack the columns {missing}")
    strange = set(documents["split"]) - set(SPLITS)
    if strange:
        raise ValueError(f"column split holds {sorted(map(str, strange))}")
    columns = [name for name in COLUMNS if name in documents]
    # An explicit schema: pandas' own metadata would tie the bytes to its version.
    schema = pa.schema(
        [pa.field(name, pa.large_string(), nullable=False) for name in columns],
        metadata={_METADATA_KEY: digest(manifest["settings"]).encode()},
    )
    arrays = [pa.array(documents[name].tolist(), pa.large_string()) for name in columns]
    with atomic_file(Path(folder) / DOCUMENTS) as temporary:
        pq.write_table(
            pa.Table.from_arrays(arrays, schema=schema),
            temporary,
            compression="zstd",
            row_group_size=50_000,
            use_dictionary=["l1", "cefr_level", "split"],
            write_page_checksum=True,
        )
    write_json(Path(folder) / MANIFEST, {**manifest, "documents_hash": digest(manifest["settings"])})


@dataclass(frozen=True)
class PreparedCorpus:
    """A prepared corpus: made by `open`, which checks that its files belong together."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "PreparedCorpus":
        """Open `data/<corpus>/`; reads the manifest and the parquet's footer only.

        Raises UserError if there is no corpus, or one that is half-written, damaged or of another format.
        """
        folder = Path(folder)
        absent = [name for name in (MANIFEST, DOCUMENTS) if not (folder / name).exists()]
        if len(absent) == 2:
            raise UserError(
                f"{folder} holds no prepared corpus; make it with: python prepare.py {corpus_arguments(folder.name)}"
            )
        if absent:
            raise _unusable(folder, f"half-written, {absent[0]} is missing")
        try:
            manifest = read_json(folder / MANIFEST)
            stored = pq.read_metadata(folder / DOCUMENTS)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise _unusable(folder, f"{MANIFEST} is damaged ({error})") from error
        except pa.ArrowInvalid as error:
            raise _unusable(folder, f"{DOCUMENTS} is damaged ({error})") from error
        try:
            documents_hash, settings = manifest["documents_hash"], manifest["settings"]
            documents = manifest["counts"]["documents"]
        except (KeyError, TypeError) as error:
            raise _unusable(folder, f"{MANIFEST} is not the manifest of a corpus ({error!r})") from error
        if digest(settings) != documents_hash:
            raise _unusable(folder, "prepared by a version of this program with another file format, or edited by hand")
        found = (stored.metadata or {}).get(_METADATA_KEY, b"none").decode()
        if found != documents_hash or stored.num_rows != documents:
            raise _unusable(
                folder,
                f"{DOCUMENTS} (hash {found}, {stored.num_rows} documents) does not belong to "
                f"{MANIFEST} (hash {documents_hash}, {documents} documents), perhaps preparing was interrupted",
            )
        return cls(folder, manifest)

    @property
    def name(self) -> str:
        """The name of the corpus, as in `corpus=NAME`."""
        return self.manifest["corpus"]

    @property
    def documents_hash(self) -> str:
        """12 hex digits: names what is made from these documents (masks, tokens, runs)."""
        return self.manifest["documents_hash"]

    @cached_property
    def documents(self) -> pd.DataFrame:
        """All documents, sorted by `writing_id`: `COLUMNS` (perhaps without some of `OPTIONAL`), of dtype `str`.

        The row number (the index, 0 to n - 1) is the document number everywhere else.
        """
        try:
            table = pq.read_table(self.folder / DOCUMENTS, page_checksum_verification=True)
        except (OSError, pa.ArrowInvalid) as error:
            raise _unusable(self.folder, f"{DOCUMENTS} is damaged ({error})") from error
        return table.to_pandas().astype("str")

    def rows(self, split: str, levels: Sequence[str]) -> np.ndarray:
        """Document numbers (int64, ascending) of the given levels in `split`."""
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is none of {SPLITS}")
        wanted = (self.documents["split"] == split) & self.documents["cefr_level"].isin(levels)
        return np.flatnonzero(wanted.to_numpy())

    def require_splits(self, levels: Sequence[str]) -> None:
        """Raise UserError unless each of the levels has documents in train, valid and test."""
        counts = self.manifest["counts"]["levels"]
        complete = [level for level, sizes in counts.items() if all(sizes[split] for split in SPLITS)]
        faults = []
        for level in levels:
            if level not in counts:
                faults.append(f"level {level} has no documents")
            else:
                sizes = ", ".join(f"{split} {counts[level][split]}" for split in SPLITS)
                empty = [split for split in SPLITS if not counts[level][split]]
                faults += [f"level {level} has no documents in {' and '.join(empty)} ({sizes})"] if empty else []
        if faults:
            raise UserError(
                f"corpus {self.name}: {'; '.join(faults)}. Add texts (10 of a level always fill its three "
                f"splits unless they hang together) and prepare again, or choose another level: "
                f"{', '.join(complete) or 'none is complete'}"
            )


def corpus_arguments(name: str) -> str:
    """What to type to choose the corpus of this name: an option of conf/corpus, or one of the user's own."""
    return f"corpus={name}" if name in ("sample", "efcamdat") else f"corpus=custom corpus.name={name}"


def existing_conflict(folder: Path, settings: Mapping[str, Any]) -> list[str]:
    """How the corpus already prepared in `folder` differs from `settings`, one line a difference.

    Empty where nothing is prepared or the settings are the same; otherwise entry points refuse to
    replace it without `overwrite=true`.
    """
    path = Path(folder) / MANIFEST
    if not path.exists():
        return []
    try:
        manifest = read_json(path)
        old, old_hash = dict(flat(manifest["settings"])), manifest["documents_hash"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return [f"{MANIFEST} cannot be read"]
    new = dict(flat(settings))
    lines = [
        f"{name}: prepared with {old.get(name)}, asked for {new.get(name)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    if not lines and old_hash != digest(settings):
        lines.append(f"file format: prepared in another one than the present {FORMAT_VERSION}")
    return lines


def _unusable(folder: Path, why: str) -> UserError:
    return UserError(
        f"{folder}: {why}; prepare again: python prepare.py {corpus_arguments(folder.name)} overwrite=true"
    )
