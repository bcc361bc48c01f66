"""Results as files: report.json, .csv, .md, .tex, the plot; and what the terminal shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ilm.evaluation.cloze.tables import (
    described,
    for_a_page,
    for_a_paper,
    for_a_terminal,
    notes,
)
from ilm.files import atomic_file, write_json
from ilm.tables import TextTable, show, wrap_name

_PANELS = 3  # in a row of the plot
_INCHES = 3.0  # of a panel
_NAME = 30  # characters of a name in a line


def write_report(folder: Path, header: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
    """Write all files of a cloze test; `tables`: cloze, comparisons, calibration, blanks (see docs/cloze.md)."""
    for name, table in tables.items():
        with atomic_file(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    _write(folder / "cloze.md", _markdown(header, for_a_page(header, tables)))
    _write(folder / "cloze.tex", _latex(header, for_a_paper(header, tables)))
    with atomic_file(folder / "calibration.png") as temporary:
        _plot_calibration(tables["calibration"], header["models"], temporary)
    # The last one: where it is, everything is.
    results = {name: _records(tables[name]) for name in ("cloze", "comparisons", "calibration")}
    write_json(folder / "report.json", {**header, "results": results})


def print_tables(header: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
    """The overall table, that by level, and the pairs in the main metrics, for a terminal."""
    show(*for_a_terminal(header, tables))


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


def _plot_calibration(reliability: pd.DataFrame, models: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """A panel per model: share of right first answers against their mean probability, by bin.

    Areas are the bins' shares of the answers, bars one standard error. `reliability` has the columns of
    `ilm.evaluation.cloze.metrics.calibration` and `model`; `models` their records.
    """
    columns = min(_PANELS, len(models))
    rows = -(-len(models) // columns)
    # A figure of its own canvas needs no display, and touches no state of pyplot.
    figure = Figure(figsize=(max(4.0, _INCHES * columns + 0.4), (_INCHES + 0.6) * rows + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel, (model, about) in zip(panels, models.items(), strict=False):
        own = reliability[reliability["model"] == model]
        panel.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
        panel.errorbar(own["confidence"], own["correct"], own["standard_error"].fillna(0), color="C0", linewidth=1)
        areas = 15 + 250 * own["n"] / max(1, own["n"].sum())
        panel.scatter(own["confidence"], own["correct"], s=areas, color="C0", alpha=0.6, clip_on=False, zorder=3)
        error = about["expected_calibration_error"]
        said = "no answers" if error is None else f"ECE {100 * error:.1f} %, {own['n'].sum():,} answers"
        panel.set_title("\n".join([*wrap_name(model, _NAME), said]), fontsize=8)
        panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        panel.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"], fontsize=8)
        panel.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"], fontsize=8)
    for panel in panels[len(models) :]:
        panel.set_visible(False)
    figure.supxlabel("mean probability of the first answer", fontsize=9)
    figure.supylabel("share of right first answers", fontsize=9)
    figure.savefig(path, dpi=150, format="png")


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
