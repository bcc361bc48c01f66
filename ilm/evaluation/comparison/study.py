"""The comparison of specialists with a generalist, from kept scores: matrix, contrasts, groups, specialisation.

1. `matrix`: the loss of every model on every level, with its error.
2. `contrasts`: specialist minus generalist on its own level (primary: five, Holm), specialists on other levels
   (exploratory, Benjamini-Hochberg) and the mean over the own levels (omnibus).
   Of two models that are no such pair, the first minus the second on every level is primary.
3. `by_group`: the primary contrasts within groups of texts and blanks; intervals only.
4. `specialisation`: log-perplexities without what a model and a level are like on the whole; descriptive.

A model here is a way of training: its runs differ in their seeds alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ilm.evaluation.comparison.contrasts import Contrast, PairedLosses, contrasts, omnibus
from ilm.evaluation.comparison.verdicts import benjamini_hochberg, verdicts
from ilm.evaluation.losses import Losses, Texts
from ilm.evaluation.statistics import holm

HEADLINE = "infill_textonly"
GENERALIST = "all"


@dataclass(frozen=True)
class Model:
    """Runs that differ in their seeds alone: `runs` are their rows among the R runs of the losses."""

    name: str
    level: str
    runs: tuple[int, ...]


@dataclass(frozen=True)
class Settings:
    """`smallest_effect` in nats a target; `resamples` of the bootstrap-t and its `seed`."""

    smallest_effect: float = 0.01
    resamples: int = 10_000
    seed: int = 0


@dataclass(frozen=True)
class Study:
    """The tables of a comparison; see the module."""

    matrix: pd.DataFrame
    contrasts: pd.DataFrame
    by_group: pd.DataFrame
    specialisation: pd.DataFrame

    def tested(self, *families: str, kind: str = HEADLINE) -> pd.DataFrame:
        """The contrasts of some families (primary, exploratory, omnibus) in one kind of loss."""
        chosen = self.contrasts["family"].isin(families) & (self.contrasts["kind"] == kind)
        return self.contrasts[chosen]


def compare(losses: Mapping[str, Losses], texts: Texts, models: Sequence[Model], settings: Settings) -> Study:
    """All tables for each kind of loss; contrasts need specialists and a generalist, or two models."""
    found = [_of_kind(kind, of_kind, texts, models, settings) for kind, of_kind in losses.items()]
    matrix, contrasted, by_group = (pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True))
    return Study(matrix, contrasted, by_group, specialisation(matrix, models, texts.levels))


def _of_kind(
    kind: str, losses: Losses, texts: Texts, models: Sequence[Model], settings: Settings
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    generalists = [model for model in models if model.level == GENERALIST]
    specialists = [model for model in models if model.level in texts.levels]
    pairs = [(specialist, generalist) for generalist in generalists for specialist in specialists]
    any_level = not pairs
    if any_level and len(models) == 2:
        pairs = [(models[0], models[1])]
    of_rows = texts.documents["cefr_level"].to_numpy()[losses.texts]
    matrix, tested, grouped = [], [], []
    for level in texts.levels:
        here = _Sums(losses, texts, of_rows == level)
        if not here.targets.any():
            continue
        found = here.contrasts([(model, None) for model in models] + pairs, settings)
        matrix += [{"model": m.name, "level": level} | _loss(c) for m, c in zip(models, found, strict=False)]
        tested += [
            (
                {
                    "family": "primary" if any_level or specialist.level == level else "exploratory",
                    "level": level,
                    "a": specialist.name,
                    "b": generalist.name,
                },
                contrast,
            )
            for (specialist, generalist), contrast in zip(pairs, found[len(models) :], strict=True)
        ]
        own = [pair for pair in pairs if any_level or pair[0].level == level]
        if kind == HEADLINE and own:
            grouped += _by_group(losses, texts, of_rows == level, level, own, settings)
    tested += [
        ({"family": "omnibus", "level": "all", "a": "specialists", "b": generalist.name}, overall)
        for generalist in generalists
        if (overall := _omnibus(losses, texts, of_rows, specialists, generalist, settings)) is not None
    ]
    columns = {"kind": kind}
    return (
        pd.DataFrame(matrix).assign(**columns),
        _tested(tested, settings.smallest_effect).assign(**columns),
        pd.DataFrame(grouped).assign(**columns),
    )


class _Sums:
    """NLL and targets of some rows by cluster."""

    def __init__(self, losses: Losses, texts: Texts, chosen: np.ndarray):
        self.nll, self.targets = losses.by_cluster(texts.clusters, chosen)

    def pair(self, a: Model, b: Model | None) -> PairedLosses:
        """The losses of a and b; of a and 0 for b None, which makes the contrast the loss of a."""
        of_a = self.nll[list(a.runs)]
        if b is None:
            return PairedLosses(of_a, np.zeros_like(of_a), self.targets, paired=True)
        return PairedLosses(of_a, self.nll[list(b.runs)], self.targets)

    def contrasts(self, pairs: Sequence[tuple[Model, Model | None]], settings: Settings) -> list[Contrast]:
        paired = [self.pair(a, b) for a, b in pairs]
        return contrasts(paired, resamples=settings.resamples, seed=settings.seed)


def _omnibus(
    losses: Losses,
    texts: Texts,
    of_rows: np.ndarray,
    specialists: Sequence[Model],
    generalist: Model,
    settings: Settings,
) -> Contrast | None:
    by_level = [_Sums(losses, texts, of_rows == s.level).pair(s, generalist) for s in specialists]
    if len({s.level for s in specialists}) < max(2, len(specialists)):
        return None
    return omnibus(by_level, resamples=settings.resamples, seed=settings.seed)


def _by_group(
    losses: Losses,
    texts: Texts,
    chosen: np.ndarray,
    level: str,
    pairs: Sequence[tuple[Model, Model]],
    settings: Settings,
) -> list[dict[str, Any]]:
    about, paired = [], []
    for grouping in losses.groups:
        of_rows = losses.groups[grouping]
        for group in of_rows[chosen].drop_duplicates().sort_values():
            sums = _Sums(losses, texts, chosen & (of_rows == group).to_numpy())
            if sums.targets.any():
                about += [
                    {"level": level, "grouping": grouping, "group": str(group), "a": a.name, "b": b.name}
                    for a, b in pairs
                ]
                paired += [sums.pair(a, b) for a, b in pairs]
    found = contrasts(paired, resamples=settings.resamples, seed=settings.seed)
    return [row | _difference(contrast) for row, contrast in zip(about, found, strict=True)]


def _loss(contrast: Contrast) -> dict[str, Any]:
    low, high = contrast.interval()
    return {
        "perplexity": math.exp(contrast.theta),
        "loss": contrast.theta,
        "standard_error": contrast.standard_error,
        "low": low,
        "high": high,
        **_sizes(contrast),
        "seeds": contrast.seeds[0],
    }


def _difference(contrast: Contrast) -> dict[str, Any]:
    low, high = contrast.interval()
    return {
        "theta": contrast.theta,
        "low": low,
        "high": high,
        "standard_error": contrast.standard_error,
        "perplexity_ratio": contrast.ratio,
        **_sizes(contrast),
        "v1": contrast.v1,
        "v2": contrast.v2,
        "seeds_a": contrast.seeds[0],
        "seeds_b": contrast.seeds[1],
        "one_seed": contrast.one_seed,
    }


def _sizes(contrast: Contrast) -> dict[str, Any]:
    return {
        "targets": contrast.targets,
        "clusters": contrast.clusters,
        "effective_clusters": contrast.effective_clusters,
    }


def _tested(tested: Sequence[tuple[dict[str, Any], Contrast]], smallest_effect: float) -> pd.DataFrame:
    """A row per contrast, its p adjusted within its family and generalist, and a verdict where it is primary."""
    rows = [
        about
        | _difference(contrast)
        | {
            "p": contrast.p_value(),
            "p_equivalence": contrast.equivalence_p_value(smallest_effect),
            "minimum_detectable_effect": contrast.minimum_detectable_effect(),
        }
        for about, contrast in tested
    ]
    if not rows:
        return pd.DataFrame(columns=["family", "level", "a", "b"])
    frame = pd.DataFrame(rows)
    frame["p_adjusted"], frame["verdict"] = frame["p"], ""
    for (family, _), members in frame.groupby(["family", "b"]):
        at = members.index
        if family == "exploratory":
            frame.loc[at, "p_adjusted"] = benjamini_hochberg(members["p"].to_numpy())
            continue
        frame.loc[at, "p_adjusted"] = holm(members["p"])
        frame.loc[at, "verdict"] = verdicts([tested[row][1] for row in at], smallest_effect)
    return frame


def specialisation(matrix: pd.DataFrame, models: Sequence[Model], levels: Sequence[str]) -> pd.DataFrame:
    """Log-perplexities without what a model and a level are like on the whole, a row per kind, model and level.

    `residual` is the loss less the means of its row and column, plus the mean of all: below 0 where a model is better
    on a level than the two would lead to expect. `level_distance` counts the levels between a specialist's own and the
    texts'; `correlation` is Spearman's, of the two over all specialists and levels.
    """
    trained_on, place = {model.name: model.level for model in models}, {level: k for k, level in enumerate(levels)}
    tables = []
    for kind, of_kind in matrix.groupby("kind", sort=False):
        wide = of_kind.pivot(index="model", columns="level", values="loss").reindex(list(trained_on))
        residual = wide.sub(wide.mean(axis=1), axis=0).sub(wide.mean(axis=0), axis=1) + wide.to_numpy().mean()
        rows = residual.stack().rename("residual").reset_index().assign(kind=kind)
        rows["level_distance"] = (rows["model"].map(trained_on).map(place) - rows["level"].map(place)).abs()
        of_specialists = rows.dropna(subset="level_distance")
        rows["correlation"] = (
            stats.spearmanr(of_specialists["level_distance"], of_specialists["residual"]).statistic
            if min(of_specialists["level_distance"].nunique(), of_specialists["residual"].nunique()) > 1
            else math.nan
        )
        tables.append(rows)
    return pd.concat(tables, ignore_index=True)
