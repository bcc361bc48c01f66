"""The comparison's tables for people: text cells, with what every table says about its numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ilm.evaluation.comparison.study import Study
from ilm.tables import TextTable

KINDS = {"context": "context", "infill": "infill", "infill_textonly": "infill, text only"}


@dataclass(frozen=True)
class About:
    """What a report says beside its numbers.

    `models` are in the order of the tables; `exposures` as in `ilm.evaluation.comparison.exposure`; `curves` the runs'
    metrics.csv; `cut` the share of examples longer than max_length, by level; `header` goes into report.json as it is.
    """

    corpus: str
    split: str
    synthetic: bool
    clusters_are: str
    smallest_effect: float
    models: Sequence[str]
    exposures: pd.DataFrame
    curves: Mapping[str, pd.DataFrame]
    cut: Mapping[str, float]
    has_topics: bool
    header: Mapping[str, Any]


def text_tables(study: Study, about: About) -> dict[str, TextTable]:
    """The tables for people, by name; those without rows are left out."""
    tables = {
        "matrix": _matrix_table(study.matrix, about),
        "primary": _contrast_table("Primary contrasts", study.tested("primary", "omnibus"), about),
        "exploratory": _contrast_table(
            "Specialists on other levels", study.tested("exploratory"), about, exploratory=True
        ),
        "groups": _group_table(study.by_group),
        "exposure": _exposure_table(about.exposures),
    }
    return {name: table for name, table in tables.items() if table is not None and table.rows}


def _matrix_table(matrix: pd.DataFrame, about: About) -> TextTable:
    rows, sections = [], []
    levels = list(dict.fromkeys(matrix["level"]))
    for kind, name in KINDS.items():
        of_kind = matrix[matrix["kind"] == kind].set_index(["model", "level"])
        if of_kind.empty:
            continue
        sections.append(len(rows))
        for model in about.models:
            cells = [
                _perplexity(of_kind.loc[(model, level)]) if (model, level) in of_kind.index else "" for level in levels
            ]
            rows.append((name, model, *cells))
    caption = f"{about.corpus}, {about.split} split. In brackets 95 % intervals over {about.clusters_are}s and seeds."
    return TextTable("Perplexity", ("kind", "trained on", *levels), rows, "ll" + "r" * len(levels), caption, sections)


def _contrast_table(title: str, contrasts: pd.DataFrame, about: About, *, exploratory: bool = False) -> TextTable:
    rows = []
    for row in contrasts.itertuples():
        seeds = f"{row.seeds_a}, {row.seeds_b}"
        cells = (
            row.level,
            row.a,
            row.b,
            signed(row.theta),
            _interval(row.low, row.high),
            f"{row.perplexity_ratio:.3f}",
        )
        cells += (p_value(row.p), p_value(row.p_adjusted))
        if not exploratory:
            cells += (row.verdict, _mde(row.minimum_detectable_effect), row.matched)
        rows.append((*cells, seeds, f"{row.clusters:,}", f"{row.effective_clusters:,.0f}"))
    adjusted = "p (BH)" if exploratory else "p (Holm)"
    columns = ("level", "a", "b", "a - b", "95 % interval", "ratio", "p", adjusted)
    columns += () if exploratory else ("verdict", "MDE", "training data")
    align = "lll" + "r" * 5 + ("" if exploratory else "lrl") + "lrr"
    caption = (
        "Exploratory: a search among many pairs, not a test of a hypothesis."
        if exploratory
        else "a - b in nats a token, below 0 where a is better; ratio of perplexities. MDE: found in "
        f"80 % of such studies. Equivalent: within {about.smallest_effect:g} nats."
    )
    return TextTable(title, (*columns, "seeds", "clusters", "effective"), rows, align, caption)


def _group_table(groups: pd.DataFrame) -> TextTable | None:
    if groups.empty:
        return None
    rows = [
        (
            *(row.level, row.grouping, row.group, signed(row.theta), _interval(row.low, row.high)),
            *(f"{row.targets:,}", f"{row.clusters:,}", f"{row.effective_clusters:,.0f}"),
        )
        for row in groups.itertuples()
    ]
    columns = ("level", "grouping", "group", "a - b", "95 % interval", "tokens", "clusters", "effective")
    caption = "a - b in nats a token, within groups. Intervals only; none below 50 effective clusters."
    return TextTable("Within groups of texts and blanks", columns, rows, "lllrrrrr", caption)


def _exposure_table(exposures: pd.DataFrame) -> TextTable | None:
    if exposures.empty:
        return None
    levels = list(dict.fromkeys(exposures["level"]))
    rows = []
    for model, own in exposures.groupby("model", sort=False):
        for kind in ("infill", "context"):
            by_level = own.set_index("level")[kind]
            rows.append(
                (model, kind, f"{by_level.sum():,.0f}", *(f"{by_level.get(level, 0):,.0f}" for level in levels))
            )
    caption = "Targets of the loss seen in training, repeated epochs included; means over seeds."
    return TextTable("Training data", ("model", "targets", "all", *levels), rows, "llr" + "r" * len(levels), caption)


def signed(value: float) -> str:
    """A difference in nats, with a true minus sign."""
    return f"{value:+.4f}".replace("-", "−")


def p_value(value: float) -> str:
    """As journals print it; empty for NaN."""
    return "" if math.isnan(value) else "< .001" if value < 0.001 else f"{value:.3f}".lstrip("0")


def _perplexity(row: pd.Series) -> str:
    value = f"{row['perplexity']:.4g}"
    return value if math.isnan(row["low"]) else f"{value} [{math.exp(row['low']):.4g}, {math.exp(row['high']):.4g}]"


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{signed(low)} to {signed(high)}"


def _mde(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"
