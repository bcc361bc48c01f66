"""Comma- and tab-separated files (RFC 4180's quoting, one header row)."""

import csv
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from operator import itemgetter

from ilm.corpus.rows import BLANK, FIELDS, NO_LINE_END, Row, Source
from ilm.corpus.text_files import TextFile
from ilm.errors import UserError


def delimited_source(file: TextFile, delimiter: str) -> Source:
    """Rows are numbered as in a spreadsheet: the header is 1, a text of many lines is one row.

    Raises: UserError, here or while rows are read, for a wrong encoding, bad quoting, a quote that never ends, NUL.
    """
    with closing(_records(file, delimiter)) as records:
        _, header = next(records, (1, []))

    def rows(places: Sequence[int]) -> Generator[Row, None, None]:
        take = itemgetter(*places)
        with closing(_records(file, delimiter)) as records:
            next(records, None)
            for row, fields in records:
                if isinstance(fields, str):
                    yield row, fields
                elif len(fields) == len(header):
                    yield row, take(fields)
                else:
                    yield row, FIELDS if fields else BLANK

    return Source(header, rows)


def _records(file: TextFile, delimiter: str) -> Generator[tuple[int, list[str] | str], None, None]:
    """(Row number, fields) of every record, the header included; a blank line has no fields."""
    row, last = 0, ""

    def remembered(lines: Iterator[str]) -> Iterator[str]:
        nonlocal last
        for line in lines:
            last = line
            yield line

    limit = csv.field_size_limit(2**31 - 1)
    try:
        with file.opened(newline="") as (lines, tick):
            # Strict: otherwise a file cut off inside quotes, or a stray quote, is read without an error.
            reader = csv.reader(remembered(lines), delimiter=delimiter, strict=True)
            for row, fields in enumerate(reader, start=1):
                if "\0" in "".join(fields):
                    raise UserError(
                        f"{file.path}: row {row} holds a NUL byte, which no text has. Either the file is UTF-16 "
                        f"without a byte order mark (then corpus.encoding=utf-16-le) or it is damaged: get it again"
                    )
                yield row, fields
                if row % 1000 == 0:
                    tick()
            if row > 1 and not last.endswith(("\n", "\r")):
                yield row, NO_LINE_END
    except csv.Error as error:
        if "end of data" in str(error):
            raise UserError(
                f"{file.path}: the quoted field that opens in row {row + 1} never ends; the file is cut off, or a "
                f"closing quote is missing there. Get the file again or add the quote"
            ) from error
        raise UserError(
            f"{file.path}: bad quoting in the record that starts as row {row + 1} ({error}). Inside a quoted field "
            f'a quote must be doubled (""), and a {"comma" if delimiter == "," else "tab"} or line end must follow '
            f"the closing quote"
        ) from error
    finally:
        csv.field_size_limit(limit)
