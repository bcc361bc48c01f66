"""The comparison of specialists with a generalist, from kept scores: matrix, contrasts, groups, specialisation.

1. `matrix`: the loss of every model on every level, with its error.
2. `contrasts`, by family: specialist minus generalist on its own level (`primary`: five, Holm) and on other levels
   (`exploratory`, Benjamini-Hochberg), the mean over the own levels (`omnibus`), and those with controls (`control`,
   Benjamini-Hochberg). Two models that are not specialist and generalist have a primary contrast on every level.
3. `by_group`: the primary contrasts within groups of texts and blanks; intervals only.
4. `specialisation`: each loss without the means of its model and its level; descriptive.

A model here is a way of training: its runs differ only in their seeds. Losses are in nats a token, or in bits a
character if the runs have different tokenizers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ilm.evaluation.comparison.contrasts import (
    Contrast,
    PairedLosses,
    contrasts,
    omnibus,
    variance_of_texts,
    verdicts,
)
from ilm.evaluation.comparison.controls import BESIDE_GENERALIST, OTHER_CONDITION, SELECTION
from ilm.evaluation.comparison.records import ClusterSums, Model, difference_record, loss_record
from ilm.evaluation.losses import PER_CHARACTER, Losses, Texts
from ilm.evaluation.statistics import benjamini_hochberg, holm

HEADLINE = "infill_textonly"
GENERALIST = "all"
# The kinds of loss, as reports call them.
KINDS = {"context": "context", "infill": "infill", HEADLINE: "infill, text only", PER_CHARACTER: "answers"}


@dataclass(frozen=True)
class Study:
    """The tables of a comparison; see the module. Verdicts and figures are about the kind of loss `headline`."""

    headline: str
    matrix: pd.DataFrame
    contrasts: pd.DataFrame
    by_group: pd.DataFrame
    specialisation: pd.DataFrame

    @property
    def of_tokens(self) -> bool:
        """Whether losses are per token, so that there are perplexities, and not per character."""
        return self.headline != PER_CHARACTER

    @property
    def unit(self) -> str:
        return "nats a token" if self.of_tokens else "bits a character"

    def tested(self, *families: str) -> pd.DataFrame:
        """The contrasts of some families in the headline's kind of loss."""
        chosen = self.contrasts["family"].isin(families) & (self.contrasts["kind"] == self.headline)
        return self.contrasts[chosen]


def compare(
    losses: Mapping[str, Losses], texts: Texts, models: Sequence[Model], resamples: int, smallest_effect: float = 0.01
) -> Study:
    """All tables for each kind of loss. Contrasts need specialists and a generalist, or two models.

    `smallest_effect` is in the unit of the losses.
    """
    headline = HEADLINE if HEADLINE in losses else PER_CHARACTER
    generalists = [model for model in models if model.level == GENERALIST and model.control is None]
    specialists = [model for model in models if model.level in texts.levels and model.control is None]
    pairs = [(specialist, generalist) for generalist in generalists for specialist in specialists]
    any_level = not pairs and len(models) == 2
    if any_level:
        pairs = [(models[0], models[1])]
    matrix: list[dict[str, Any]] = []
    tested: list[tuple[dict[str, Any], Contrast]] = []
    by_group: list[dict[str, Any]] = []
    for kind, of_kind in losses.items():
        of_rows = texts.documents["cefr_level"].to_numpy()[of_kind.texts]
        for level in texts.levels:
            here = ClusterSums(of_kind, texts.clusters, of_rows == level)
            if not here.targets.any():
                continue
            all_pairs = [*pairs, *_control_pairs(level, specialists, generalists, models)]
            found = here.contrasts([*((model, None) for model in models), *all_pairs], resamples)
            for model, contrast in zip(models, found, strict=False):
                matrix.append({"kind": kind, "model": model.name, "level": level} | loss_record(contrast))
            by_topic = None if texts.topics is None else ClusterSums(of_kind, texts.topics, of_rows == level)
            for number, ((a, b), contrast) in enumerate(zip(all_pairs, found[len(models) :], strict=True)):
                own_level = any_level or a.level == level
                family = "control" if number >= len(pairs) else "primary" if own_level else "exploratory"
                about = {"kind": kind, "family": family, "level": level, "a": a.name, "b": b.name}
                tested.append((about | over_topics(contrast, [by_topic.pair(a, b)] if by_topic else None), contrast))
            if kind == headline:
                own = [pair for pair in pairs if any_level or pair[0].level == level]
                by_group += _by_group(of_kind, texts, of_rows == level, {"kind": kind, "level": level}, own, resamples)
        # The omnibus needs one specialist per level, and at least two levels.
        if len(specialists) == len({s.level for s in specialists}) >= 2:
            for generalist in generalists:
                about, contrast = _omnibus(of_kind, texts, of_rows, specialists, generalist, resamples)
                tested.append(({"kind": kind} | about, contrast))
    frames = [pd.DataFrame(matrix), _tested(tested, smallest_effect), pd.DataFrame(by_group)]
    if headline == PER_CHARACTER:
        frames = [frame.drop(columns=["perplexity", "perplexity_ratio"], errors="ignore") for frame in frames]
    losses_of_all, contrasted, grouped = frames
    trained_on = {specialist.name: specialist.level for specialist in specialists}
    return Study(headline, losses_of_all, contrasted, grouped, specialisation(losses_of_all, trained_on, texts.levels))


def _control_pairs(
    level: str, specialists: Sequence[Model], generalists: Sequence[Model], models: Sequence[Model]
) -> list[tuple[Model, Model]]:
    """The contrasts on a level that say where a difference comes from: specialist and control, or control and
    generalist.
    """
    there = [model for model in models if model.control is not None and model.like in (None, level)]
    own = [specialist for specialist in specialists if specialist.level == level]
    others = {SELECTION, OTHER_CONDITION, *BESIDE_GENERALIST}
    return [
        *((s, c) for s in own for c in there if c.control not in others),
        *((c, g) for g in generalists for c in there if c.control in BESIDE_GENERALIST),
        *((a, b) for a in there for b in there if b.control == OTHER_CONDITION and a.runs == b.parents),
    ]


def _omnibus(
    losses: Losses,
    texts: Texts,
    of_rows: np.ndarray,
    specialists: Sequence[Model],
    generalist: Model,
    resamples: int,
) -> tuple[dict[str, Any], Contrast]:
    def by_level(clusters: np.ndarray) -> list[PairedLosses]:
        return [ClusterSums(losses, clusters, of_rows == s.level).pair(s, generalist) for s in specialists]

    found = omnibus(by_level(texts.clusters), resamples=resamples)
    about = {"family": "omnibus", "level": "all", "a": "specialists", "b": generalist.name}
    return about | over_topics(found, None if texts.topics is None else by_level(texts.topics)), found


def over_topics(contrast: Contrast, by_topic: Sequence[PairedLosses] | None) -> dict[str, Any]:
    """The contrast's standard error with topics as its clusters; empty if no topics are known."""
    if by_topic is None:
        return {}
    v1, topics = variance_of_texts(by_topic)
    v2 = 0.0 if contrast.one_seed else contrast.v2
    return {"topics": topics, "standard_error_over_topics": math.sqrt(v1 + v2)}


def _by_group(
    losses: Losses,
    texts: Texts,
    chosen: np.ndarray,
    about: Mapping[str, Any],
    pairs: Sequence[tuple[Model, Model]],
    resamples: int,
) -> list[dict[str, Any]]:
    rows, paired = [], []
    for grouping in losses.groups:
        of_rows = losses.groups[grouping]
        for group in of_rows[chosen].drop_duplicates().sort_values():
            sums = ClusterSums(losses, texts.clusters, chosen & (of_rows == group).to_numpy())
            for a, b in pairs if sums.targets.any() else ():
                rows.append({**about, "grouping": grouping, "group": str(group), "a": a.name, "b": b.name})
                paired.append(sums.pair(a, b))
    found = contrasts(paired, resamples=resamples)
    return [row | difference_record(contrast) for row, contrast in zip(rows, found, strict=True)]


def _tested(tested: Sequence[tuple[dict[str, Any], Contrast]], smallest_effect: float) -> pd.DataFrame:
    """A row per contrast: its p adjusted within its kind, family and generalist, and a verdict if it is primary."""
    rows = [
        about
        | difference_record(contrast)
        | {
            "p": contrast.p_value(),
            "p_equivalence": contrast.equivalence_p_value(smallest_effect),
            "minimum_detectable_effect": contrast.minimum_detectable_effect(),
        }
        for about, contrast in tested
    ]
    if not rows:
        return pd.DataFrame(columns=["kind", "family", "level", "a", "b"])
    frame = pd.DataFrame(rows)
    frame["p_adjusted"], frame["verdict"] = frame["p"], ""
    # Each generalist has families of its own; the controls are one family.
    families = frame["b"].where(frame["family"] != "control", "")
    for (_, family, _), members in frame.groupby(["kind", "family", families]):
        at = members.index
        if family in ("exploratory", "control"):
            frame.loc[at, "p_adjusted"] = benjamini_hochberg(members["p"])
            continue
        frame.loc[at, "p_adjusted"] = holm(members["p"])
        frame.loc[at, "verdict"] = verdicts([tested[row][1] for row in at], smallest_effect)
    return frame


def specialisation(matrix: pd.DataFrame, trained_on: Mapping[str, str], levels: Sequence[str]) -> pd.DataFrame:
    """Is a specialist good on its own level beyond being a good model and the level being easy? Descriptive.

    A row per kind, model and level. `gain` is minus the loss with the means of its row and column removed, so above 0 a
    specialist is better on a level than the two means predict. `level_distance` counts the levels between its own and
    the texts'; `correlation` is Spearman's between the gain and minus that distance, so above 0 gains are larger
    nearby. `trained_on` maps specialists to their levels. Empty with fewer than two specialists or levels.
    """
    place = {level: k for k, level in enumerate(levels)}
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
