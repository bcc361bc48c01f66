"""The comparison's figures."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from ilm.evaluation.comparison.study import GENERALIST, HEADLINE, KINDS, Study
from ilm.evaluation.comparison.tables import About
from ilm.evaluation.figures import figure_style, heat_map
from ilm.evaluation.report import with_interval

_VERDICTS = {
    "better": "#0072B2",
    "worse": "#D55E00",
    "equivalent": "#009E73",
    "not decided": "0.45",
    "not tested": "0.7",
}


def figures(study: Study, about: About) -> dict[str, Figure]:
    """The figures by file name; those without data are left out."""
    drawn: dict[str, Figure] = {}
    own_level = study.tested("primary")
    with figure_style():
        drawn["matrix"] = matrix(study, about.plotted)
        if len(own_level):
            drawn["contrasts"] = forest(own_level, about.smallest_effect, study.unit)
            drawn["gain_by_level"] = gains(study.contrasts[study.contrasts["family"] == "primary"], study.unit)
        if len(study.by_group):
            drawn["groups"] = groups(study.by_group, study.unit)
        of_shown = {model: about.curves[model] for model in about.plotted}
        if any(of_shown.values()):
            drawn["learning_curves"] = learning_curves(of_shown)
    return drawn


def matrix(study: Study, models: Sequence[str]) -> Figure:
    """Perplexities with their intervals; a cell's colour is its log ratio to the generalist on the same texts."""
    table = study.matrix[study.matrix["kind"] == study.headline]
    shown = table[["loss", "low", "high"]].map(math.exp if study.of_tokens else float)
    cells = [with_interval(row.loss, row.low, row.high, ".4g") for row in shown.itertuples()]
    table = table.assign(cell=[cell.replace(" [", "\n[") for cell in cells])
    wide = table.pivot(index="model", columns="level", values=["loss", "cell"]).reindex(list(models))
    loss = wide["loss"].astype(float)
    relative = loss - (loss.loc[GENERALIST] if GENERALIST in loss.index else loss.mean(axis=0))
    limit = max(1e-6, float(np.nanmax(np.abs(relative))))
    figure = Figure(figsize=(1.5 + 1.05 * loss.shape[1], max(3.6, 1.2 + 0.62 * loss.shape[0])))
    axes = figure.subplots()
    colours: dict[str, Any] = {"cmap": "PuOr_r", "norm": TwoSlopeNorm(0, -limit, limit), "aspect": "auto"}
    image = heat_map(axes, relative, wide["cell"], relative.abs() > 0.65 * limit, **colours)
    title = "Perplexity of masked text" if study.of_tokens else "Bits a character of masked text"
    axes.set(xlabel="tested on", ylabel="trained on", title=title)
    relative_to = "the generalist" if GENERALIST in loss.index else "the mean"
    figure.colorbar(image, label=f"loss minus that of {relative_to}, {study.unit}")
    return figure


def forest(contrasts: pd.DataFrame, smallest_effect: float, unit: str) -> Figure:
    """The primary contrasts with their intervals, and the band of differences too small to matter."""
    figure = Figure(figsize=(6.2, 1.2 + 0.42 * len(contrasts)))
    axes = figure.subplots()
    band = f"within {smallest_effect:g}: too small to matter"
    axes.axvspan(-smallest_effect, smallest_effect, color="0.9", zorder=0, label=band)
    axes.axvline(0, color="0.4", linewidth=1)
    places = range(len(contrasts))
    for place, row in zip(places, contrasts.itertuples(), strict=True):
        colour = _VERDICTS[row.verdict]
        if not np.isnan(row.low):
            axes.plot([row.low, row.high], [place, place], color=colour)
        axes.plot(row.theta, place, "o", color=colour)
        axes.annotate(row.verdict, (1.01, place), xycoords=("axes fraction", "data"), va="center", color=colour)
    labels = [f"{row.level}: {row.a} − {row.b}" for row in contrasts.itertuples()]
    axes.set_yticks(places, labels)
    axes.set_ylim(len(contrasts) - 0.5, -0.5)
    axes.set(xlabel=f"a − b, {unit}", title="Primary contrasts: a − b by level of the texts")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.22 - 0.1 * (len(contrasts) < 4)))
    return figure


def gains(contrasts: pd.DataFrame, unit: str) -> Figure:
    """The gain of a over b on each level, by kind of loss."""
    figure = Figure(figsize=(6.2, 3.0))
    axes = figure.subplots()
    levels = list(dict.fromkeys(contrasts["level"]))
    axes.axhline(0, color="0.4", linewidth=1)
    first = contrasts[contrasts["b"] == contrasts["b"].iloc[0]]
    kinds = [kind for kind in KINDS if kind in set(first["kind"])]
    for number, kind in enumerate(kinds):
        of_kind = first[first["kind"] == kind].set_index("level").reindex(levels)
        places = np.arange(len(levels)) + 0.15 * (number - 1)
        errors = np.stack([of_kind["high"] - of_kind["theta"], of_kind["theta"] - of_kind["low"]])
        axes.errorbar(places, -of_kind["theta"], np.nan_to_num(errors), fmt="o", label=KINDS[kind])
    axes.set_xticks(range(len(levels)), levels)
    axes.set_xlim(-0.5, len(levels) - 0.5)
    axes.set(xlabel="level", ylabel=f"gain, {unit}", title="Gain of a over b")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def groups(table: pd.DataFrame, unit: str) -> Figure:
    """The primary contrasts within groups of texts and blanks, a panel for each grouping."""
    table = table[table["b"] == table["b"].iloc[0]]
    groupings, levels = list(dict.fromkeys(table["grouping"])), list(dict.fromkeys(table["level"]))
    sizes = table.groupby("grouping", sort=False)["group"].nunique()
    figure = Figure(figsize=(7.5, 0.6 + sum(0.5 + 0.3 * size for size in sizes)))
    panels = figure.subplots(len(groupings), 1, squeeze=False, height_ratios=1 + sizes, sharex=True)[:, 0]
    for axes, grouping in zip(panels, groupings, strict=True):
        own = table[table["grouping"] == grouping]
        names = list(dict.fromkeys(own["group"]))
        axes.axvline(0, color="0.4", linewidth=1)
        for number, level in enumerate(levels):
            of_level = own[own["level"] == level].set_index("group").reindex(names)
            places = np.arange(len(names)) + 0.13 * (number - (len(levels) - 1) / 2)
            errors = np.stack([of_level["theta"] - of_level["low"], of_level["high"] - of_level["theta"]])
            axes.errorbar(
                of_level["theta"], places, xerr=np.nan_to_num(errors), fmt="o", markersize=3, linewidth=1, label=level
            )
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_title(f"By {grouping}", loc="left")
    panels[-1].set_xlabel(f"a − b, {unit}")
    panels[0].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def learning_curves(curves: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """Validation perplexity by optimizer step, a line for each run, a colour for each model."""
    figure = Figure(figsize=(6.2, 3.2))
    axes = figure.subplots()
    column = f"valid/{HEADLINE}_perplexity"
    for number, (name, of_runs) in enumerate(curves.items()):
        for metrics in of_runs:
            known = metrics.dropna(subset=[column])
            label = name if metrics is of_runs[0] else None
            axes.plot(known["step"], known[column], marker=".", linewidth=1, color=f"C{number}", label=label)
    axes.set_yscale("log")
    axes.set(xlabel="optimizer step", ylabel="validation perplexity", title="Learning curves (each on its own level)")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def svg(figure: Figure) -> str:
    """A figure as SVG to embed in a page, without the XML declaration."""
    buffer = io.StringIO()
    with figure_style():
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
