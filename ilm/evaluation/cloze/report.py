"""Results as files: report.json, .csv, .md, .tex, the plot; and what the terminal shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from ilm.evaluation.cloze.plot import plot_calibration
from ilm.evaluation.cloze.tables import (
    Shown,
    described,
    for_a_page,
    for_a_paper,
    for_a_terminal,
    in_lines,
    notes,
)
from ilm.files import atomic_file, write_json

_LONG = 40  # rows that fit a page of LaTeX
_WIDE = 16  # characters of a name that a column has room for


def write_report(folder: Path, header: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
    """Write all files of a bench; `tables`: cloze, comparisons, calibration, blanks (see docs/cloze.md)."""
    for name, table in tables.items():
        with atomic_file(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    _write(folder / "cloze.md", _markdown(header, for_a_page(header, tables)))
    _write(folder / "cloze.tex", _latex(header, for_a_paper(header, tables)))
    with atomic_file(folder / "calibration.png") as temporary:
        plot_calibration(tables["calibration"], header["models"], temporary)
    # The last one: where it is, everything is.
    results = {name: _records(tables[name]) for name in ("cloze", "comparisons", "calibration")}
    write_json(folder / "report.json", {**header, "results": results})


def print_tables(console: Console, header: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
    """The overall table, that by level, and the pairs in the main metrics, for a terminal."""
    shown = for_a_terminal(header, tables)
    for number, table in enumerate(shown):
        caption = "; ".join([described(header), *notes(header)]) if number == len(shown) - 1 else None
        rich = Table(title=table.title, caption=caption, title_justify="left", caption_justify="left")
        for column, align in zip(table.columns, table.alignment, strict=True):
            rich.add_column("\n".join(in_lines(column)), justify="right" if align == "r" else "left", overflow="fold")
        for row in table.rows:
            rich.add_row(*("\n".join(in_lines(cell)) for cell in row))
        console.print(rich)


def _markdown(header: Mapping[str, Any], shown: Sequence[Shown]) -> str:
    parts = [f"# Cloze\n\n{described(header)}.\n"]
    parts.append("".join(f"- {note[0].upper()}{note[1:]}.\n" for note in notes(header)))
    for table in shown:
        lines = [f"## {table.title}\n"]
        if table.rows:
            lines.append("| " + " | ".join(map(_pipes, table.columns)) + " |")
            lines.append("|" + "|".join("---:" if align == "r" else "---" for align in table.alignment) + "|")
            lines += ["| " + " | ".join(map(_pipes, row)) + " |" for row in table.rows]
        else:
            lines.append("None.")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts) + "\n![calibration](calibration.png)\n"


def _latex(header: Mapping[str, Any], shown: Sequence[Shown]) -> str:
    """Tables for the packages booktabs and longtable, narrow enough for the text width of the class article."""
    parts = ["% \\usepackage[T1]{fontenc}\n% \\usepackage{booktabs,longtable}\n"]
    for number, table in enumerate(table for table in shown if table.rows):
        caption = _tex(f"{table.title}.")
        if not number:
            caption += f" {_tex(described(header))}. " + " ".join(
                _tex(f"{n[0].upper()}{n[1:]}.") for n in notes(header)
            )
        columns = "@{}" + table.alignment.replace("p", "p{0.3\\linewidth}") + "@{}"
        head, *body = (_tex_row(row, table.alignment) for row in (table.columns, *table.rows))
        head = ["\\toprule", head, "\\midrule"]
        small = ["\\footnotesize", "\\setlength{\\tabcolsep}{3.5pt}", "\\setlength{\\belowcaptionskip}{5pt}"]
        if len(body) > _LONG:
            lines = ["{", *small, f"\\begin{{longtable}}{{{columns}}}", f"\\caption{{{caption}}} \\\\", *head]
            lines += ["\\endhead", "\\bottomrule", "\\endfoot", *body, "\\end{longtable}", "}"]
        else:
            lines = ["\\begin{table}", "\\centering", *small, f"\\caption{{{caption}}}"]
            lines += [
                f"\\begin{{tabular}}{{{columns}}}",
                *head,
                *body,
                "\\bottomrule",
                "\\end{tabular}",
                "\\end{table}",
            ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _tex_row(cells: Sequence[str], alignment: str) -> str:
    """A row of a table; in columns that do not break lines by themselves, long names stand in several lines."""
    row = []
    for cell, align in zip(cells, alignment, strict=True):
        lines = [cell] if align == "p" or len(cell) <= _WIDE else in_lines(cell, _WIDE)
        text = " \\\\ ".join(map(_tex, lines))
        row.append(text if len(lines) == 1 else f"\\shortstack[{align}]{{{text}}}")
    return " & ".join(row) + " \\\\"


_TEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "±": "$\\pm$",
    "−": "$-$",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _pipes(text: str) -> str:
    return text.replace("|", "\\|")


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
