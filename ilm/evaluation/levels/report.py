"""The report of `task=levels`: its files, its tables for a terminal, a page and a paper, and how to read them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.evaluation import report
from ilm.evaluation.figures import write_figures
from ilm.evaluation.levels.plots import figures
from ilm.evaluation.levels.protocols import POSTERIOR
from ilm.evaluation.statistics import FEWEST
from ilm.tables import TextTable, show

ALL, KNOWN = "all", "levels it can say"
# Metrics and their headings; the first are shown in per cent.
SHARES = {"accuracy": "accuracy", "adjacent": "adjacent", "macro_f1": "macro-F1", "ece": "ECE"}
HEADINGS = {**SHARES, "rmse": "RMSE", "spearman": "Spearman", "qwk": "QWK"}
# What fits a terminal side by side.
_TOGETHER = {
    "right levels": ("accuracy", "adjacent", "macro_f1", "ece"),
    "distances of levels": ("rmse", "spearman", "qwk"),
}

Tables = Mapping[str, pd.DataFrame]
"""levels, confusion, reliability: see docs/levels.md."""


def write_report(folder: Path, header: Mapping[str, Any], tables: Tables) -> None:
    """Write all files but those by text, which are there already."""
    if len(tables["levels"]):
        of_posterior = {name: tables[name] for name in ("reliability", "confusion")}
        own = {name: table[table["system"] == POSTERIOR] for name, table in of_posterior.items()}
        levels = tables["levels"]
        ece = levels[(levels["system"] == POSTERIOR) & (levels["texts"] == ALL) & (levels["metric"] == "ece")]
        errors = dict(zip(ece["protocol"], ece["value"], strict=True))
        write_figures(folder, figures(own["reliability"], own["confusion"], errors))
    pages = {"levels.md": _markdown(header, tables), "levels.tex": _latex(header, tables)}
    report.write_report(folder, header, tables, pages)


def print_tables(header: Mapping[str, Any], tables: Tables) -> None:
    shown = text_tables(tables)
    caption = " ".join([f"{'; '.join(described(header))}.", *notes(header)])
    show(*([*shown[:-1], replace(shown[-1], caption=caption)] if shown else [caption]))


def text_tables(tables: Tables) -> list[TextTable]:
    """Metrics by protocol, each with its interval; then what the posterior takes for what."""
    levels, shown = tables["levels"], []
    for protocol, part in levels.groupby("protocol", sort=False):
        of_systems = [(*key, own.set_index("metric")) for key, own in part.groupby(["system", "texts"], sort=False)]
        for what, metrics in _TOGETHER.items():
            rows = []
            for system, texts, own in of_systems:
                name = system if texts == ALL else f"{system} ({KNOWN})"
                rows.append([name, f"{own['n'].iloc[0]:,}", *(_cell(own.loc[metric]) for metric in metrics)])
            columns = ["system", "texts", *(HEADINGS[metric] for metric in metrics)]
            shown.append(TextTable(f"Levels, {protocol}: {what}", columns, rows, "l" + "r" * (len(columns) - 1)))
    confusion = tables["confusion"]
    for protocol, part in confusion[confusion["system"] == POSTERIOR].groupby("protocol", sort=False):
        wide = part.pivot(index="level", columns="predicted", values="n").fillna(0).astype(int)
        rows = [[str(level), *map(str, row)] for level, row in zip(wide.index, wide.to_numpy(), strict=True)]
        columns = ["level", *(f"as {level}" for level in wide.columns)]
        shown.append(
            TextTable(f"Texts by level and level predicted, {protocol}", columns, rows, "l" + "r" * wide.shape[1])
        )
    return shown


def described(header: Mapping[str, Any]) -> list[str]:
    """The texts that all numbers are about, and what was left out of them."""
    counts = header["texts_counted"]
    said = [*report.described(header["source"]), f"{counts['scored']:,} texts"]
    left_out = {"without a level": counts["without_level"], "of one token": counts["unscored"]}
    return said + [f"{count:,} {cause}" for cause, count in left_out.items() if count]


def notes(header: Mapping[str, Any]) -> list[str]:
    """Sentences that must be known to read the tables."""
    unit, fit, guess = header["unit"], header["fit"], header["chance"]
    said = list(header["warnings"])
    if guess is not None:
        said.append(
            f"Chance: {100 * guess['squares']:.1f} % of levels are right by guessing them by their shares, "
            f"{100 * guess['majority']:.1f} % by always saying the largest."
        )
        said.append(
            f"Accuracy, adjacent (at most one level off), macro-F1 and ECE are in per cent, RMSE of A1 = 1 to C2 = 6; "
            f"95 % intervals by a bootstrap over {unit}s, none below {FEWEST} of them and too short below 50."
        )
    left = f", {fit['left_out']:,} left out that the texts share" if fit["left_out"] else ""
    said.append(
        f"The posterior is fitted on {fit['texts']:,} {fit['split']} texts of {fit['corpus']}{left}, under a "
        f"{header['configuration']['task']['prior']} prior; its losses are those of {', '.join(header['models'])}."
    )
    unknown = header["unknown_levels"]
    if unknown:
        said.append(
            f"Of {', '.join(unknown)} it learnt nothing: such texts count as errors, and are left out in the rows "
            f"'{KNOWN}'."
        )
    return said


def _markdown(header: Mapping[str, Any], tables: Tables) -> str:
    parts = [f"# Levels\n\n{'; '.join(described(header))}.\n", "".join(f"- {note}\n" for note in notes(header))]
    parts += [f"## {table.title}\n\n{table.markdown()}\n" for table in text_tables(tables)]
    plots = ["![reliability](reliability.png)", "![confusion](confusion.png)"] if len(tables["levels"]) else []
    return "\n".join([*parts, *plots, ""])


def _latex(header: Mapping[str, Any], tables: Tables) -> str:
    shown: Sequence[TextTable] = text_tables(tables)
    sentences = (f"{'; '.join(described(header))}.", *notes(header))
    parts = ["% \\usepackage[T1]{fontenc}\n% \\usepackage{booktabs,longtable}\n"]
    return "\n".join(parts + [table.latex(*(sentences if n == 0 else ())) for n, table in enumerate(shown)])


def _cell(row: pd.Series) -> str:
    if pd.isna(row["value"]):
        return ""
    scale, digits = (100, 1) if row.name in SHARES else (1, 2)
    value, low, high = (f"{scale * row[name]:.{digits}f}" for name in ("value", "low", "high"))
    return value if pd.isna(row["low"]) else f"{value} [{low}, {high}]"
