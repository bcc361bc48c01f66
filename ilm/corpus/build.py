"""From a CSV (or the sample generator) to a prepared corpus: read, sample, split, write."""

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from ilm.corpus.reader import Columns, ReadReport, read_corpus
from ilm.corpus.sampling import stratified_sample
from ilm.corpus.splits import SplitReport, assign_splits, check_no_leak
from ilm.corpus.statistics import dropped_table, l1_table, length_table, miss_table, split_table
from ilm.corpus.store import PreparedCorpus, corpus_manifest, documents_settings, existing_conflict, write_corpus
from ilm.corpus.synthetic import write_csv
from ilm.errors import UserError
from ilm.hashing import digest

log = logging.getLogger("ilm")


@dataclass(frozen=True)
class BuiltCorpus:
    """A prepared corpus and how it came about."""

    corpus: PreparedCorpus
    read: ReadReport
    split: SplitReport

    def tables(self) -> list[Table]:
        """What `prepare.py` prints of the documents."""
        documents = self.corpus.documents
        tables = [
            split_table(documents),
            l1_table(documents),
            length_table(documents),
            dropped_table(self.read.dropped),
        ]
        if self.read.notes:
            tables.append(dropped_table(self.read.notes, title="Rows kept, but to be known"))
        return [*tables, miss_table(self.split)] if self.split.misses else tables


def build_corpus(
    folder: Path,
    *,
    name: str,
    csv: str | None,
    synthetic: Mapping[str, int] | None,
    encoding: str,
    levels: Sequence[str],
    max_dropped: float,
    sample_size: int | None,
    columns: Mapping[str, str | None],
    seed: int,
    keep_together: Sequence[str],
    overwrite: bool,
) -> BuiltCorpus:
    """Prepare the documents of `csv` in `folder`, or of a generated sample (`synthetic`: size and seed).

    The same documents already there are left as they are.

    Raises: UserError for faults of the file, and if `folder` holds documents prepared with other settings and
    `overwrite` is false; nothing is written then.
    """
    with tempfile.TemporaryDirectory() as scratch:
        if csv is None:
            # In its place only once it is not refused; the settings in its name tell one sample from another.
            generated = folder / "sample_{size}_{seed}.csv".format(**synthetic)
            source = Path(scratch) / generated.name
            write_csv(source, **synthetic)
        else:
            source = Path(csv)
        documents, report = read_corpus(
            source, columns=Columns(**columns), levels=levels, encoding=encoding, max_dropped=max_dropped
        )
        settings = documents_settings(
            sources=[report.sha256],
            columns=report.columns_used,
            levels=levels,
            encoding=encoding,
            sample_size=sample_size,
            sample_seed=seed,
            split_seed=seed,
            keep_together=keep_together,
        )
        conflict = existing_conflict(folder, settings)
        if conflict and not overwrite:
            raise UserError(
                f"{folder} holds documents prepared with other settings:\n"
                + "\n".join(f"  - {line}" for line in conflict)
                + "\nType corpus.name=... for a corpus of its own, or overwrite=true to replace them; runs trained on "
                "them can then be neither resumed nor evaluated."
            )
        if csv is None:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.move(source, generated)
            report = replace(report, path=str(generated))
    if sample_size is not None:
        documents = stratified_sample(documents, sample_size, seed)
    documents["split"], split_report = assign_splits(documents, seed, keep_together)
    check_no_leak(documents, keep_together)
    for level, split in split_report.empty:
        log.warning(
            "warning: level %s has no %s documents; training and evaluating on it will be refused", level, split
        )
    if _is_prepared(folder, settings):
        log.info("%s holds these documents already", folder)
    else:
        manifest = corpus_manifest(
            corpus=name,
            synthetic=csv is None,
            settings=settings,
            documents=documents,
            read_report=report,
            split_report=split_report,
        )
        write_corpus(folder, documents, manifest)
    return BuiltCorpus(PreparedCorpus.open(folder), report, split_report)


def _is_prepared(folder: Path, settings: Mapping[str, Any]) -> bool:
    try:
        return PreparedCorpus.open(folder).documents_hash == digest(settings)
    except UserError:
        return False
