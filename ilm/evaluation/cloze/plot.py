"""The calibration plot: how often answers are right, by how sure the model was of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ilm.tables import wrap_name

COLUMNS = 3
_INCHES = 3.0  # of a panel
_NAME = 30  # characters of a name in a line


def plot_calibration(reliability: pd.DataFrame, models: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """A panel per model: share of right first answers against their mean probability, by bin.

    Areas are the bins' shares of the answers, bars one standard error. `reliability` has the columns of
    `ilm.evaluation.cloze.metrics.calibration` and `model`; `models` their records.
    """
    columns = min(COLUMNS, len(models))
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
