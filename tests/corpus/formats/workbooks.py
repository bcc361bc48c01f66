"""XLSX workbooks as small as Excel opens them, written by hand: the project itself only reads them."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"

Cell = str | int | float | bool | None


class Xml(str):
    """A cell written by hand: its element, with {ref} for the name of the cell."""


def workbook(sheets: Mapping[str, Sequence[Sequence[Cell]]], *, shared: bool = False) -> bytes:
    """The file; None leaves a cell out. `shared`: texts in a table of their own, as Excel writes them."""
    table: dict[str, int] = {}
    parts = {
        "_rels/.rels": _relations({"rId1": ("officeDocument", "xl/workbook.xml")}),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        + "".join(f'<sheet name="{escape(n)}" sheetId="{i}" r:id="rId{i}"/>' for i, n in enumerate(sheets, 1))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations(
            {f"rId{i}": ("worksheet", f"worksheets/sheet{i}.xml") for i in range(1, len(sheets) + 1)}
            | {"rId99": ("sharedStrings", "sharedStrings.xml")}
        ),
    }
    for number, rows in enumerate(sheets.values(), 1):
        strings_of = table if shared else None
        cells = "".join(
            f'<row r="{r}">{"".join(_cell(f"{_letters(c)}{r}", v, strings_of) for c, v in enumerate(row))}</row>'
            for r, row in enumerate(rows, 1)
        )
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{_MAIN}"><sheetData>{cells}</sheetData></worksheet>'
        )
    strings = "".join(f'<si><t xml:space="preserve">{_escaped(text)}</t></si>' for text in table)
    parts["xl/sharedStrings.xml"] = f'<sst xmlns="{_MAIN}">{strings}</sst>'
    parts["[Content_Types].xml"] = _content_types(len(sheets))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            # A date of its own: the same workbook is the same bytes.
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _cell(ref: str, value: Cell, table: dict[str, int] | None) -> str:
    if value is None:
        return ""
    if isinstance(value, Xml):
        return value.replace("{ref}", ref)
    if isinstance(value, bool):
        return f'<c r="{ref}" t="b"><v>{int(value)}</v></c>'
    if not isinstance(value, str):
        return f'<c r="{ref}"><v>{value}</v></c>'
    if table is None:
        return f'<c r="{ref}" t="inlineStr"><is><t xml:space="preserve">{_escaped(value)}</t></is></c>'
    return f'<c r="{ref}" t="s"><v>{table.setdefault(value, len(table))}</v></c>'


def _escaped(text: str) -> str:
    # XML would turn carriage returns into line feeds; Excel writes them so.
    return escape(text).replace("\r", "_x000D_")


def _letters(column: int) -> str:
    return chr(65 + column) if column < 26 else _letters(column // 26 - 1) + chr(65 + column % 26)


def _relations(of: Mapping[str, tuple[str, str]]) -> str:
    entries = "".join(f'<Relationship Id="{i}" Type="{_OFFICE}/{k}" Target="{t}"/>' for i, (k, t) in of.items())
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{entries}</Relationships>'


def _content_types(sheets: int) -> str:
    of = {"workbook": "sheet.main", "sharedStrings": "sharedStrings"}
    of |= {f"worksheets/sheet{number}": "worksheet" for number in range(1, sheets + 1)}
    entries = "".join(f'<Override PartName="/xl/{n}.xml" ContentType="{_TYPE}.{k}+xml"/>' for n, k in of.items())
    return (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{entries}</Types>'
    )
