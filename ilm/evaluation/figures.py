"""The style of all reports' figures, and their files (PNG and PDF)."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ilm.files import atomic_file

_STYLE = Path(__file__).with_name("figures.mplstyle")


def figure_style() -> AbstractContextManager[None]:
    """The context in which figures are made and drawn."""
    return matplotlib.style.context(_STYLE)


def new_figure(width: float, height: float) -> Figure:
    """A figure with a canvas of its own, which needs no display and no pyplot; sizes in inches."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def write_figures(folder: Path, figures: Mapping[str, Figure]) -> None:
    """Write each figure as NAME.png and NAME.pdf."""
    for name, figure in figures.items():
        undated: dict[str, Any] = {"metadata": {"CreationDate": None}}
        for ending, options in ((".png", {}), (".pdf", undated)):
            with atomic_file(folder / f"{name}{ending}") as temporary:
                figure.savefig(temporary, format=ending[1:], **options)
