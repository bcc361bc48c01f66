"""Tables of text for a terminal (rich), a page of Markdown (tabulate) and a paper (LaTeX), escaped for each of them.

Cells are plain text: learners', models' and files' texts hold whatever their writers typed.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.table

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


@dataclass(frozen=True)
class TextTable:
    """A table of text cells; `console.print` shows it as it is.

    `align` has a letter for each column: l text, r numbers (never broken into lines), p long text (a paragraph column
    in LaTeX). `sections` are the numbers of the rows above which a terminal draws a rule.
    """

    title: str | None
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str
    caption: str | None = None
    sections: Collection[int] = ()

    def __rich__(self) -> "rich.table.Table":
        # Only now, as tabulate below: the entry points import this module, and answer typing mistakes without either.
        import rich.table
        from rich.text import Text

        title, caption = (None if text is None else Text(printable(text)) for text in (self.title, self.caption))
        table = rich.table.Table(title=title, caption=caption, title_justify="left", caption_justify="left")
        for name, align in zip(self.columns, self.align, strict=True):
            table.add_column(
                Text(printable(name)),
                justify="right" if align == "r" else "left",
                no_wrap=align == "r",
                overflow="fold",
                min_width=4 if align != "r" else None,
            )
        for number, row in enumerate(self.rows):
            if number in self.sections:
                table.add_section()
            table.add_row(*(Text(printable(cell)) for cell in row))
        return table

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
        head, *body = (self._latex_row(row) for row in (self.columns, *self.rows))
        head = ["\\toprule", head, "\\midrule"]
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
