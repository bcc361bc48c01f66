"""What is written for each text: its features, its predicted levels, and these beside the rows of the input."""

import csv
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pandas as pd

from ilm.config.evaluate import Evaluate
from ilm.config.sections import Corpus
from ilm.corpus.formats import open_source, stem
from ilm.errors import UserError
from ilm.evaluation.report import write_csv
from ilm.files import atomic_file

LEVEL, PROBABILITY = "predicted_level", "predicted_probability"


def require_free_columns(settings: Evaluate, levels: list[str]) -> None:
    """Raises: UserError if the input has a column that is to be added."""
    if settings.input is None:
        return
    corpus = settings.corpus
    header = open_source(Path(settings.input), corpus.encoding, corpus.sheet, corpus.delimiter).header
    if taken := [name for name in (*map(_column, levels), LEVEL, PROBABILITY) if name in header]:
        raise UserError(f"{settings.input} already has the columns to be added: {', '.join(taken)}. Rename them")


def write_features(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """features.parquet: the texts of each split, with their features, without their words."""
    shown = [table.drop(columns="text").assign(split=split) for split, table in tables.items()]
    with atomic_file(folder / "features.parquet") as temporary:
        pd.concat(shown).reset_index().to_parquet(temporary, index=False)


def write_predictions(folder: Path, levels: pd.Series, posteriors: Mapping[str, pd.DataFrame]) -> None:
    """predictions.csv: a row per text and protocol; `levels` of the texts by writing_id, as far as they are known."""
    found = [
        _with_columns(posterior).join(levels).assign(protocol=protocol).rename_axis("writing_id").reset_index()
        for protocol, posterior in posteriors.items()
    ]
    write_csv(folder / "predictions.csv", pd.concat(found))


def write_copy(path: Path, copy: Path, corpus: Corpus, id_column: str | None, posterior: pd.DataFrame) -> int:
    """Write the rows of the file `path` to the CSV file `copy` with the columns added; how many were not predicted.

    Rows are found by their id in `id_column`, or "<file>:<row number>", as `ilm.corpus.reader` names them. A row that
    was not read, or beyond a limit, has empty cells.
    """
    source = open_source(path, corpus.encoding, corpus.sheet, corpus.delimiter)
    added = _with_columns(posterior)
    known = dict(zip(added.index, added.itertuples(index=False, name=None), strict=True))
    id_at, empty, left = None if id_column is None else source.header.index(id_column), [""] * added.shape[1], 0
    with (
        atomic_file(copy) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as out,
        closing(source.rows(range(len(source.header)))) as rows,
    ):
        writer = csv.writer(out)
        writer.writerow([*source.header, *added.columns])
        for number, values in rows:
            if isinstance(values, str):
                continue  # no row of fields: the report counts it by cause
            writing_id = f"{stem(path)}:{number}" if id_at is None else values[id_at].strip()
            found = known.get(writing_id)
            left += found is None
            writer.writerow([*values, *(empty if found is None else found)])
    return left


def _column(level: str) -> str:
    """The column of the probability of a level."""
    return f"p_{level}"


def _with_columns(posterior: pd.DataFrame) -> pd.DataFrame:
    """Probabilities `p_A1`, ..., the most likely level and its probability, by writing_id."""
    likely = posterior.idxmax(axis=1)
    return posterior.rename(columns=_column).assign(**{LEVEL: likely, PROBABILITY: posterior.max(axis=1)})
