"""Tables of text for a terminal (rich), a page of Markdown (tabulate) and a paper (LaTeX), escaped for each of them.

Cells are plain text: learners', models' and files' texts hold whatever their writers typed.
"""

import os
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

# Control codes are shown as pictures of themselves, or U+FFFD where Unicode has none. Among the latter are overrides of
# the writing direction, which show a text in another order, and lone surrogates, which cannot be encoded.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: "\u2421"}
_NO_PICTURE = (*range(0x80, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_PRINTABLE = _PICTURES | dict.fromkeys((*_NO_PICTURE, *range(0xD800, 0xE000)), "\ufffd")

# An underscore between letters (`sample_A1_ilm`) emphasises nothing; nor does `<` begin a tag before a digit.
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
_LEAST_TEXT = 12  # columns of a terminal that long text is given
_LATEX_PAGE = 40  # rows that fit a page
_LATEX_NAME = 16  # characters of a name in one line of a cell


def printable(text: str) -> str:
    """The text with one harmless character for each that could steer a terminal; line breaks and tabs stay."""
    return text.translate(_PRINTABLE)


class Markdown(str):
    """Text that is Markdown already and is not escaped again."""


def escape_markdown(text: str) -> str:
    """Literal text for a cell of a Markdown table, or any place within a line."""
    if isinstance(text, Markdown):
        return text
    return _MARKDOWN.sub(r"\\\g<0>", printable(text)).replace("\t", " ").replace("\n", "<br>")


def escape_latex(text: str) -> str:
    """Literal text for LaTeX with the T1 font encoding."""
    return "".join(_LATEX.get(character, character) for character in text)


def wrap_name(text: str, width: int = 12) -> list[str]:
    """A long name in lines of about `width` characters, broken behind its separators (space, `:`, `/`, `_`, `-`)."""
    if len(text) <= width:
        return [text]
    lines = [""]
    for part in re.findall(r"[^\s:_/-]*[\s:_/-]*", text):
        if lines[-1] and len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return [line.rstrip(" ") for line in lines]


def show(*parts: "RenderableType") -> None:
    """Print tables and texts, as wide as the terminal, or 100 columns where there is none."""
    from rich.console import Console

    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if has_width else 100)
    for part in parts:
        console.print(part, crop=False)


@dataclass(frozen=True)
class TextTable:
    """A table of text cells, for `show`, a page of Markdown and a paper.

    `align` has a letter for each column: l names, r numbers, p long text (a paragraph column in LaTeX). `sections` are
    the numbers of the rows above which a terminal draws a rule.
    """

    title: str | None
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str
    caption: str | None = None
    sections: Collection[int] = ()

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """The title, the table and the caption.

        Names and numbers are whole where the table fits. Where it does not, names are broken behind their separators
        and intervals stand below their values; what is wider even so sticks out.
        """
        # Only now, as tabulate below: the entry points import this module, and answer typing mistakes without either.
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
        """Header and rows of printable cells, broken as far as `width` columns need it; and the columns they take."""
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
        """A floating table, or a longtable of many rows; for the packages booktabs and longtable.

        The caption is the title and further `sentences`.
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
        """Columns other than p break no lines by themselves: long names are stacked."""
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
