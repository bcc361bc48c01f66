"""Text tables for terminals (rich), Markdown (tabulate) and papers (LaTeX), escaped for each.

Cells are plain text, and may contain anything that learners, models or file names contain.
"""

import os
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

# Control codes are shown as Unicode control pictures, or as U+FFFD if there is none. The latter include bidirectional
# overrides, which would reorder text, and lone surrogates, which cannot be encoded.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: "\u2421"}
_NO_PICTURE = (*range(0x80, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_PRINTABLE = _PICTURES | dict.fromkeys((*_NO_PICTURE, *range(0xD800, 0xE000)), "\ufffd")

# An underscore between letters (`sample_A1_ilm`) is not emphasis, and `<` before a digit is not a tag.
_MARKDOWN = re.compile(r"[\\`*\[\]|~$]|<(?=[A-Za-z/!?])|&(?=[\w#])|(?<![^\W_])_|_(?![^\W_])")
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "±": "$\\pm$",
    "−": "$-$",
}
_LEAST_TEXT = 12  # minimum terminal columns for long text
_LATEX_PAGE = 40  # rows per page
_LATEX_NAME = 16  # characters of a name per line of a cell


def printable(text: str) -> str:
    """The text with a harmless character in place of each terminal control; line breaks and tabs stay."""
    return text.translate(_PRINTABLE)


def escape_markdown(text: str) -> str:
    """Escape text for a cell of a Markdown table, or any place within a line."""
    return _MARKDOWN.sub(r"\\\g<0>", printable(text)).replace("\t", " ").replace("\n", "<br>")


def escape_latex(text: str) -> str:
    """Escape text for LaTeX with the T1 font encoding."""
    return "".join(_LATEX.get(character, character) for character in text)


def wrap_name(text: str, width: int = 12) -> list[str]:
    """Break a long name into lines of about `width` characters, after separators (space, `:`, `/`, `_`, `-`)."""
    if len(text) <= width:
        return [text]
    lines = [""]
    for part in re.findall(r"[^\s:_/-]*[\s:_/-]*", text):
        if lines[-1] and len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return [line.rstrip(" ") for line in lines]


def show(*parts: "RenderableType") -> None:
    """Print tables and texts, as wide as the terminal, or 100 columns without one."""
    from rich.console import Console

    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if has_width else 100)
    for part in parts:
        console.print(part, crop=False)


@dataclass(frozen=True)
class TextTable:
    """A table of text cells, for `show`, Markdown and LaTeX.

    `align`: a letter per column: l names, r numbers, p long text (a paragraph column in LaTeX). `sections`: numbers of
    rows with a rule above them at the terminal.
    """

    title: str | None
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str
    caption: str | None = None
    sections: Collection[int] = ()

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """The title, the table and the caption.

        If the table is too wide, names are broken after separators and intervals move below their values; anything
        still wider overflows.
        """
        # Imported late, like tabulate below, so that entry points report typing mistakes fast.
        import rich.table
        from rich.text import Text

        cells, needed = self._fitted(options.max_width)
        table = rich.table.Table()
        for name, align in zip(cells[0], self.align, strict=True):
            table.add_column(
                Text(name),
                justify="right" if align == "r" else "left",
                no_wrap=align != "p",
                overflow="fold",
                min_width=None if align != "p" else _LEAST_TEXT,
            )
        for number, row in enumerate(cells[1:]):
            if number in self.sections:
                table.add_section()
            table.add_row(*map(Text, row))
        if self.title is not None:
            yield Text(printable(self.title), style="table.title")
        yield from console.render(table, options.update(max_width=max(needed, options.max_width)))
        if self.caption is not None:
            yield Text(printable(self.caption), style="table.caption")

    def _fitted(self, width: int) -> tuple[list[list[str]], int]:
        """Header and rows of printable cells, broken as needed for `width` columns; and the width they take."""
        whole = [[printable(cell) for cell in row] for row in (self.columns, *self.rows)]
        for longest in (None, 40, 24, 16, 12):
            cells = whole
            if longest is not None:
                header, *rows = ([*zip(row, self.align, strict=True)] for row in whole)
                cells = [["\n".join(wrap_name(name)) for name, _ in header]]
                cells += [[_broken(cell, align, longest) for cell, align in row] for row in rows]
            needed = 1 + sum(3 + _widest(column, align) for *column, align in zip(*cells, self.align, strict=True))
            if needed <= width:
                break
        return cells, needed

    def markdown(self) -> str:
        """A pipe table, without title and caption."""
        from tabulate import tabulate

        return tabulate(
            [[escape_markdown(cell) for cell in row] for row in self.rows],
            [escape_markdown(name) for name in self.columns],
            tablefmt="pipe",
            disable_numparse=True,
            colalign=["right" if align == "r" else "left" for align in self.align] if self.rows else None,
        )

    def latex(self, *sentences: str) -> str:
        """A floating table, or a longtable if there are many rows; needs the packages booktabs and longtable.

        The caption is the title followed by `sentences`.
        """
        caption = "\\caption{" + " ".join(map(escape_latex, (f"{self.title}.", *sentences))) + "}"
        columns = "{@{}" + self.align.replace("p", "p{0.3\\linewidth}") + "@{}}"
        columns_row, *body = (self._latex_row(row) for row in (self.columns, *self.rows))
        head = ["\\toprule", columns_row, "\\midrule"]
        small = ["\\footnotesize", "\\setlength{\\tabcolsep}{3.5pt}", "\\setlength{\\belowcaptionskip}{5pt}"]
        if len(body) > _LATEX_PAGE:
            lines = ["{", *small, "\\begin{longtable}" + columns, caption + " \\\\", *head, "\\endhead"]
            lines += ["\\bottomrule", "\\endfoot", *body, "\\end{longtable}", "}"]
        else:
            lines = ["\\begin{table}", "\\centering", *small, caption, "\\begin{tabular}" + columns]
            lines += [*head, *body, "\\bottomrule", "\\end{tabular}", "\\end{table}"]
        return "\n".join(lines) + "\n"

    def _latex_row(self, cells: Sequence[str]) -> str:
        """Stack long names, since only p columns break lines by themselves."""
        row = []
        for cell, align in zip(cells, self.align, strict=True):
            lines = [cell] if align == "p" else wrap_name(cell, _LATEX_NAME)
            text = " \\\\ ".join(map(escape_latex, lines))
            row.append(text if len(lines) == 1 else f"\\shortstack[{align}]{{{text}}}")
        return " & ".join(row) + " \\\\"


def _broken(cell: str, align: str, longest: int) -> str:
    if align == "p":
        return cell
    return re.sub(r" (?=[\[(])", "\n", cell) if align == "r" else "\n".join(wrap_name(cell, longest))


def _widest(cells: Sequence[str], align: str) -> int:
    from rich.cells import cell_len

    widest = max(cell_len(line) for cell in cells for line in cell.split("\n"))
    return widest if align != "p" else min(widest, _LEAST_TEXT)
