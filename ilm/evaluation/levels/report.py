"""The report of `task=levels`: figures, tables for a terminal and a page, and the notes beside them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ilm.evaluation import report
from ilm.evaluation.figures import figure_style, heat_map, reliability_figure, write_figures
from ilm.evaluation.levels.metrics import COMPARED
from ilm.evaluation.levels.systems import POSTERIOR
from ilm.evaluation.statistics import FEWEST
from ilm.tables import TextTable

ALL, KNOWN = "all", "levels it can say"
# Metrics and their headings; the first are shown in per cent.
SHARES = {"accuracy": "accuracy", "adjacent": "adjacent", "macro_f1": "macro-F1", "ece": "ECE"}
HEADINGS = {**SHARES, "rmse": "RMSE", "spearman": "Spearman", "qwk": "QWK"}
# Metrics that fit side by side in a terminal.
_TOGETHER = {
    "right levels": ("accuracy", "adjacent", "macro_f1", "ece"),
    "distances of levels": ("rmse", "spearman", "qwk"),
}

_PANEL = 2.9  # inches

Tables = Mapping[str, pd.DataFrame]
"""levels, differences, confusion, reliability: see docs/levels.md."""


def write_report(folder: Path, header: Mapping[str, Any], tables: Tables) -> None:
    """Write all files but those by text, which are there already."""
    drawn = figures(tables) if len(tables["levels"]) else {}
    write_figures(folder, drawn)
    report.write_pages(folder, "levels", "Levels", notes(header), text_tables(header, tables), drawn)
    report.write_report(folder, header, tables)


def print_tables(header: Mapping[str, Any], tables: Tables) -> None:
    report.print_tables(text_tables(header, tables), notes(header))


def text_tables(header: Mapping[str, Any], tables: Tables) -> list[TextTable]:
    """Metrics by protocol, each with its interval; differences; which levels are taken for which; the models."""
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
    for protocol, part in tables["differences"].groupby("protocol", sort=False):
        rows = [
            [system, *(_cell(own.loc[metric], "difference", "+") for metric in COMPARED)]
            for system, own in ((name, table.set_index("metric")) for name, table in part.groupby("system", sort=False))
        ]
        columns = ["posterior minus", *(HEADINGS[metric] for metric in COMPARED)]
        shown.append(TextTable(f"Levels, {protocol}: differences on the same texts", columns, rows, "lrr"))
    confusion = tables["confusion"]
    for protocol, part in confusion[confusion["system"] == POSTERIOR].groupby("protocol", sort=False):
        wide = part.pivot(index="level", columns="predicted", values="n").fillna(0).astype(int)
        rows = [[str(level), *map(str, row)] for level, row in zip(wide.index, wide.to_numpy(), strict=True)]
        columns = ["level", *(f"as {level}" for level in wide.columns)]
        shown.append(
            TextTable(f"Texts by level and level predicted, {protocol}", columns, rows, "l" + "r" * wide.shape[1])
        )
    rows = [
        [name, ", ".join(about["runs"]) or "-", f"{about['nats_per_token']:.3f}"]
        for name, about in header["models"].items()
    ]
    shown.append(TextTable("Models", ["model", "runs", "nats a token"], rows, "lpr"))
    return shown


def notes(header: Mapping[str, Any]) -> list[str]:
    """Sentences without which the tables cannot be read."""
    unit, fit, guess, counts = header["unit"], header["fit"], header["chance"], header["texts_counted"]
    described = [*report.described(header["source"]), f"{counts['scored']:,} texts"]
    left_out = {"without a level": counts["without_level"], "of one token": counts["unscored"]}
    described += [f"{count:,} {cause}" for cause, count in left_out.items() if count]
    said = [f"{'; '.join(described)}.", *header["warnings"]]
    if guess is not None:
        said.append(
            f"Chance: {100 * guess['squares']:.1f} % of levels are right by guessing them by their shares, "
            f"{100 * guess['majority']:.1f} % by always saying the largest."
        )
        said.append(
            f"Accuracy, adjacent (at most one level off), macro-F1 and ECE are in per cent, RMSE of A1 = 1 to C2 = 6; "
            f"95 % intervals by a bootstrap over {unit}s, none below {FEWEST} of them and too short below 50 "
            "(ECE's lie too high: drawing texts again adds noise to its bins); "
            "differences are paired, by the same resamples."
        )
    left = f", {fit['left_out']:,} left out that the texts share" if fit["left_out"] else ""
    said.append(
        f"The posterior is fitted on {fit['texts']:,} {fit['split']} texts of {fit['corpus']}{left}, under a "
        f"{header['configuration']['task']['prior']} prior; its losses are those of {', '.join(header['models'])}."
    )
    unknown = header["unknown_levels"]
    if unknown:
        said.append(
            f"It learnt nothing of {', '.join(unknown)}: such texts count as errors, and are left out in the rows "
            f"'{KNOWN}'."
        )
    return said


def _cell(row: pd.Series, value: str = "value", sign: str = "") -> str:
    if pd.isna(row[value]):
        return ""
    scale, form = (100, f"{sign}.1f") if row.name in SHARES else (1, f"{sign}.2f")
    return report.with_interval(scale * row[value], scale * row["low"], scale * row["high"], form)


def figures(tables: Tables) -> dict[str, Figure]:
    """Of the posterior, by file name."""
    own = {name: table[table["system"] == POSTERIOR] for name, table in tables.items() if name != "differences"}
    ece = own["levels"][(own["levels"]["texts"] == ALL) & (own["levels"]["metric"] == "ece")]
    of_protocols = own["reliability"].groupby("protocol")
    panels = {
        protocol: (of_protocols.get_group(protocol), error)
        for protocol, error in zip(ece["protocol"], ece["value"], strict=True)
    }
    with figure_style():
        reliability = reliability_figure(
            panels, "texts", "mean probability of the level predicted", "share of levels that are right"
        )
        return {"reliability": reliability, "confusion": _confusion(own["confusion"])}


def _confusion(table: pd.DataFrame) -> Figure:
    """True levels by predicted ones: numbers of texts; the colour is the share of the texts of a level."""
    protocols = list(dict.fromkeys(table["protocol"]))
    figure = Figure(figsize=(_PANEL * len(protocols) + 0.6, _PANEL + 0.7))
    for panel, protocol in zip(figure.subplots(1, len(protocols), squeeze=False)[0], protocols, strict=True):
        own = table[table["protocol"] == protocol]
        wide = own.pivot(index="level", columns="predicted", values="n").fillna(0)
        shares = wide.div(wide.sum(axis=1), axis=0)
        numbers = wide.astype(int).map("{:,}".format)
        heat_map(panel, shares, numbers, shares > 0.6, cmap="Blues", vmin=0, vmax=1)
        panel.set_title(protocol)
    figure.supxlabel("level predicted", fontsize=9)
    figure.supylabel("level of the text", fontsize=9)
    return figure
