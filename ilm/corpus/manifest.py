"""The contents of `manifest.json`, and the settings that determine the documents hash."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

import ilm
from ilm.corpus.reader import ReadReport
from ilm.corpus.splitting.assign import SplitReport
from ilm.corpus.statistics import summary
from ilm.hashing import FORMAT_VERSION, digest


def documents_settings(
    *,
    sources: Sequence[str],
    columns: Mapping[str, str],
    reading: Mapping[str, Any],
    sample_size: int | None,
    split: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything that determines the documents; its `ilm.hashing.digest` is the documents hash.

    `sources`: SHA-256 of each file. `columns`: name -> header of the file (`ReadReport.columns_used`). `reading`:
    `CorpusSource.settings`. `split`: `SplitStrategy.settings`. Anything that cannot change the documents is left out:
    paths, workers, the sampling seed if no sample is drawn.
    """
    return {
        "sources": list(sources),
        "columns": dict(columns),
        **reading,
        "sample": None if sample_size is None else {"size": sample_size, "seed": split["seed"]},
        "split": dict(split),
    }


def corpus_manifest(
    *,
    corpus: str,
    synthetic: bool,
    test_only: bool,
    settings: Mapping[str, Any],
    documents: pd.DataFrame,
    read_report: ReadReport,
    split_report: SplitReport,
    leaks: Mapping[str, Any],
    libraries: Sequence[str] = (),
) -> dict[str, Any]:
    """The manifest of a corpus. It has no time stamps, so equal input gives equal bytes.

    `documents`: as read back from disk. `libraries`: further distributions whose version affects the result.
    """
    sources = [report.to_dict() for report in read_report.files or (read_report,)]
    for source in sources:
        del source["dropped"], source["notes"], source["files"]
    return {
        "corpus": corpus,
        "synthetic": synthetic,
        "test_only": test_only,
        "documents_hash": digest(settings),
        "sources": sources,
        "settings": dict(settings),
        "text_column": read_report.columns_used.get("text", "text"),
        "counts": summary(documents),
        "dropped": read_report.dropped,
        "notes": read_report.notes,
        "split": split_report.to_dict(),
        "leaks": dict(leaks),
        "versions": {
            "format": FORMAT_VERSION,
            "ilm": ilm.__version__,
            "pandas": pd.__version__,
            "pyarrow": pa.__version__,
            "python": platform.python_version(),
            **{library: importlib.metadata.version(library) for library in libraries},
        },
    }
