"""What else a specialist and a generalist differ in than the level: controls, and the training data of each model.

A control differs from the specialist, or from the generalist, in one thing only:

| control | what it shares with the specialist of a level | so a difference comes from |
|---|---|---|
| token-matched | the number of targets | the level, and how often its few texts are repeated |
| random subset | the number of targets, of texts and of steps | the level alone |
| balanced | (sees every level equally often) | the level, not its share of the texts |
| conditioned | the level, given in a prefix | separate training, beyond knowing the level |
| fine-tuned | its training, after the generalist's | (against the generalist) the level's texts once more |
| average | its weights, averaged with those of all levels | (against the generalist) averaging alone |
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from ilm.runs.trained_model import TrainedModel

# How to train each of those that a study should have.
CONTROLS = {
    "token-matched": "experiment=token_matched match=LEVEL",
    "random subset": "experiment=random_subset data.like=LEVEL",
    "balanced": "experiment=balanced_generalist",
    "conditioned": "experiment=conditioned",
    "fine-tuned": "experiment=finetuned_generalist cefr=LEVEL",
    "average": "experiment=weight_average",
}
# A conditioned model without its condition, or with another level than the text's.
OTHER_CONDITION = "other condition"
# Trained on a selection of texts (data.only): neither a specialist nor a generalist nor a control.
SELECTION = "selection"
# Those of one level, and those that are compared with the generalist instead of the specialist.
OF_ONE_LEVEL = {"token-matched", "random subset", "fine-tuned"}
BESIDE_GENERALIST = {"fine-tuned", "average"}

# Numbers of targets within this share of each other count as equal.
TOLERANCE = 0.05
COMPUTE_MATCHED, LEVEL_MATCHED, NOT_MATCHED = "compute matched", "own-level matched", "not matched"


def control_of(run: TrainedModel, runs: Sequence[TrainedModel]) -> tuple[str | None, str | None]:
    """(Which control a run is, None for none; the level that it is a control for, None for all).

    `runs` are all those compared: the specialist that it was matched with is looked for among them.
    """
    folder, settings = run.trained()
    if settings.data.only is not None:
        return SELECTION, None
    if settings.data.like is not None:
        return "random subset", settings.data.like
    if settings.match is not None:
        matched = folder.status["matched"]["run"]
        return "token-matched", next((other.level for other in runs if other.name == matched), settings.match)
    if settings.init_from is not None:
        return ("fine-tuned", run.level) if len(settings.init_from) == 1 else ("average", None)
    if settings.data.condition is not None:
        return "conditioned", None
    return ("balanced", None) if settings.data.levels_drawn == "equally" else (None, None)


def missing_controls(present: Sequence[tuple[str | None, str | None]], levels: Sequence[str]) -> dict[str, list[str]]:
    """The missing controls, each with the levels that lack it; no levels for one that is for all levels."""
    found: dict[str, list[str]] = {}
    for control in CONTROLS:
        if control in OF_ONE_LEVEL:
            without = [level for level in levels if (control, level) not in present]
            found |= {control: without} if without else {}
        elif (control, None) not in present:
            found[control] = []
    return found


def exposure(seen: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]]) -> pd.DataFrame:
    """A row per model and level: the `context` and `infill` targets of the level that its training has seen.

    `seen` has those of each run of a model, by kind and level; runs are averaged.
    """
    runs = [pd.DataFrame(of_run).assign(model=model) for model, of_model in seen.items() for of_run in of_model]
    by_level = pd.concat(runs).rename_axis("level").groupby(["model", "level"], sort=False)
    table = by_level[["context", "infill"]].mean().reset_index()
    return table[table.groupby("level")["context"].transform("sum") > 0]  # levels that the corpus has


def matched(exposures: pd.DataFrame, contrasts: pd.DataFrame) -> list[str]:
    """How the training of each pair (a, b) of `contrasts` compares on the level tested, in infill targets.

    `own-level matched`: both have seen equally many of this level; `compute matched`: equally many in all; else `not
    matched`. Empty if the training of either is unknown.
    """
    by_level = exposures.set_index(["model", "level"])["infill"]
    totals = exposures.groupby("model")["infill"].sum()
    labels = []
    for a, b, level in contrasts[["a", "b", "level"]].itertuples(index=False):
        if a not in totals or b not in totals:
            labels.append("")
        elif _equal(by_level.get((a, level), 0), by_level.get((b, level), 0)):
            labels.append(LEVEL_MATCHED)
        else:
            labels.append(COMPUTE_MATCHED if _equal(totals[a], totals[b]) else NOT_MATCHED)
    return labels


def _equal(a: float, b: float) -> bool:
    return abs(a - b) <= TOLERANCE * max(a, b)
