"""A copy of the input, row for row, with what was predicted beside each text."""

import csv
from contextlib import closing
from pathlib import Path

import pandas as pd

from ilm.config.sections import Corpus
from ilm.corpus.formats import open_source, stem
from ilm.errors import UserError
from ilm.files import atomic_file

LEVEL, PROBABILITY = "predicted_level", "predicted_probability"


def require_room(header: list[str], levels: list[str], path: Path) -> None:
    """Raises: UserError if the input has a column that is to be added."""
    taken = [name for name in (*map(column, levels), LEVEL, PROBABILITY) if name in header]
    if taken:
        raise UserError(f"{path} has the columns {', '.join(taken)} already, which are to be added: rename them")


def column(level: str) -> str:
    """The column of the probability of a level."""
    return f"p_{level}"


def with_columns(posterior: pd.DataFrame) -> pd.DataFrame:
    """Probabilities `p_A1`, ..., the most likely level and its probability, by writing_id."""
    likely = posterior.idxmax(axis=1)
    return posterior.rename(columns=column).assign(**{LEVEL: likely, PROBABILITY: posterior.max(axis=1)})


def write_copy(path: Path, copy: Path, corpus: Corpus, id_column: str | None, posterior: pd.DataFrame) -> int:
    """Write the rows of the file `path` to the CSV file `copy` with the columns added; how many were not predicted.

    Rows are found by their id in `id_column`, or "<file>:<row number>", as `ilm.corpus.reader` names them. A row that
    was not read, or beyond a limit, has empty cells.
    """
    source = open_source(path, corpus.encoding, corpus.sheet, corpus.delimiter)
    added = with_columns(posterior)
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
