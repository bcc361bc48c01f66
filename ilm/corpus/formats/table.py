"""The interface between file formats and the reader: a header and numbered rows, each with values or a fault."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilm.errors import UserError

# Rows that are dropped.
FIELDS = "wrong number of fields"
QUOTES = "odd number of quote marks, broken quoting"
NO_OBJECT = "no JSON object"
FIELD_TWICE = "a field named twice"
NESTED = "a list or an object in place of text"
NO_CHARACTER = "half of a surrogate pair or NUL, which no text has"
# Not rows, but noted.
BLANK = "blank line, no row"
NO_LINE_END = "no line end after the last row, is it whole?"
NO_ROWS = (BLANK, NO_LINE_END)

_ROWS_SHOWN = 5

# Row number, and the requested values or one of the causes above.
Row = tuple[int, Sequence[str] | str]


@dataclass(frozen=True)
class Source:
    """An input file of any format.

    Each call of `rows(places)` starts from the first row and yields the values of the header's columns at `places`, in
    that order. A str in place of the values is a cause.
    """

    header: list[str]
    rows: Callable[[Sequence[int]], Generator[Row, None, None]]


class Tally(dict[str, dict[str, Any]]):
    """Cause -> {"count": n, "rows": the first five row numbers}; rows are added in ascending order."""

    def add(self, cause: str, *rows: int) -> None:
        """Count `rows` under `cause`."""
        found = self.setdefault(cause, {"count": 0, "rows": []})
        found["count"] += len(rows)
        found["rows"] += map(int, rows[: _ROWS_SHOWN - len(found["rows"])])


@contextmanager
def damage_as_user_error(path: Path, what: str, damage: tuple[type[Exception], ...]) -> Generator[None, None, None]:
    """Raises: UserError in place of the errors `damage` of a file that is not `what`.

    Use inside a generator, so that errors of its consumer do not pass through here.
    """
    try:
        yield
    except damage as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is damaged or not {what} ({reason}); get it again") from error


def first_rows(found: Mapping[str, Any]) -> str:
    """The row numbers of a `Tally` entry, with "..." if there are more."""
    return ", ".join(map(str, found["rows"])) + (", ..." if found["count"] > len(found["rows"]) else "")


def number_text(value: float) -> str:
    """A number as a person would type it: formats without integers store the id 12 as 12.0."""
    return str(int(value)) if value.is_integer() else repr(value)
