"""The comparison's files: tables, figures, and pages; report.html holds everything."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from ilm.evaluation.comparison.interpretation import findings, limits
from ilm.evaluation.comparison.plots import figures, svg
from ilm.evaluation.comparison.study import Study
from ilm.evaluation.comparison.tables import About, text_tables
from ilm.evaluation.figures import write_figures
from ilm.evaluation.report import described, write_pages, write_text
from ilm.tables import TextTable


def write_comparison(folder: Path, study: Study, about: About) -> dict[str, pd.DataFrame]:
    """Write the comparison's figures and pages; its tables, for report.json."""
    drawn, shown = figures(study, about), text_tables(study, about)
    notes = [*findings(study, about), *limits(study, about)]
    write_pages(folder, "comparison", _title(about), notes, shown.values())
    plots = {name: svg(figure) for name, figure in drawn.items()}
    write_text(folder / "report.html", _page(study, about, shown, plots))
    write_figures(folder, drawn)
    tables = {
        "matrix": study.matrix,
        "contrasts": study.contrasts,
        "groups": study.by_group,
        "specialisation": study.specialisation,
        "exposure": about.exposures,
    }
    of_others = {"systems": about.systems, "baselines": about.baselines}
    return tables | {name: table for name, table in of_others.items() if len(table)}


def _page(study: Study, about: About, tables: Mapping[str, TextTable], plots: Mapping[str, str]) -> str:
    def section(title: str, figure_names: Sequence[str], table_names: Sequence[str]) -> dict[str, Any]:
        return {
            "title": title,
            "figures": [(name, plots[name]) for name in figure_names if name in plots],
            "tables": [tables[name] for name in table_names if name in tables],
        }

    sections = [
        section("Each model on each level", ["matrix"], ["matrix"]),
        section("Primary contrasts", ["contrasts", "gain_by_level"], ["primary", "errors"]),
        section("Controls", [], ["controls"]),
        section("Which system to use", [], ["systems"]),
        section("Baselines", [], ["baselines"]),
        section("Within groups of texts and blanks", ["groups"], ["groups"]),
        section("Specialists on other levels", [], ["exploratory"]),
        section("Specialisation", [], ["specialisation"]),
        section("Training", ["learning_curves"], ["exposure"]),
    ]
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("ilm.evaluation.comparison").joinpath("report.html").read_text(encoding="utf-8")
    )
    return template.render(
        title=_title(about),
        subtitle="; ".join([*described(about.header["source"]), f"{len(about.models)} models"]),
        synthetic=about.header["source"]["synthetic"],
        findings=findings(study, about),
        limits=limits(study, about),
        sections=[part for part in sections if part["figures"] or part["tables"]],
        origin=_origin(about.header),
    )


def _origin(header: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The scalars, settings and versions of the header, for the end of the page."""
    rows = [(key, str(value)) for key, value in header.items() if isinstance(value, str | int | float | bool)]
    task, limit = header["configuration"]["task"], header["configuration"]["limit"]
    rows += [(f"task.{key}", str(value)) for key, value in task.items() if key != "name"]
    rows += [("limit", str(limit))]
    rows += [(f"version of {package}", version) for package, version in header["versions"].items()]
    return [*rows, ("models", ", ".join(header["models"]))]


def _title(about: About) -> str:
    return f"Specialists and generalist on {about.header['source']['name']}"
