"""A prepared corpus on disk: `documents.parquet`, one row a document, and `manifest.json`.

A digest of the documents ties the two together, which stands in the parquet's metadata and in the manifest. The parquet
is put in place first (`ilm.corpus.build`), so a process killed in between leaves a pair whose digests differ, which
`PreparedCorpus.open` refuses. (The documents hash, which names what is made from a corpus, is that of the settings: the
same documents in another order of the file have another one, but the same bytes in this file.)
"""

import difflib
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import Buffer

from ilm.config.keys import as_typed, flat
from ilm.corpus.columns import REQUIRED, SCHEMA
from ilm.corpus.selection import having
from ilm.corpus.splitting.assign import SPLITS
from ilm.errors import UserError
from ilm.files import read_json
from ilm.hashing import FORMAT_VERSION, digest, file_sha256

DOCUMENTS = "documents.parquet"
MANIFEST = "manifest.json"

_METADATA_KEY = b"ilm_documents_sha256"
_ROWS_OF_A_GROUP = 50_000


def write_documents(path: Path, documents: pd.DataFrame) -> None:
    """Write `documents` as a parquet file that carries a digest of them.

    `documents`: `SCHEMA`, perhaps without those of `OPTIONAL`, and further columns; the row's position is the
    document's number. Equal documents give equal bytes, however their columns lie in memory.
    """
    missing = [name for name in (*REQUIRED, "split") if name not in documents]
    if missing:
        raise ValueError(f"documents lack the columns {missing}")
    strange = set(documents["split"].unique()) - set(SPLITS)
    if strange:
        raise ValueError(f"column split holds {sorted(map(str, strange))}")
    # An explicit schema: pandas' own metadata would tie the bytes to its version.
    names = [*(name for name in SCHEMA if name in documents), *sorted(set(documents) - set(SCHEMA))]
    schema = pa.schema([pa.field(name, pa.large_string(), nullable=False) for name in names])
    content = _Sha256()
    options = {"compression": "zstd", "use_dictionary": ["l1", "cefr_level", "split"], "write_page_checksum": True}
    with pq.ParquetWriter(path, schema, **options) as writer, pa.ipc.new_stream(content, schema) as digested:
        # A group of rows at a time: the columns are Arrow's already, and only one group is copied. The copy is in one
        # piece, since pages end where pieces of memory do.
        for begin in range(0, max(1, len(documents)), _ROWS_OF_A_GROUP):
            rows = documents.iloc[begin : begin + _ROWS_OF_A_GROUP][schema.names]
            table = pa.Table.from_pandas(rows, schema, preserve_index=False).combine_chunks()
            writer.write_table(table)
            digested.write_table(table)
        writer.add_key_value_metadata({_METADATA_KEY: content.hexdigest()})


class _Sha256(io.RawIOBase):
    """A file that keeps nothing but the SHA-256 of what is written to it."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        self._digest.update(data)
        return memoryview(data).nbytes

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def describe_documents(path: Path) -> dict[str, Any]:
    """What the manifest says of a parquet file of `write_documents`: that of its bytes, and the digest it carries."""
    carried = (pq.read_metadata(path).metadata or {}).get(_METADATA_KEY, b"none").decode()
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size, "documents_sha256": carried}


def read_documents(path: Path) -> pd.DataFrame:
    """The documents in a parquet file of `write_documents`, as Arrow-backed columns of dtype `str`.

    Raises: OSError or ArrowInvalid for a damaged file; every page has a checksum.
    """
    return pq.read_table(path, page_checksum_verification=True).to_pandas().astype("str")


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
            prepared = [path.parent.name for path in folder.parent.glob(f"*/{MANIFEST}")]
            close = difflib.get_close_matches(folder.name, prepared, n=1)
            hint = f"did you mean corpus.name={close[0]}?" if close else f"make it with: {prepare_command(folder.name)}"
            raise UserError(f"{folder} holds no prepared corpus; {hint}")
        if absent:
            raise _unusable(folder, f"half-written, {absent[0]} is missing")
        try:
            manifest = read_json(folder / MANIFEST)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise _unusable(folder, f"{MANIFEST} is damaged ({error})") from error
        try:
            stored = pq.read_metadata(folder / DOCUMENTS)
        except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:  # Arrow has all of them for a damaged footer
            raise _unusable(folder, f"{DOCUMENTS} is damaged ({error})", manifest) from error
        try:
            documents_hash, settings = manifest["documents_hash"], manifest["settings"]
            documents, described = manifest["counts"]["documents"], manifest["files"][DOCUMENTS]["documents_sha256"]
            _ = [manifest[key] for key in ("corpus", "test_only", "text_column", "leaks")]
        except (KeyError, TypeError) as error:
            raise _unusable(folder, f"{MANIFEST} is not the manifest of a corpus ({error!r})") from error
        if digest(settings) != documents_hash:
            why = "prepared by a version of this program with another file format, or edited by hand"
            raise _unusable(folder, why, manifest)
        found = (stored.metadata or {}).get(_METADATA_KEY, b"none").decode(errors="replace")
        if found != described or stored.num_rows != documents:
            raise _unusable(
                folder,
                f"{DOCUMENTS} ({stored.num_rows} documents, digest {found[:12]}) does not belong to "
                f"{MANIFEST} ({documents} documents, digest {described[:12]}), perhaps preparing was interrupted",
                manifest,
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

    @property
    def levels(self) -> list[str]:
        """The levels that it has texts of."""
        return [level for level in self.manifest["settings"]["levels"] if level in self.manifest["counts"]["levels"]]

    @property
    def test_only(self) -> bool:
        """Whether it was prepared by `corpus.extra`: all of its documents are test data."""
        return self.manifest["test_only"]

    @property
    def seed(self) -> int:
        """The seed of its split, by which documents and examples are chosen too."""
        return self.manifest["settings"]["split"]["seed"]

    @property
    def text_note(self) -> str | None:
        """What every table has to say if the texts are not those of a column `text`, such as a teacher's correction."""
        return text_note(self.manifest["text_column"])

    @cached_property
    def documents(self) -> pd.DataFrame:
        """All documents, sorted by `writing_id`, of dtype `str`: `SCHEMA`, perhaps without some of `OPTIONAL`, and the
        columns of `corpus.keep_columns`.

        The row number (the index, 0 to n - 1) is the document number everywhere else.
        """
        try:
            return read_documents(self.folder / DOCUMENTS)
        except (OSError, pa.ArrowInvalid) as error:
            raise _unusable(self.folder, f"{DOCUMENTS} is damaged ({error})", self.manifest) from error

    def rows(self, split: str, levels: Sequence[str], only: Mapping[str, Sequence[str]] | None = None) -> np.ndarray:
        """Document numbers (int64, ascending) of the given levels in `split`, and of `only` these values of columns.

        Raises: UserError as `ilm.corpus.selection.having`.
        """
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is none of {SPLITS}")
        wanted = (self.documents["split"] == split) & self.documents["cefr_level"].isin(levels)
        return np.flatnonzero(wanted.to_numpy() & having(self.documents, only or {}))

    def require_splits(self, levels: Sequence[str], splits: Sequence[str] = SPLITS) -> None:
        """Raise UserError unless each of the levels has documents in each of `splits`."""
        if self.test_only and "train" in splits:
            raise UserError(
                f"corpus {self.name} is test-only data (corpus.extra): nothing is trained on it. Evaluate models of "
                f"another corpus on it: python evaluate.py corpus=NAME task.corpus={self.name}"
            )
        counts = self.manifest["counts"]["levels"]
        complete = [level for level, sizes in counts.items() if all(sizes[split] for split in splits)]
        faults = []
        for level in levels:
            if level not in counts:
                faults.append(f"level {level} has no documents")
            else:
                sizes = ", ".join(f"{split} {counts[level][split]}" for split in SPLITS)
                empty = [split for split in splits if not counts[level][split]]
                faults += [f"level {level} has no documents in {' and '.join(empty)} ({sizes})"] if empty else []
        if faults:
            raise UserError(
                f"corpus {self.name}: {'; '.join(faults)}. Add texts (10 of a level always fill its three "
                f"splits unless they hang together) and prepare again, or choose another level: "
                f"{', '.join(complete) or 'none is complete'}"
            )


def text_note(column: str) -> str | None:
    """What every table has to say of texts that stand in a column of this header; None for the usual one."""
    return None if column.strip().casefold() == "text" else f"text column: {column}"


def corpus_arguments(name: str) -> str:
    """What to type to choose the corpus of this name: an option of conf/corpus, or one of the user's own."""
    return f"corpus={name}" if name in ("sample", "efcamdat") else f"corpus=custom corpus.name={name}"


def prepare_command(name: str, manifest: Mapping[str, Any] | None = None) -> str:
    """The command that prepares the corpus of this name; with the path of its file where a manifest tells it."""
    main = name
    match manifest:
        case {"synthetic": True}:
            return "python prepare.py corpus=sample" + (f" corpus.name={name}" if name != "sample" else "")
        case {"test_only": True, "sources": [{"path": str(path)}], "leaks": {"asked": {"corpus": str(main)}}}:
            source = "corpus.csv=PATH " + as_typed("corpus.extra=[{csv: ", path, f", name: {name}}}]")
        case {"settings": {"format": "reference"}, "sources": [{"path": str(path)}]}:
            source = as_typed("corpus.reference=", path)
        case {"sources": [{"path": str(path)}]}:
            source = as_typed("corpus.csv=", path)
        case _:
            source = "" if name == "sample" else "corpus.csv=PATH"
    return f"python prepare.py {corpus_arguments(main)} {source}".rstrip()


def again(name: str, manifest: Mapping[str, Any] | None = None) -> str:
    """What to type to replace a corpus that cannot be used."""
    return f"{prepare_command(name, manifest)} overwrite=true (and the other options that prepare.log names)"


def with_digest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with a "digest" of everything else in it, so that `check=true` sees what was changed later."""
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return {**rest, "digest": digest(rest)}


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


def _unusable(folder: Path, why: str, manifest: Mapping[str, Any] | None = None) -> UserError:
    return UserError(f"{folder}: {why}; prepare again: {again(folder.name, manifest)}")
