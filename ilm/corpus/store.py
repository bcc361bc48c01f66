"""A prepared corpus on disk: `documents.parquet`, one row a document, and `manifest.json`.

Both carry a digest of the documents. The parquet is renamed into place first (`ilm.corpus.build`), so a process killed
in between leaves two different digests, and `PreparedCorpus.open` refuses the pair. (The documents hash, which names
masks, tokens and runs, is a digest of the settings instead: reordering the input file changes it, but not the parquet.)
"""

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ilm.config.keys import as_typed, flat
from ilm.corpus.columns import SCHEMA
from ilm.corpus.selection import having
from ilm.corpus.splitting.assign import SPLITS
from ilm.errors import UserError
from ilm.files import read_object
from ilm.hashing import FORMAT_VERSION, digest, file_sha256

DOCUMENTS = "documents.parquet"
MANIFEST = "manifest.json"

_KEYS = ("corpus", "test_only", "text_column", "documents_hash", "settings", "counts", "leaks", "files")
_METADATA_KEY = b"ilm_documents_sha256"
_ROWS_OF_A_GROUP = 50_000


def write_documents(path: Path, documents: pd.DataFrame) -> None:
    """Write `documents` as a parquet file with their digest in its metadata.

    `documents`: the columns of `SCHEMA` (those of `OPTIONAL` may be absent) and any others; the row position is the
    document number. Equal documents give equal bytes, whatever their layout in memory.
    """
    # An explicit schema: pandas' own metadata would tie the bytes to its version.
    names = [*(name for name in SCHEMA if name in documents), *sorted(set(documents) - set(SCHEMA))]
    schema = pa.schema([pa.field(name, pa.large_string(), nullable=False) for name in names])
    content = hashlib.sha256(schema.serialize())
    options = {"compression": "zstd", "use_dictionary": ["l1", "cefr_level", "split"], "write_page_checksum": True}
    with pq.ParquetWriter(path, schema, **options) as writer:
        # One row group at a time, so only one is copied. The copy is contiguous because chunk boundaries in memory
        # would become page boundaries.
        for begin in range(0, max(1, len(documents)), _ROWS_OF_A_GROUP):
            rows = documents.iloc[begin : begin + _ROWS_OF_A_GROUP][schema.names]
            table = pa.Table.from_pandas(rows, schema, preserve_index=False).combine_chunks()
            writer.write_table(table)
            for batch in table.to_batches():
                content.update(batch.serialize())
        writer.add_key_value_metadata({_METADATA_KEY: content.hexdigest()})


def describe_documents(path: Path) -> dict[str, Any]:
    """The manifest entry of a parquet file of `write_documents`: size, SHA-256, and the digest in its metadata."""
    carried = (pq.read_metadata(path).metadata or {}).get(_METADATA_KEY, b"none").decode()
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size, "documents_sha256": carried}


def read_documents(path: Path) -> pd.DataFrame:
    """Read a parquet file of `write_documents` into Arrow-backed columns of dtype `str`.

    Raises: OSError or ArrowInvalid for a damaged file; every page has a checksum.
    """
    return pq.read_table(path, page_checksum_verification=True).to_pandas().astype("str")


@dataclass(frozen=True)
class PreparedCorpus:
    """A prepared corpus; `open` checks that its files belong together."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "PreparedCorpus":
        """Open `data/<corpus>/`; reads only the manifest and the parquet footer.

        Raises UserError if there is no corpus, or if it is half-written, damaged or of another format version.
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
        manifest = read_object(folder / MANIFEST, *_KEYS)
        if manifest is None:
            raise _unusable(folder, f"{MANIFEST} is damaged, or no manifest of a corpus")
        try:
            stored = pq.read_metadata(folder / DOCUMENTS)
        except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:  # Arrow raises any of them for a damaged footer
            raise _unusable(folder, f"{DOCUMENTS} is damaged ({error})", manifest) from error
        if digest(manifest["settings"]) != manifest["documents_hash"]:
            why = "prepared by a version of this program with another file format, or edited by hand"
            raise _unusable(folder, why, manifest)
        documents, described = manifest["counts"]["documents"], manifest["files"][DOCUMENTS]["documents_sha256"]
        found = (stored.metadata or {}).get(_METADATA_KEY, b"none").decode(errors="replace")
        if found != described or stored.num_rows != documents:
            raise _unusable(
                folder,
                f"{DOCUMENTS} ({stored.num_rows} documents, digest {found[:12]}) does not belong to "
                f"{MANIFEST} ({documents} documents, digest {described[:12]}), perhaps from an interrupted run",
                manifest,
            )
        return cls(folder, manifest)

    def __reduce__(self) -> tuple[Any, ...]:
        # A process that is not forked reads the documents if it needs them, rather than receive a copy.
        return PreparedCorpus, (self.folder, self.manifest)

    @property
    def name(self) -> str:
        """The name of the corpus, as in `corpus=NAME`."""
        return self.manifest["corpus"]

    @property
    def documents_hash(self) -> str:
        """12 hex digits that identify these documents in the names of masks, tokens and runs."""
        return self.manifest["documents_hash"]

    @property
    def levels(self) -> list[str]:
        """The levels with texts, in the order of the settings."""
        return [level for level in self.manifest["settings"]["levels"] if level in self.manifest["counts"]["levels"]]

    @property
    def test_only(self) -> bool:
        """Whether all documents are test data, prepared by `corpus.extra`."""
        return self.manifest["test_only"]

    @property
    def seed(self) -> int:
        """The split seed; it also selects samples of documents and examples."""
        return self.manifest["settings"]["split"]["seed"]

    @property
    def text_note(self) -> str | None:
        """The caption for all tables if the texts come from another column than `text`, such as a correction."""
        return text_note(self.manifest["text_column"])

    @cached_property
    def documents(self) -> pd.DataFrame:
        """All documents, sorted by `writing_id`, of dtype `str`: the columns of `SCHEMA` (those of `OPTIONAL` may be
        absent) and of `corpus.keep_columns`.

        The row number (the index, 0 to n - 1) is the document number everywhere else.
        """
        try:
            return read_documents(self.folder / DOCUMENTS)
        except (OSError, pa.ArrowInvalid) as error:
            raise _unusable(self.folder, f"{DOCUMENTS} is damaged ({error})", self.manifest) from error

    def rows(self, split: str, levels: Sequence[str], only: Mapping[str, Sequence[str]] | None = None) -> np.ndarray:
        """Document numbers (int64, ascending) of the given levels in `split` whose columns have the values in `only`.

        Raises: UserError as `ilm.corpus.selection.having`.
        """
        wanted = (self.documents["split"] == split) & self.documents["cefr_level"].isin(levels)
        return np.flatnonzero(wanted.to_numpy() & having(self.documents, only or {}))

    def require_splits(self, levels: Sequence[str], splits: Sequence[str] = SPLITS) -> None:
        """Raise UserError unless each of the levels has documents in each of `splits`."""
        if self.test_only and "train" in splits:
            raise UserError(
                f"corpus {self.name} is test-only data (corpus.extra) and cannot be trained on. Evaluate models of "
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
                f"corpus {self.name}: {'; '.join(faults)}. Add texts (10 of a level fill its three "
                f"splits unless they are kept together) and prepare again, or choose another level: "
                f"{', '.join(complete) or 'none is complete'}"
            )


def text_note(column: str) -> str | None:
    """The table caption that names an unusual text column; None for `text`."""
    return None if column.strip().casefold() == "text" else f"text column: {column}"


def corpus_arguments(name: str) -> str:
    """The arguments that select the corpus `name`: an option of conf/corpus, or the user's own."""
    return f"corpus={name}" if name in ("sample", "efcamdat") else f"corpus=custom corpus.name={name}"


def prepare_command(name: str, manifest: Mapping[str, Any] | None = None) -> str:
    """The command that prepares the corpus `name`, with the path of its file if a manifest gives one."""
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
    """The command that replaces an unusable corpus."""
    return f"{prepare_command(name, manifest)} overwrite=true (and the other options that prepare.log names)"


def with_digest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with a "digest" of the rest, so that `check=true` notices later edits."""
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return {**rest, "digest": digest(rest)}


def existing_conflict(folder: Path, settings: Mapping[str, Any]) -> list[str]:
    """How the settings of the corpus in `folder` differ from `settings`, one line per difference.

    Empty if there is no corpus or its settings are the same. Otherwise replacing it takes `overwrite=true`.
    """
    if not (folder / MANIFEST).exists():
        return []
    manifest = read_object(folder / MANIFEST, *_KEYS)
    if manifest is None:
        return [f"{MANIFEST} cannot be read"]
    old, new = dict(flat(manifest["settings"])), dict(flat(settings))
    lines = [
        f"{name}: prepared with {old.get(name)}, asked for {new.get(name)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    if not lines and manifest["documents_hash"] != digest(settings):
        lines.append(f"file format: prepared with another version, expected {FORMAT_VERSION}")
    return lines


def _unusable(folder: Path, why: str, manifest: Mapping[str, Any] | None = None) -> UserError:
    return UserError(f"{folder}: {why}; prepare again: {again(folder.name, manifest)}")
