"""From a source of documents (a file, the sample generator) to a prepared corpus.

1. Read the source, and refuse what would replace documents prepared otherwise; nothing has been written until here.
2. Draw a sample, and bring the documents into splits.
3. Write documents.parquet under a temporary name, read it back, and look for leaks in what was read back.
4. Only then put it in its place, and the manifest beside it.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.config.sections import Extra
from ilm.corpus.formats import stem
from ilm.corpus.manifest import corpus_manifest, documents_settings
from ilm.corpus.reader import ReadReport
from ilm.corpus.sampling import stratified_sample
from ilm.corpus.sources import CorpusSource
from ilm.corpus.splitting.assign import SplitReport
from ilm.corpus.splitting.strategy import SplitStrategy
from ilm.corpus.statistics import count_tables, dropped_table, leak_table, miss_table, shared_table
from ilm.corpus.store import (
    DOCUMENTS,
    MANIFEST,
    PreparedCorpus,
    describe_documents,
    existing_conflict,
    read_documents,
    with_digest,
    write_documents,
)
from ilm.errors import UserError
from ilm.files import DISK_ERRORS, atomic_file, locked, remove_strays, write_json
from ilm.hashing import digest, file_sha256
from ilm.tables import TextTable

log = logging.getLogger("ilm")


@dataclass(frozen=True)
class BuiltCorpus:
    """A prepared corpus and how it came about."""

    corpus: PreparedCorpus
    read: ReadReport
    split: SplitReport

    def tables(self) -> list[TextTable]:
        """What `prepare.py` prints of the documents."""
        leaks = self.corpus.manifest["leaks"]
        tables = [*count_tables(self.corpus.manifest["counts"]), dropped_table(self.read.dropped)]
        tables += [dropped_table(self.read.notes, "Rows kept, but to be known")] if self.read.notes else []
        tables += [miss_table(self.split)] if self.split.misses else []
        tables.append(shared_table(leaks) if self.corpus.test_only else leak_table(leaks))
        return [replace(table, caption=self.corpus.text_note) for table in tables]


def build_corpus(
    folder: Path, source: CorpusSource, strategy: SplitStrategy, *, sample_size: int | None, overwrite: bool
) -> BuiltCorpus:
    """Prepare the documents of `source` in `folder`, in splits as `strategy` says.

    The same documents already there are left as they are. `sample_size` documents are drawn (None: all are taken).

    Raises: UserError for faults of the source, and if `folder` holds documents prepared with other settings and
    `overwrite` is false; nothing is written then. RuntimeError if what was written breaks a guarantee.
    """
    with _timed("reading"):
        documents, read_report = source.read()
    name = "generated sample" if source.synthetic else read_report.path
    log.info("%s: %s rows, %s kept", name, f"{read_report.rows:,}", f"{read_report.kept:,}")
    given = "split" in documents
    settings = documents_settings(
        sources=[report.sha256 for report in read_report.files or (read_report,)],
        columns=read_report.columns_used,
        reading=source.settings,
        sample_size=sample_size,
        split=strategy.settings(given),
    )
    if not overwrite:
        instead = "Give the file another name" if strategy.test_only else "Type corpus.name=..."
        _refuse_conflict(folder, settings, instead)
    if not (source.synthetic or strategy.test_only or "learner_id" in documents):
        log.warning("warning: %s", _learners_unknown(documents["writing_id"]))
    if sample_size is not None:
        documents = stratified_sample(documents, sample_size, strategy.seed)
        why = " (the share of each level is rounded down)" if sample_size > len(documents) < read_report.kept else ""
        log.info("sample: %s documents, corpus.sample_size=%d%s", f"{len(documents):,}", sample_size, why)
    with _timed("splitting"):
        documents, split_report = strategy.assign(documents)
    read_report = source.keep(folder, read_report)

    def manifest_of(stored: pd.DataFrame, leaks: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return corpus_manifest(
            corpus=folder.name,
            synthetic=source.synthetic,
            test_only=strategy.test_only,
            settings=settings,
            documents=stored,
            read_report=read_report,
            split_report=split_report,
            leaks=leaks or {"asked": strategy.leaks_asked, **asdict(strategy.leaks(stored, given))},
            libraries=[] if strategy.near_duplicates is None else ["rensa"],
        )

    if (prepared := _prepared(folder, settings)) is None:
        _write(folder, documents, manifest_of)
    else:
        log.info("%s holds these documents already", folder)
        del documents
        _update_manifest(prepared, manifest_of, strategy.leaks_asked)
    return BuiltCorpus(PreparedCorpus.open(folder), read_report, split_report)


def _write(folder: Path, documents: pd.DataFrame, manifest_of: Callable[[pd.DataFrame], dict[str, Any]]) -> None:
    with _timed(f"writing {DOCUMENTS} and looking for leaks in it"), atomic_file(folder / DOCUMENTS) as temporary:
        write_documents(temporary, documents)
        manifest = manifest_of(read_documents(temporary))  # of what was written
        manifest["files"] = {DOCUMENTS: describe_documents(temporary)}
    write_json(folder / MANIFEST, with_digest(manifest))


def _update_manifest(
    prepared: PreparedCorpus, manifest_of: Callable[..., dict[str, Any]], leaks_asked: Mapping[str, Any]
) -> None:
    """The source may have been moved, and other leaks may be looked for in the same splits."""
    before = prepared.manifest
    known = before["leaks"] if before["leaks"]["asked"] == leaks_asked else None
    manifest = manifest_of(prepared.documents, known) | {"files": before["files"]}
    if known is not None:
        manifest["versions"] = before["versions"]
    if with_digest(manifest)["digest"] != before.get("digest"):
        write_json(prepared.folder / MANIFEST, with_digest(manifest))


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the corpus folder `data/<corpus>` for this process; first remove what a killed one left half-written.

    The lock is a file beside the folder. Tokens are left alone: training makes them without this lock. Where nothing
    was prepared in the end (a faulty file, a full disk) nothing is left, no empty folder either.

    Raises: UserError if another process prepares this corpus, or it cannot be written (a full disk, a file in the way).
    """
    data = folder.parent
    created = [path for path in (data, *data.parents) if not path.exists()]
    refusal = (
        f"{folder} is being prepared by another process. Wait until it has ended, or type corpus.name=... for a "
        "corpus of its own."
    )
    try:
        with locked(data / f".{folder.name}.lock", refusal, instead="type paths.data=... for another"):
            for place in (folder, folder / "masks"):
                remove_strays(place, all_of_them=True)
            yield
    except OSError as error:
        if error.errno not in DISK_ERRORS:  # NumPy has no number for a full disk
            raise
        raise UserError(
            f"{folder} could not be prepared: {error}. Make room, or put right what is in the way, and type the same "
            "command again; or type paths.data=... for another place."
        ) from error
    finally:
        for path in (folder / "masks", folder, *created):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def extra_folders(extras: Sequence[Extra], main: Path) -> dict[Path, Extra]:
    """The folder of each of `corpus.extra`, beside that of the `main` corpus.

    Raises: UserError for a file that is not there, or a name that is that of the main corpus or of another file.
    """
    folders: dict[Path, Extra] = {}
    for extra in extras:
        path = Path(extra.csv)
        if not path.is_file():
            raise UserError(f"corpus.extra={path}: there is no such file; give its path: corpus.extra=[FILE]")
        folder = main.with_name(re.sub(r"[^\w.+-]+", "_", extra.name or stem(path)).lstrip(".+-") or "extra")
        taken = "the main corpus" if folder == main else folders[folder].csv if folder in folders else None
        if taken is not None:
            raise UserError(
                f"corpus.extra: {path} would be prepared in {folder}, as {taken} is; give it another name: "
                f"'corpus.extra=[{{csv: {path}, name: NAME}}]'"
            )
        folders[folder] = extra
    return folders


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    log.info("%s: %.1f s", what, time.monotonic() - began)


def _learners_unknown(ids: pd.Series) -> str:
    """What follows if no column names the learners, and what to type if the ids seem to."""
    said = (
        "no column names the learners, so texts of one learner may stand in train and in test, and test results may be "
        "better than those on new learners. If there is such a column, type corpus.columns.learner_id=HEADER"
    )
    pattern = r"^(.+)[_-][^_-]+$"
    learners = ids.str.extract(pattern, expand=False).nunique()
    # Not where the part in front names the level or the corpus, nor where it is as good as the whole.
    if len(ids) / 20 < learners < 0.9 * len(ids):
        said += f"; if ids such as {ids.iloc[0]} begin with the learner ({learners:,} of them), type "
        said += f"\"corpus.learner_from_id='{pattern}'\""
    return said


def _refuse_conflict(folder: Path, settings: Mapping[str, Any], instead: str) -> None:
    if conflict := existing_conflict(folder, settings):
        raise UserError(
            f"{folder} holds documents prepared with other settings:\n"
            + "\n".join(f"  - {line}" for line in conflict)
            + f"\n{instead} for a corpus of its own, or type overwrite=true to replace them; runs trained on "
            "them can then be neither resumed nor evaluated."
        )


def _prepared(folder: Path, settings: Mapping[str, Any]) -> PreparedCorpus | None:
    """The corpus in `folder` if it is whole, as it was written, and follows from `settings`."""
    try:
        corpus = PreparedCorpus.open(folder)
    except UserError:
        return None
    as_written = file_sha256(folder / DOCUMENTS) == corpus.manifest["files"][DOCUMENTS]["sha256"]
    return corpus if as_written and corpus.documents_hash == digest(settings) else None
