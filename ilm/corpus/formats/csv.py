"""Comma- and tab-separated files (RFC 4180's quoting, one header row)."""

import csv
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from operator import itemgetter

from ilm.corpus.formats.table import BLANK, FIELDS, NO_LINE_END, QUOTES, Row, Source
from ilm.corpus.formats.text import TextFile
from ilm.errors import UserError


def delimited_source(file: TextFile, delimiter: str) -> Source:
    """Rows are numbered as in a spreadsheet: the header is 1, a multi-line text is one row.

    If a quote mark was lost, the next text may end at a line break, and its last line may look like a row with one
    quote mark left over. RFC 4180 allows none in an unquoted field, so a row with an odd number of them is a fault.

    Raises: UserError, here or while reading rows, for a wrong encoding, bad quoting, an unclosed quote, or NUL.
    """
    with closing(_records(file, delimiter)) as records:
        header = list(next(records, (1, [], 0))[1])

    def rows(places: Sequence[int]) -> Generator[Row, None, None]:
        # Of one place itemgetter gives the bare value, and a row is a sequence of values.
        take = itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))
        with closing(_records(file, delimiter)) as records:
            next(records, None)
            for row, fields, quotes in records:
                if isinstance(fields, str):
                    yield row, fields
                elif len(fields) != len(header):
                    yield row, FIELDS if fields else BLANK
                else:
                    yield row, QUOTES if quotes % 2 else take(fields)

    return Source(header, rows)


def _records(file: TextFile, delimiter: str) -> Generator[tuple[int, list[str] | str, int], None, None]:
    """Yield (row number, fields, quote marks) of every record, header included; a blank line has no fields."""
    row, last, quotes = 0, "", 0

    def watched(lines: Iterator[str]) -> Iterator[str]:
        nonlocal last, quotes
        for line in lines:
            last = line
            quotes += line.count('"')
            yield line

    limit = csv.field_size_limit(2**31 - 1)
    try:
        with file.opened(newline="") as lines:
            # Strict: otherwise a file cut off inside quotes, or a stray quote, passes without an error.
            reader = csv.reader(watched(lines), delimiter=delimiter, strict=True)
            for row, fields in enumerate(reader, start=1):
                if "\0" in "".join(fields):
                    raise UserError(
                        f"{file.path}: row {row} contains a NUL byte. Either the file is UTF-16 without a "
                        f"byte order mark (then type corpus.encoding=utf-16-le) or it is damaged: get it again"
                    )
                yield row, fields, quotes
                quotes = 0
            if row > 1 and not last.endswith(("\n", "\r")):
                yield row, NO_LINE_END, 0
    except csv.Error as error:
        if "end of data" in str(error):
            raise UserError(
                f"{file.path}: the quoted field that opens in row {row + 1} never ends; the file is cut off, or a "
                f"closing quote is missing. Get the file again or add the quote"
            ) from error
        raise UserError(
            f"{file.path}: bad quoting in the record that starts as row {row + 1} ({error}). Inside a quoted field "
            f'a quote must be doubled (""), and {delimiter!r} or a line end must follow '
            f"the closing quote"
        ) from error
    finally:
        csv.field_size_limit(limit)
