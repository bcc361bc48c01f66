"""Figures of `task=levels`: whether probabilities are shares, and which levels are taken for which."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ilm.evaluation.figures import figure_style, new_figure

_PANEL = 2.9  # inches


def figures(reliability: pd.DataFrame, confusion: pd.DataFrame, errors: Mapping[str, float]) -> dict[str, Figure]:
    """By file name. `reliability` and `confusion` are the tables of the posterior by `protocol`; `errors` their ECE."""
    with figure_style():
        return {"reliability": _reliability(reliability, errors), "confusion": _confusion(confusion)}


def _reliability(table: pd.DataFrame, errors: Mapping[str, float]) -> Figure:
    """Share of right levels by probability of the level; areas are numbers of texts, bars one standard error."""
    protocols = list(errors)
    figure = new_figure(_PANEL * len(protocols) + 0.5, _PANEL + 0.8)
    for panel, protocol in zip(figure.subplots(1, len(protocols), squeeze=False)[0], protocols, strict=True):
        own = table[table["protocol"] == protocol]
        panel.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
        panel.errorbar(own["confidence"], own["correct"], own["standard_error"].fillna(0), color="C0", linewidth=1)
        areas = 15 + 250 * own["n"] / max(1, own["n"].sum())
        panel.scatter(own["confidence"], own["correct"], s=areas, color="C0", alpha=0.6, clip_on=False, zorder=3)
        panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        panel.set_title(f"{protocol}\nECE {100 * errors[protocol]:.1f} %, {own['n'].sum():,} texts")
    figure.supxlabel("mean probability of the level predicted", fontsize=9)
    figure.supylabel("share of levels that are right", fontsize=9)
    return figure


def _confusion(table: pd.DataFrame) -> Figure:
    """True levels by predicted ones: numbers of texts; the colour is the share of the texts of a level."""
    protocols = list(dict.fromkeys(table["protocol"]))
    figure = new_figure(_PANEL * len(protocols) + 0.6, _PANEL + 0.7)
    for panel, protocol in zip(figure.subplots(1, len(protocols), squeeze=False)[0], protocols, strict=True):
        own = table[table["protocol"] == protocol]
        wide = own.pivot(index="level", columns="predicted", values="n").fillna(0)
        shares = wide.div(wide.sum(axis=1), axis=0)
        panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(wide.shape):
            dark = shares.iat[row, column] > 0.6
            number = f"{int(wide.iat[row, column]):,}"
            panel.text(column, row, number, ha="center", va="center", fontsize=8, color="white" if dark else "black")
        panel.set_xticks(range(wide.shape[1]), wide.columns)
        panel.set_yticks(range(wide.shape[0]), wide.index)
        panel.grid(False)
        panel.tick_params(length=0)
        panel.set_title(protocol)
    figure.supxlabel("level predicted", fontsize=9)
    figure.supylabel("level of the text", fontsize=9)
    return figure
