"""The comparison of specialists with a generalist, from kept scores: matrix, contrasts, groups, specialisation.

1. `matrix`: the loss of every model on every level, with its error.
2. `contrasts`: specialist minus generalist on its own level (primary: five, Holm), specialists on other levels
   (exploratory, Benjamini-Hochberg), the mean over the own levels (omnibus), and what the controls allow (control,
   Benjamini-Hochberg). Of two models that are no such pair, the first minus the second on every level is primary.
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

from ilm.evaluation.comparison.contrasts import Contrast, PairedLosses, contrasts, omnibus, variance_of_texts
from ilm.evaluation.comparison.controls import BESIDE_GENERALIST, SELECTION, TOLD_OTHERWISE
from ilm.evaluation.comparison.records import ClusterSums, Model, Settings, difference_record, loss_record
from ilm.evaluation.comparison.specialisation import specialisation
from ilm.evaluation.comparison.verdicts import benjamini_hochberg, verdicts
from ilm.evaluation.losses import PER_CHARACTER, Losses, Texts
from ilm.evaluation.statistics import holm

HEADLINE = "infill_textonly"
GENERALIST = "all"
# The kinds of loss, as people read them.
KINDS = {"context": "context", "infill": "infill", HEADLINE: "infill, text only", PER_CHARACTER: "answers"}


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
        """The contrasts of some families (see the module) in the headline's kind of loss."""
        chosen = self.contrasts["family"].isin(families) & (self.contrasts["kind"] == self.headline)
        return self.contrasts[chosen]


def compare(losses: Mapping[str, Losses], texts: Texts, models: Sequence[Model], settings: Settings) -> Study:
    """All tables for each kind of loss; contrasts need specialists and a generalist, or two models."""
    headline = HEADLINE if HEADLINE in losses else PER_CHARACTER
    found = [
        _of_kind(kind, of_kind, texts, models, settings, grouped=kind == headline) for kind, of_kind in losses.items()
    ]
    # Frames without rows know no types, and would make floats of all counts.
    matrix, contrasted, by_group = (
        pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
        for tables in zip(*found, strict=True)
    )
    specialists = {model.name: model.level for model in models if model.level in texts.levels and not model.control}
    return Study(headline, matrix, contrasted, by_group, specialisation(matrix, specialists, texts.levels))


def _of_kind(
    kind: str, losses: Losses, texts: Texts, models: Sequence[Model], settings: Settings, *, grouped: bool
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    generalists = [model for model in models if model.level == GENERALIST and model.control is None]
    specialists = [model for model in models if model.level in texts.levels and model.control is None]
    controls = [model for model in models if model.control is not None]
    pairs = [(specialist, generalist) for generalist in generalists for specialist in specialists]
    any_level = not pairs and len(models) == 2
    if any_level:
        pairs = [(models[0], models[1])]
    of_rows = texts.documents["cefr_level"].to_numpy()[losses.texts]
    matrix, tested, by_group = [], [], []
    for level in texts.levels:
        here = ClusterSums(losses, texts.clusters, of_rows == level)
        if not here.targets.any():
            continue
        beside = _pairs_of_controls(level, specialists, generalists, controls)
        found = here.contrasts([*((model, None) for model in models), *pairs, *beside], settings)
        matrix += [{"model": m.name, "level": level} | loss_record(c) for m, c in zip(models, found, strict=False)]
        by_topic = None if texts.topics is None else ClusterSums(losses, texts.topics, of_rows == level)
        for number, ((a, b), contrast) in enumerate(zip(pairs + beside, found[len(models) :], strict=True)):
            own_level = any_level or a.level == level
            family = "control" if number >= len(pairs) else "primary" if own_level else "exploratory"
            about = {"family": family, "level": level, "a": a.name, "b": b.name}
            tested.append((about | _over_topics(contrast, [by_topic.pair(a, b)] if by_topic else None), contrast))
        own = [pair for pair in pairs if any_level or pair[0].level == level]
        if grouped and own:
            by_group += _by_group(losses, texts, of_rows == level, level, own, settings)
    # The mean over the own levels is for one specialist a level, and two levels or more.
    if len(specialists) == len({s.level for s in specialists}) >= 2:
        tested += [_omnibus(losses, texts, of_rows, specialists, generalist, settings) for generalist in generalists]
    frames: tuple[pd.DataFrame, ...] = (
        pd.DataFrame(matrix),
        _tested(tested, settings.smallest_effect),
        pd.DataFrame(by_group),
    )
    if kind == PER_CHARACTER:
        frames = tuple(frame.drop(columns=["perplexity", "perplexity_ratio"], errors="ignore") for frame in frames)
    return tuple(frame.assign(kind=kind) for frame in frames)


def _pairs_of_controls(
    level: str, specialists: Sequence[Model], generalists: Sequence[Model], controls: Sequence[Model]
) -> list[tuple[Model, Model]]:
    """What is compared on a level to learn where a difference comes from: the specialist with controls, some of these
    with the generalist.
    """
    there = [control for control in controls if control.like in (None, level)]
    own = [specialist for specialist in specialists if specialist.level == level]
    others = {SELECTION, TOLD_OTHERWISE, *BESIDE_GENERALIST}
    return [
        *((s, c) for s in own for c in there if c.control not in others),
        *((c, g) for g in generalists for c in there if c.control in BESIDE_GENERALIST),
        *((a, b) for a in there for b in there if b.control == TOLD_OTHERWISE and a.runs == b.parents),
    ]


def _omnibus(
    losses: Losses,
    texts: Texts,
    of_rows: np.ndarray,
    specialists: Sequence[Model],
    generalist: Model,
    settings: Settings,
) -> tuple[dict[str, Any], Contrast]:
    def by_level(clusters: np.ndarray) -> list[PairedLosses]:
        return [ClusterSums(losses, clusters, of_rows == s.level).pair(s, generalist) for s in specialists]

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
            sums = ClusterSums(losses, texts.clusters, chosen & (of_rows == group).to_numpy())
            if sums.targets.any():
                about += [
                    {"level": level, "grouping": grouping, "group": str(group), "a": a.name, "b": b.name}
                    for a, b in pairs
                ]
                paired += [sums.pair(a, b) for a, b in pairs]
    found = contrasts(paired, resamples=settings.resamples, seed=settings.seed)
    return [row | difference_record(contrast) for row, contrast in zip(about, found, strict=True)]


def _tested(tested: Sequence[tuple[dict[str, Any], Contrast]], smallest_effect: float) -> pd.DataFrame:
    """A row per contrast, its p adjusted within its family and generalist, and a verdict where it is primary."""
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
        return pd.DataFrame(columns=["family", "level", "a", "b"])
    frame = pd.DataFrame(rows)
    frame["p_adjusted"], frame["verdict"] = frame["p"], ""
    # A generalist has a family of its own; the controls are one.
    families = frame["b"].where(frame["family"] != "control", "")
    for (family, _), members in frame.groupby([frame["family"], families]):
        at = members.index
        if family in ("exploratory", "control"):
            frame.loc[at, "p_adjusted"] = benjamini_hochberg(members["p"].to_numpy())
            continue
        frame.loc[at, "p_adjusted"] = holm(members["p"])
        frame.loc[at, "verdict"] = verdicts([tested[row][1] for row in at], smallest_effect)
    return frame
