"""The calibration plot: how often answers are right, by how sure the model was of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLUMNS = 3
_INCHES = 3.2  # of a panel


def plot_calibration(reliability: pd.DataFrame, models: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """A panel per model: share of right first answers against their mean probability, by bin; areas are counts.

    `reliability` has the columns of `ilm.evaluation.cloze.metrics.calibration` and `model`; `models` their records.
    """
    columns = min(COLUMNS, len(models))
    rows = -(-len(models) // columns)
    # A figure of its own canvas needs no display, and touches no state of pyplot.
    figure = Figure(figsize=(_INCHES * columns, (_INCHES + 0.3) * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for panel, (model, about) in zip(panels, models.items(), strict=False):
        own = reliability[reliability["model"] == model]
        panel.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1)
        panel.plot(own["confidence"], own["correct"], color="C0", linewidth=1)
        total = max(1, own["n"].sum())
        panel.scatter(
            own["confidence"], own["correct"], s=20 + 300 * own["n"] / total, color="C0", alpha=0.7, clip_on=False
        )
        error = about["expected_calibration_error"]
        said = "no answers" if error is None else f"ECE {100 * error:.1f} %, n = {own['n'].sum():,}"
        panel.set_title(f"{model}\n{said}", fontsize=9)
        panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    for panel in list(figure.axes)[len(models) :]:
        panel.set_visible(False)
    figure.supxlabel("mean probability of the first answer", fontsize=9)
    figure.supylabel("share of right first answers", fontsize=9)
    figure.savefig(path, dpi=150, format="png")
