"""Prepare a corpus from a source of documents (a file, or the sample generator).

1. Read the source. Refuse to replace documents prepared with other settings. Nothing is written before this point.
2. Draw a sample and assign documents to splits.
3. Write documents.parquet under a temporary name, read it back, and check the copy for leaks.
4. Rename it into place and write the manifest.
"""

import importlib.metadata
import logging
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

import ilm
from ilm.config.sections import Extra
from ilm.corpus.formats import stem
from ilm.corpus.sampling import stratified_sample
from ilm.corpus.sources import FileSource
from ilm.corpus.splitting.strategy import SplitStrategy
from ilm.corpus.statistics import summary
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
from ilm.files import atomic_file, locked, remove_strays, write_json
from ilm.hashing import FORMAT_VERSION, digest, file_sha256

log = logging.getLogger("ilm")

_LEARNERS_UNKNOWN = (
    "no column identifies learners, so texts of one learner may end up in both train and test, and test results may "
    "look better than on unseen learners. If there is such a column, type corpus.columns.learner_id=HEADER; if text "
    "ids contain the learner, type for example \"corpus.learner_from_id='^[^_]+'\""
)


def build_corpus(
    folder: Path, source: FileSource, strategy: SplitStrategy, *, sample_size: int | None, overwrite: bool
) -> PreparedCorpus:
    """Prepare the documents of `source` in `folder`, split by `strategy`.

    Identical documents already there are left untouched. `sample_size`: documents to draw; None: all.

    Raises: UserError for faults of the source, or if `folder` holds documents prepared with other settings and
    `overwrite` is false; nothing is written in either case. RuntimeError if the written data break a guarantee.
    """
    with _timed("reading"):
        documents, read_report = source.read()
    name = "generated sample" if source.synthetic else read_report.path
    log.info("%s: %s rows, %s kept", name, f"{read_report.rows:,}", f"{read_report.kept:,}")
    given = "split" in documents
    # Everything that determines the documents. What cannot change them is left out: paths, the number of processes.
    settings = {
        "sources": [report.sha256 for report in read_report.files or (read_report,)],
        "columns": read_report.columns_used,
        **source.settings,
        "sample": None if sample_size is None else {"size": sample_size, "seed": strategy.seed},
        "split": strategy.settings(given),
    }
    if not overwrite:
        instead = "Give the file another name" if strategy.test_only else "Type corpus.name=..."
        _refuse_conflict(folder, settings, instead)
    if not (source.synthetic or strategy.test_only or "learner_id" in documents):
        log.warning("warning: %s", _LEARNERS_UNKNOWN)
    if sample_size is not None:
        documents = stratified_sample(documents, sample_size, strategy.seed)
        why = " (the share of each level is rounded down)" if sample_size > len(documents) < read_report.kept else ""
        log.info("sample: %s documents, corpus.sample_size=%d%s", f"{len(documents):,}", sample_size, why)
    with _timed("splitting"):
        documents, split_report = strategy.assign(documents)
    read_report = source.keep(folder, read_report)
    manifest = {
        "corpus": folder.name,
        "synthetic": source.synthetic,
        "test_only": strategy.test_only,
        "documents_hash": digest(settings),
        "sources": read_report.sources(),
        "settings": settings,
        "text_column": read_report.columns_used.get("text", "text"),
        "dropped": read_report.dropped,
        "notes": read_report.notes,
        "split": split_report.to_dict(),
    }
    if _is_prepared(folder, manifest, strategy.leaks_asked):
        log.info("%s already holds these documents", folder)
    else:
        _write(folder, documents, manifest, strategy, given)
    return PreparedCorpus.open(folder)


def _write(
    folder: Path, documents: pd.DataFrame, manifest: Mapping[str, Any], strategy: SplitStrategy, given: bool
) -> None:
    """Write the documents and the manifest. It has no time stamps, so equal input gives equal bytes."""
    with _timed(f"writing {DOCUMENTS} and checking it for leaks"), atomic_file(folder / DOCUMENTS) as temporary:
        write_documents(temporary, documents)
        stored = read_documents(temporary)  # describe what is on disk, not what is in memory
        libraries = ["pandas", "pyarrow"] + ([] if strategy.near_duplicates is None else ["rensa"])
        whole = {
            **manifest,
            "counts": summary(stored),
            "leaks": {"asked": strategy.leaks_asked, **asdict(strategy.leaks(stored, given))},
            "versions": {
                "format": FORMAT_VERSION,
                "ilm": ilm.__version__,
                "python": platform.python_version(),
                **{library: importlib.metadata.version(library) for library in libraries},
            },
            "files": {DOCUMENTS: describe_documents(temporary)},
        }
    write_json(folder / MANIFEST, with_digest(whole))


def _is_prepared(folder: Path, manifest: Mapping[str, Any], leaks_asked: Mapping[str, Any]) -> bool:
    """Whether `folder` holds these documents, complete and unmodified, with the leak report that is asked for."""
    try:
        found = PreparedCorpus.open(folder).manifest
    except UserError:
        return False
    same = digest({key: found.get(key) for key in manifest}) == digest(manifest)
    unmodified = file_sha256(folder / DOCUMENTS) == found["files"][DOCUMENTS]["sha256"]
    return same and unmodified and found["leaks"]["asked"] == leaks_asked and with_digest(found) == found


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock the corpus folder `data/<corpus>`, after removing files that a killed process left half-written.

    The lock is a file beside the folder. Tokens are not touched: training writes them without this lock. If nothing
    was prepared (a faulty file, a full disk), no empty folder stays behind.

    Raises: UserError if another process is preparing this corpus.
    """
    data = folder.parent
    created = [path for path in (data, *data.parents) if not path.exists()]
    refusal = (
        f"{folder} is being prepared by another process. Wait for it to finish, or type corpus.name=... to prepare a "
        "separate corpus."
    )
    try:
        with locked(data / f".{folder.name}.lock", refusal, instead="type paths.data=... for another"):
            for place in (folder, folder / "masks"):
                remove_strays(place, all_of_them=True)
            yield
    finally:
        for path in (folder / "masks", folder, *created):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def extra_folders(extras: Sequence[Extra], main: Path) -> dict[Path, Extra]:
    """The folder of each of `corpus.extra`, beside that of the `main` corpus.

    Raises: UserError for a missing file, or a name already taken by the main corpus or another file.
    """
    folders: dict[Path, Extra] = {}
    for extra in extras:
        path = Path(extra.csv)
        if not path.is_file():
            raise UserError(f"corpus.extra={path}: no such file; give its path: corpus.extra=[FILE]")
        folder = main.with_name(re.sub(r"[^\w.+-]+", "_", extra.name or stem(path)).lstrip(".+-") or "extra")
        taken_by = "the main corpus" if folder == main else folders[folder].csv if folder in folders else None
        if taken_by is not None:
            raise UserError(
                f"corpus.extra: {path} would be prepared in {folder}, which {taken_by} already uses; rename it: "
                f"'corpus.extra=[{{csv: {path}, name: NAME}}]'"
            )
        folders[folder] = extra
    return folders


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    log.info("%s: %.1f s", what, time.monotonic() - began)


def _refuse_conflict(folder: Path, settings: Mapping[str, Any], instead: str) -> None:
    if conflict := existing_conflict(folder, settings):
        raise UserError(
            f"{folder} holds documents prepared with other settings:\n"
            + "\n".join(f"  - {line}" for line in conflict)
            + f"\n{instead} to prepare a separate corpus, or type overwrite=true to replace them; runs trained on "
            "them can then be neither resumed nor evaluated."
        )
