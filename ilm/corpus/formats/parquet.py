"""Parquet files: columns of any plain type, as text."""

from collections.abc import Generator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from ilm.corpus.formats.table import Row, Source, damage_as_user_error, number_text
from ilm.errors import UserError

_ROWS_AT_A_TIME = 10_000
# What pyarrow raises for a damaged file; MemoryError for a corrupt length.
_DAMAGE = ("a Parquet file", (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError))
_PLAIN = (
    *(kinds.is_string, kinds.is_large_string, kinds.is_string_view, kinds.is_floating, kinds.is_integer),
    *(kinds.is_boolean, kinds.is_decimal, kinds.is_temporal, kinds.is_null),
)


def parquet_source(path: Path) -> Source:
    """Rows are numbered from 1; nulls are empty.

    Raises: UserError, here or while reading rows, for a damaged file or a column of nested values.
    """
    with damage_as_user_error(path, *_DAMAGE), pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        _check_counts(path, file)

    def rows(places: Sequence[int]) -> Generator[Row, None, None]:
        for place in places:
            _check_type(path, schema.field(place))
        names = [schema.names[place] for place in places]
        numbers = count(1)
        for columns in _batches(path, names):
            yield from zip(numbers, zip(*columns, strict=True), strict=False)

    return Source(schema.names, rows)


def _check_counts(path: Path, file: pq.ParquetFile) -> None:
    """Compare the row counts: no checksum covers them, and pyarrow stops at the smallest."""
    # A column's value count would tell more, but reading it from a damaged file crashes the process.
    of_groups = sum(file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups))
    if file.metadata.num_rows != of_groups:
        raise UserError(
            f"{path} is damaged: it has {file.metadata.num_rows} rows by one count and {of_groups} by another; "
            f"get it again"
        )


def _batches(path: Path, names: Sequence[str]) -> Generator[list[list[str]], None, None]:
    with damage_as_user_error(path, *_DAMAGE), pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=list(names)):
            yield [_texts(batch.column(name)) for name in names]


def _texts(values: pa.Array) -> list[str]:
    if kinds.is_dictionary(values.type):
        values = values.dictionary_decode()
    if kinds.is_floating(values.type):
        return ["" if value is None or value != value else number_text(value) for value in values.to_pylist()]
    return values.cast(pa.large_string()).fill_null("").to_pylist()


def _check_type(path: Path, field: pa.Field) -> None:
    kind: Any = field.type.value_type if kinds.is_dictionary(field.type) else field.type
    if not any(test(kind) for test in _PLAIN):
        raise UserError(f"{path}: column {field.name} holds {field.type}; expected text, numbers or dates")
