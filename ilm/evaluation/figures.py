"""The style of all reports' figures, and their files (PNG and PDF)."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ilm.files import atomic_file
from ilm.tables import wrap_name

_STYLE = Path(__file__).with_name("figures.mplstyle")


def figure_style() -> AbstractContextManager[None]:
    """The context in which figures are made and drawn."""
    return matplotlib.style.context(_STYLE)


def heat_map(axes: Axes, values: pd.DataFrame, cells: pd.DataFrame, dark: pd.DataFrame, **image: Any) -> AxesImage:
    """A table as coloured cells with a text in each, white on `dark` ones; `image` is for `Axes.imshow`."""
    drawn = axes.imshow(values, **image)
    for row, column in np.ndindex(values.shape):
        color = "white" if dark.iat[row, column] else "black"
        axes.text(column, row, cells.iat[row, column], ha="center", va="center", fontsize=7, color=color)
    axes.set_xticks(range(values.shape[1]), values.columns)
    axes.set_yticks(range(values.shape[0]), values.index)
    axes.grid(False)
    axes.tick_params(length=0)
    return drawn


def reliability_figure(
    panels: Mapping[str, tuple[pd.DataFrame, float | None]], what: str, across: str, up: str
) -> Figure:
    """A panel per title, from a table and error of `ilm.evaluation.statistics.calibration`; axes `across` and `up`.

    Areas are the bins' shares of `what`, bars one standard error.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(max(4.0, 2.9 * columns + 0.5), 3.4 * rows + 0.3))
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel, (title, (own, error)) in zip(axes, panels.items(), strict=False):
        panel.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
        panel.errorbar(own["confidence"], own["correct"], own["standard_error"].fillna(0), color="C0", linewidth=1)
        areas = 15 + 250 * own["n"] / max(1, own["n"].sum())
        panel.scatter(own["confidence"], own["correct"], s=areas, color="C0", alpha=0.6, clip_on=False, zorder=3)
        panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        said = f"no {what}" if error is None else f"ECE {100 * error:.1f} %, {own['n'].sum():,} {what}"
        panel.set_title("\n".join([*wrap_name(title, 30), said]))
    for panel in axes[len(panels) :]:
        panel.set_visible(False)
    figure.supxlabel(across, fontsize=9)
    figure.supylabel(up, fontsize=9)
    return figure


def write_figures(folder: Path, figures: Mapping[str, Figure]) -> None:
    """Write each figure as NAME.png and NAME.pdf."""
    for name, figure in figures.items():
        undated: dict[str, Any] = {"metadata": {"CreationDate": None}}
        for ending, options in ((".png", {}), (".pdf", undated)):
            with atomic_file(folder / f"{name}{ending}") as temporary:
                figure.savefig(temporary, format=ending[1:], **options)
