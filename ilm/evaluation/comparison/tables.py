"""The comparison's tables for people: formatted cells, and captions that explain the numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ilm.evaluation.comparison.study import KINDS, Study
from ilm.evaluation.report import described, p_value, with_interval
from ilm.examples.cuts import LevelCuts
from ilm.tables import TextTable

SEARCH = "Exploratory: a search among many pairs, not a test of a hypothesis."
BY_CONTROL = (
    "What remains of a specialist's gain when something else is equal: token-matched, as many targets; random subset, "
    "as many targets and steps on texts of all levels; balanced, every level equally often; conditioned, the level "
    "given. Compared with the generalist: itself fine-tuned on the level, and the mean of the specialists' weights. "
    "Exploratory."
)


@dataclass(frozen=True)
class About:
    """What a report says besides the study's numbers.

    `header` is that of report.json. `models` are in the order of the tables, `plotted` those without the controls.
    `exposures` and `missing_controls` are those of `ilm.evaluation.comparison.controls`, `curves` the metrics.csv of
    each model's runs, `cuts` what the truncation at max_length removed by level, `longest_example` in tokens. `topics`:
    their number, and how many of them occur on one level only; None if none are known. `systems` and `baselines` have a
    row per system or baseline and level, or none.
    """

    header: Mapping[str, Any]
    clusters_are: str
    smallest_effect: float
    models: Sequence[str]
    plotted: Sequence[str]
    exposures: pd.DataFrame
    curves: Mapping[str, Sequence[pd.DataFrame]]
    cuts: Sequence[LevelCuts]
    longest_example: int
    topics: tuple[int, int] | None
    systems: pd.DataFrame
    baselines: pd.DataFrame
    missing_controls: Mapping[str, Sequence[str]]


def text_tables(study: Study, about: About) -> dict[str, TextTable]:
    """The tables by name; those without rows are left out."""
    tables = {
        "matrix": _matrix_table(study, about),
        "primary": _primary_table(study, about),
        "errors": _error_table(study, about),
        "controls": _search_table("Controls", study.tested("control"), study, BY_CONTROL),
        "systems": _systems_table(about.systems),
        "baselines": _baseline_table(about.baselines),
        "exploratory": _search_table("Specialists on other levels", study.tested("exploratory"), study, SEARCH),
        "groups": _group_table(study),
        "specialisation": _specialisation_table(study),
        "exposure": _exposure_table(about.exposures),
    }
    return {name: table for name, table in tables.items() if table is not None and table.rows}


def _matrix_table(study: Study, about: About) -> TextTable:
    rows: list[tuple[str, ...]] = []
    sections: list[int] = []
    levels = list(dict.fromkeys(study.matrix["level"]))
    for kind, name in KINDS.items():
        losses = study.matrix[study.matrix["kind"] == kind].set_index(["model", "level"])[["loss", "low", "high"]]
        shown = losses.map(math.exp if study.of_tokens else float)
        cells = {row.Index: with_interval(row.loss, row.low, row.high, ".4g") for row in shown.itertuples()}
        if cells:
            sections.append(len(rows))
            rows += [(name, model, *(cells.get((model, level), "") for level in levels)) for model in about.models]
    texts = "; ".join(described(about.header["source"]))
    caption = f"{texts}. In brackets 95 % intervals over {about.clusters_are}s and seeds."
    title = "Perplexity" if study.of_tokens else "Bits a character of the answers"
    return TextTable(title, ("of", "trained on", *levels), rows, "ll" + "r" * len(levels), caption, sections)


def _contrast_columns(study: Study) -> tuple[str, ...]:
    return ("level", "a", "b", "a − b", "95 % interval", *(["ratio"] if study.of_tokens else []), "p")


def _contrast_cells(row: Any) -> tuple[str, ...]:
    ratio = [f"{row.perplexity_ratio:.3f}"] if hasattr(row, "perplexity_ratio") else []
    return (row.level, row.a, row.b, signed(row.theta), _interval(row.low, row.high), *ratio, p_value(row.p))


def _primary_table(study: Study, about: About) -> TextTable:
    rows = [
        (*_contrast_cells(row), p_value(row.p_adjusted), row.verdict, row.matched)
        for row in study.tested("primary", "omnibus").itertuples()
    ]
    ratio = "; ratio of perplexities" if study.of_tokens else ""
    caption = (
        f"a − b in {study.unit}, below 0 where a is better{ratio}. "
        f"Equivalent: within {about.smallest_effect:g} {study.unit.split()[0]}. Intervals and p: of Satterthwaite's t "
        f"over {about.clusters_are}s and seeds, or with one seed of a or b of a bootstrap-t over {about.clusters_are}s."
    )
    columns = (*_contrast_columns(study), "p (Holm)", "verdict", "training data")
    return TextTable("Primary contrasts", columns, rows, "lll" + "r" * (len(columns) - 5) + "ll", caption)


def _error_table(study: Study, about: About) -> TextTable:
    """The errors of the primary contrasts, by source."""
    by_topic = about.topics is not None
    rows = [
        (
            *(row.level, row.a, row.b, f"{row.standard_error:.4f}"),
            *(f"{math.sqrt(row.v1):.4f}", "" if row.one_seed else f"{math.sqrt(row.v2):.4f}"),
            *(f"{row.seeds_a}, {row.seeds_b}", f"{row.clusters:,}", f"{row.effective_clusters:,.0f}"),
            "" if math.isnan(row.minimum_detectable_effect) else f"{row.minimum_detectable_effect:.3g}",
            *([f"{row.standard_error_over_topics:.4f}", f"{row.topics:,}"] if by_topic else []),
        )
        for row in study.tested("primary", "omnibus").itertuples()
    ]
    clusters = f"{about.clusters_are}s"
    columns = ["level", "a", "b", "SE", f"over {clusters}", "over seeds", "seeds", clusters, "effective", "MDE"]
    columns += ["SE over topics", "topics"] if by_topic else []
    caption = (
        f"Standard errors in {study.unit}, with their parts, √V1 and √V2. Effective: the equivalent number of equal "
        f"{clusters}. "
        "MDE: the difference found in 80 % of studies of this size."
        + (f" SE over topics: with topics in place of {clusters}." if by_topic else "")
    )
    return TextTable("Where the errors come from", columns, rows, "lll" + "r" * (len(columns) - 3), caption)


def _search_table(title: str, contrasts: pd.DataFrame, study: Study, caption: str) -> TextTable:
    rows = [
        (*_contrast_cells(row), p_value(row.p_adjusted), f"{row.clusters:,}", f"{row.effective_clusters:,.0f}")
        for row in contrasts.itertuples()
    ]
    columns = (*_contrast_columns(study), "p (BH)", "clusters", "effective")
    return TextTable(title, columns, rows, "lll" + "r" * (len(columns) - 3), caption)


def _baseline_table(table: pd.DataFrame) -> TextTable | None:
    if table.empty:
        return None
    wide = table.pivot_table(index="baseline", columns="level", values="perplexity", sort=False)
    rows = [(name, *_cells(row)) for name, row in wide.iterrows()]
    caption = (
        "Perplexity of the same masked tokens, read from left to right in the whole text: a baseline sees the answers "
        "of earlier blanks, and nothing that follows. base: the pretrained model; ngram: 5-grams of the training texts "
        "of a level, Witten-Bell interpolated."
    )
    columns = ("baseline", *wide.columns)
    return TextTable("Baselines that know no blanks", columns, rows, "l" + "r" * wide.shape[1], caption)


def _systems_table(table: pd.DataFrame) -> TextTable | None:
    if table.empty:
        return None
    wide = table.pivot_table(index="system", columns="level", values="perplexity", sort=False)
    differences = {
        row.system: (signed(row.difference_theta), _interval(row.difference_low, row.difference_high))
        for row in table[table["level"] == "all"].dropna(subset="difference_theta").itertuples()
    }
    rows = [(system, *_cells(row), *differences.get(system, ("", ""))) for system, row in wide.iterrows()]
    caption = (
        "Perplexity of whole answers with their ends. Mixture: all specialists, weighted by the probability that each "
        "gives the context; routing: the specialist that gives it the highest; oracle: the specialist of the text's "
        "level. Difference from the first row on all texts, in nats a token."
    )
    if not math.isnan(temperature := table["temperature"].max()):
        caption += f" Temperature of the mixture, fitted on validation texts: {temperature:.3g}."
    columns = ("system", *wide.columns, "difference", "95 % interval")
    return TextTable("With the level unknown, and known", columns, rows, "l" + "r" * (len(columns) - 1), caption)


def _cells(perplexities: pd.Series) -> list[str]:
    return ["" if math.isnan(value) else f"{value:.4g}" for value in perplexities]


def _specialisation_table(study: Study) -> TextTable:
    own = study.specialisation[study.specialisation["kind"] == study.headline]
    levels = list(dict.fromkeys(own["level"]))
    gains = {
        (row.model, row.level): signed(row.gain, 3) if row.level_distance else f"[{signed(row.gain, 3)}]"
        for row in own.itertuples()
    }
    rows = [(model, *(gains[(model, level)] for level in levels)) for model in dict.fromkeys(own["model"])]
    caption = (
        f"Descriptive, without a test. Gain in {study.unit}: minus the loss with the means of its row and column "
        "removed, so above 0 where a specialist is better than the two means predict; in brackets on its own level."
    )
    if len(own) and not math.isnan(correlation := own["correlation"].iloc[0]):
        rank = signed(correlation, 2)
        caption += f" Spearman's correlation of the gain with the nearness of the two levels, −|i − j|: {rank}."
    return TextTable("Specialisation", ("trained on", *levels), rows, "l" + "r" * len(levels), caption)


def _group_table(study: Study) -> TextTable:
    rows = [
        (
            *(row.level, row.grouping, row.group, row.a, row.b, signed(row.theta), _interval(row.low, row.high)),
            *(f"{row.targets:,}", f"{row.clusters:,}", f"{row.effective_clusters:,.0f}"),
        )
        for row in study.by_group.itertuples()
    ]
    targets = "tokens" if study.of_tokens else "characters"
    columns = ("level", "by", "group", "a", "b", "a − b", "95 % interval", targets, "clusters", "effective")
    caption = f"a − b in {study.unit}, within groups. Intervals only; none below 50 effective clusters."
    return TextTable("Within groups of texts and blanks", columns, rows, "lllllrrrrr", caption)


def _exposure_table(exposures: pd.DataFrame) -> TextTable:
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


def signed(value: float, digits: int = 4) -> str:
    """A difference with a true minus sign."""
    return f"{value:+.{digits}f}".replace("-", "−")


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{signed(low)} to {signed(high)}"
