"""Chooses a reader by file name, after checking that the contents match."""

import codecs
from pathlib import Path

from ilm.corpus.formats.csv import delimited_source
from ilm.corpus.formats.excel import excel_source
from ilm.corpus.formats.json import json_source
from ilm.corpus.formats.parquet import parquet_source
from ilm.corpus.formats.table import Source
from ilm.corpus.formats.text import TextFile
from ilm.errors import UserError

# Any other ending is read as CSV.
DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
JSON = (".json", ".jsonl", ".ndjson")
PARQUET = (".parquet",)
EXCEL = (".xlsx", ".xlsm")

_MAGIC = (
    (b"PK\x03\x04", "a zip archive", ".xlsx"),
    (b"PAR1", "a Parquet file", ".parquet"),
    (b"\x1f\x8b", "compressed by gzip", ".gz"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook of the old format or with a password", ".xls"),
)


def stem(path: Path) -> str:
    """The file name without format suffixes."""
    name = path.name.removesuffix(".gz")
    return Path(name).stem


def open_source(path: Path, encoding: str, sheet: str | None, delimiter: str | None = None) -> Source:
    """Open a file of any format as a header and rows. `delimiter`: of a CSV file; None: by file name.

    Raises: UserError for a missing or empty file, for contents that do not match the file name, and for anything
    the format's reader cannot parse.
    """
    name = path.name.lower()
    compressed = name.endswith(".gz")
    ending = Path(name.removesuffix(".gz")).suffix
    head = _first_bytes(path)
    if sheet is not None and ending not in EXCEL:
        raise UserError(f"corpus.sheet={sheet} for {path}: only XLSX workbooks have sheets; leave it out")
    if ending in PARQUET + EXCEL:
        if compressed:
            raise UserError(f"{path}: {ending} is already compressed; unpack it first: gunzip {path.name}")
        _check_magic(path, head, ending)
        return parquet_source(path) if ending in PARQUET else excel_source(path, sheet)
    if compressed:
        _check_magic(path, head, ".gz")
    file = TextFile(path, encoding, compressed)
    text = file.check()
    _check_magic(path, text, "")
    _check_text(path, text)
    if not text:
        raise UserError(f"{path} is empty; expected a header row, or JSON objects, with a text each")
    return json_source(file) if ending in JSON else delimited_source(file, delimiter or DELIMITERS.get(ending, ","))


def _first_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise UserError(f"{path} is a folder; expected a file of texts: corpus.csv=FILE")
    if path.exists() and not path.is_file():
        # Opening a pipe would block, and it can be read only once.
        raise UserError(
            f"{path} is not a regular file (perhaps a pipe), and it is read more than once: save it to a file first "
            f"and give that path: corpus.csv=FILE"
        )
    try:
        with open(path, "rb") as file:
            head = file.read(4)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; give its path: corpus.csv=FILE") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        raise UserError(f"{path} is empty; expected a header row with columns like writing_id, l1, cefr_level, text")
    return head


def _check_text(path: Path, head: bytes) -> None:
    """Raises: UserError for what people often save by mistake: Git LFS pointers, HTML pages, XML."""
    start = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} is a Git LFS pointer, not the file itself: type git lfs pull in its repository")
    if start.startswith((b"<!doctype html", b"<html")):
        raise UserError(
            f"{path} is a web page (HTML), perhaps a login or error page: open it in a browser, and download the file "
            "itself"
        )
    if start.startswith((b"<?xml", b"<selections", b"<writings", b"<writing")):
        raise UserError(
            f"{path} is XML, which is not supported: convert it to a CSV file with the columns writing_id, l1, "
            "cefr_level, text, and optionally learner_id and topic. (In EFCAMDAT's own export the level attribute of a "
            "writing is the teaching level, 1 to 16, not CEFR: 1-3 are A1, 4-6 A2, 7-9 B1, 10-12 B2, 13-15 C1, 16 C2; "
            "the L1 must be guessed from the nationality. The cleaned EFCAMDAT tables have both.)"
        )


def _check_magic(path: Path, head: bytes, ending: str) -> None:
    """Raises: UserError unless the magic bytes match `ending` ("": a text file, which has none)."""
    actual = next(((found, right) for magic, found, right in _MAGIC if head.startswith(magic)), None)
    if actual is None and ending:
        raise UserError(f"{path} ends in {ending}, but its contents are not in that format; rename it or get it again")
    if actual is not None and actual[1] != ending:
        found, right = actual
        if right == ".xlsx":
            raise UserError(
                f"{path} is {found}: rename it to end in .xlsx if it is a workbook; otherwise unpack it (unzip "
                f"{path.name}), and give the path of the unpacked file"
            )
        if right == ".xls":
            raise UserError(f"{path} is {found}, which is not supported; save it as .xlsx without one, or as .csv")
        raise UserError(f"{path} is {found}, but its name does not say so; rename it to end in {right}")
