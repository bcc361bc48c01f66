"""Results as files: report.json, .csv, .md, .tex, the plot; and what the terminal shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from ilm.evaluation.cloze.plot import plot_calibration
from ilm.evaluation.cloze.tables import (
    described,
    for_a_page,
    for_a_paper,
    for_a_terminal,
    notes,
)
from ilm.files import atomic_file, write_json
from ilm.tables import TextTable


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
    for table in for_a_terminal(header, tables):
        console.print(table)


def _markdown(header: Mapping[str, Any], tables: Sequence[TextTable]) -> str:
    parts = [f"# Cloze\n\n{described(header)}.\n", "".join(f"- {note}\n" for note in _sentences(header))]
    parts += [f"## {table.title}\n\n{table.markdown() if table.rows else 'None.'}\n" for table in tables]
    return "\n".join(parts) + "\n![calibration](calibration.png)\n"


def _latex(header: Mapping[str, Any], tables: Sequence[TextTable]) -> str:
    """Tables for the packages booktabs and longtable, narrow enough for the text width of the class article."""
    parts = ["% \\usepackage[T1]{fontenc}\n% \\usepackage{booktabs,longtable}\n"]
    caption = (f"{described(header)}.", *_sentences(header))
    for table in tables:
        if table.rows:
            parts.append(table.latex(*(caption if len(parts) == 1 else ())))
    return "\n".join(parts)


def _sentences(header: Mapping[str, Any]) -> list[str]:
    return [f"{note[0].upper()}{note[1:]}." for note in notes(header)]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
