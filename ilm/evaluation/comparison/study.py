"""The comparison of specialists with a generalist, from kept scores: matrix, contrasts, groups, specialisation.

1. `matrix`: the loss of every model on every level, with its error.
2. `contrasts`: specialist minus generalist on its own level (primary: five, Holm), specialists on other levels
   (exploratory, Benjamini-Hochberg) and the mean over the own levels (omnibus).
   Of two models that are no such pair, the first minus the second on every level is primary.
3. `by_group`: the primary contrasts within groups of texts and blanks; intervals only.
4. `specialisation`: losses without what a specialist and a level are like on the whole; descriptive.

A model here is a way of training: its runs differ in their seeds alone. Losses are in nats a token; in bits a
character where the runs have different tokenizers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ilm.evaluation.comparison.contrasts import Contrast, PairedLosses, contrasts, omnibus, variance_of_texts
from ilm.evaluation.comparison.verdicts import benjamini_hochberg, verdicts
from ilm.evaluation.losses import PER_CHARACTER, Losses, Texts
from ilm.evaluation.statistics import holm

HEADLINE = "infill_textonly"
GENERALIST = "all"
# The kinds of loss, as people read them.
KINDS = {"context": "context", "infill": "infill", HEADLINE: "infill, text only", PER_CHARACTER: "answers"}


@dataclass(frozen=True)
class Model:
    """Runs that differ in their seeds alone: `runs` are their rows among the R runs of the losses.

    `parents` are the rows of the runs that each of them started from (`init_from`), where all of those are compared.
    """

    name: str
    level: str
    runs: tuple[int, ...]
    parents: tuple[int, ...] = ()

    def paired_with(self, other: "Model") -> tuple[int, ...]:
        """The runs of `other` that belong to those of this model, in their order; none where they share no ancestor."""
        own, others = self.parents or self.runs, dict(zip(other.parents or other.runs, other.runs, strict=True))
        return tuple(others[run] for run in own) if set(own) == set(others) and len(own) == len(others) else ()


@dataclass(frozen=True)
class Settings:
    """`smallest_effect` in the unit of the losses; `resamples` of the bootstrap-t and its `seed`."""

    smallest_effect: float = 0.01
    resamples: int = 10_000
    seed: int = 0


@dataclass(frozen=True)
class Study:
    """The tables of a comparison; see the module. `headline` is the kind of loss that verdicts and figures are of."""

    headline: str
    matrix: pd.DataFrame
    contrasts: pd.DataFrame
    by_group: pd.DataFrame
    specialisation: pd.DataFrame

    @property
    def of_tokens(self) -> bool:
        """Whether losses are of tokens, which have perplexities, and not of characters."""
        return self.headline != PER_CHARACTER

    @property
    def unit(self) -> str:
        return "nats a token" if self.of_tokens else "bits a character"

    def tested(self, *families: str) -> pd.DataFrame:
        """The contrasts of some families (primary, exploratory, omnibus) in the headline's kind of loss."""
        chosen = self.contrasts["family"].isin(families) & (self.contrasts["kind"] == self.headline)
        return self.contrasts[chosen]


def compare(losses: Mapping[str, Losses], texts: Texts, models: Sequence[Model], settings: Settings) -> Study:
    """All tables for each kind of loss; contrasts need specialists and a generalist, or two models."""
    headline = HEADLINE if HEADLINE in losses else PER_CHARACTER
    found = [
        _of_kind(kind, of_kind, texts, models, settings, grouped=kind == headline) for kind, of_kind in losses.items()
    ]
    matrix, contrasted, by_group = (pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True))
    return Study(headline, matrix, contrasted, by_group, specialisation(matrix, models, texts.levels))


def _of_kind(
    kind: str, losses: Losses, texts: Texts, models: Sequence[Model], settings: Settings, *, grouped: bool
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    generalists = [model for model in models if model.level == GENERALIST]
    specialists = [model for model in models if model.level in texts.levels]
    pairs = [(specialist, generalist) for generalist in generalists for specialist in specialists]
    any_level = not pairs and len(models) == 2
    if any_level:
        pairs = [(models[0], models[1])]
    of_rows = texts.documents["cefr_level"].to_numpy()[losses.texts]
    matrix, tested, by_group = [], [], []
    for level in texts.levels:
        here = _Sums(losses, texts.clusters, of_rows == level)
        if not here.targets.any():
            continue
        found = here.contrasts([(model, None) for model in models] + pairs, settings)
        matrix += [{"model": m.name, "level": level} | _loss(c) for m, c in zip(models, found, strict=False)]
        by_topic = None if texts.topics is None else _Sums(losses, texts.topics, of_rows == level)
        for (a, b), contrast in zip(pairs, found[len(models) :], strict=True):
            family = "primary" if any_level or a.level == level else "exploratory"
            about = {"family": family, "level": level, "a": a.name, "b": b.name}
            tested.append((about | _over_topics(contrast, [by_topic.pair(a, b)] if by_topic else None), contrast))
        own = [pair for pair in pairs if any_level or pair[0].level == level]
        if grouped and own:
            by_group += _by_group(losses, texts, of_rows == level, level, own, settings)
    # The mean over the own levels is for one specialist a level, and two levels or more.
    if len(specialists) == len({s.level for s in specialists}) >= 2:
        tested += [_omnibus(losses, texts, of_rows, specialists, generalist, settings) for generalist in generalists]
    frames = (pd.DataFrame(matrix), _tested(tested, settings.smallest_effect), pd.DataFrame(by_group))
    if kind == PER_CHARACTER:
        frames = (frame.drop(columns=["perplexity", "perplexity_ratio"], errors="ignore") for frame in frames)
    return tuple(frame.assign(kind=kind) for frame in frames)


class _Sums:
    """NLL and targets of some rows by cluster."""

    def __init__(self, losses: Losses, clusters: np.ndarray, chosen: np.ndarray):
        self.nll, self.targets = losses.by_cluster(clusters, chosen)

    def pair(self, a: Model, b: Model | None) -> PairedLosses:
        """The losses of a and b; of a and 0 for b None, which makes the contrast the loss of a."""
        of_a = self.nll[list(a.runs)]
        if b is None:
            return PairedLosses(of_a, np.zeros_like(of_a), self.targets, paired=True)
        paired = a.paired_with(b)
        return PairedLosses(of_a, self.nll[list(paired or b.runs)], self.targets, bool(paired))

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
) -> tuple[dict[str, Any], Contrast]:
    def by_level(clusters: np.ndarray) -> list[PairedLosses]:
        return [_Sums(losses, clusters, of_rows == s.level).pair(s, generalist) for s in specialists]

    found = omnibus(by_level(texts.clusters), resamples=settings.resamples, seed=settings.seed)
    about = {"family": "omnibus", "level": "all", "a": "specialists", "b": generalist.name}
    return about | _over_topics(found, None if texts.topics is None else by_level(texts.topics)), found


def _over_topics(contrast: Contrast, by_topic: Sequence[PairedLosses] | None) -> dict[str, Any]:
    """How far the contrast is from certain if topics and not clusters are what varies; empty where none is known."""
    if by_topic is None:
        return {}
    v1, topics = variance_of_texts(by_topic)
    v2 = 0.0 if contrast.one_seed else contrast.v2
    return {"topics": topics, "standard_error_over_topics": math.sqrt(v1 + v2)}


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
            sums = _Sums(losses, texts.clusters, chosen & (of_rows == group).to_numpy())
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
    """What each specialist gains on each level beyond what it and the level are like; a row per kind, model, level.

    `gain` is the loss with the means of its row and column removed, the sign turned: above 0 where a specialist is
    better on a level than both would lead to expect. `level_distance` counts the levels from its own to the texts';
    `correlation` is Spearman's between the gain and minus that distance: above 0 where gains are larger nearby.
    Empty with fewer than two specialists or levels.
    """
    place = {level: k for k, level in enumerate(levels)}
    trained_on = {model.name: model.level for model in models if model.level in place}
    tables = []
    for kind, of_kind in matrix[matrix["model"].isin(trained_on)].groupby("kind", sort=False):
        loss = of_kind.pivot(index="model", columns="level", values="loss").reindex(list(trained_on))
        if min(loss.shape) < 2:
            continue
        gain = loss.mean(axis=1).to_numpy()[:, None] + loss.mean(axis=0).to_numpy() - loss - loss.to_numpy().mean()
        rows = gain.stack().rename("gain").reset_index().assign(kind=kind)
        rows["level_distance"] = (rows["model"].map(trained_on).map(place) - rows["level"].map(place)).abs()
        varies = min(rows["level_distance"].nunique(), rows["gain"].nunique()) > 1
        rank = stats.spearmanr(rows["gain"], -rows["level_distance"]).statistic if varies else math.nan
        tables.append(rows.assign(correlation=rank))
    columns = ["model", "level", "gain", "kind", "level_distance", "correlation"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
