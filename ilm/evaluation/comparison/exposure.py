"""What the models compared were trained on: a difference between them may come from more data, not from other data."""

from collections.abc import Mapping, Sequence

import pandas as pd

# Numbers of targets within so much of each other are called equal.
TOLERANCE = 0.05
COMPUTE_MATCHED, LEVEL_MATCHED, NOT_MATCHED = "compute matched", "own-level matched", "not matched"


def exposure(seen: Mapping[str, Mapping[str, Mapping[str, float]]]) -> pd.DataFrame:
    """A row per model and level: the `context` and `infill` targets of the level that its training has seen.

    `seen` maps models to kinds to levels to targets, means over the model's seeds.
    """
    rows = [
        {"model": model, "level": level, **{kind: by_level[level] for kind, by_level in kinds.items()}}
        for model, kinds in seen.items()
        for level in next(iter(kinds.values()))
    ]
    return pd.DataFrame(rows, columns=["model", "level", "context", "infill"])


def matched(exposures: pd.DataFrame, pairs: Sequence[tuple[str, str]], levels: Sequence[str]) -> list[str]:
    """How the training of each pair (a, b) compares on the level tested, in infill targets.

    `own-level matched`: both have seen as many of this level; `compute matched`: as many in all; else `not matched`.
    Empty for a model of unknown training.
    """
    by_level = exposures.set_index(["model", "level"])["infill"]
    totals = exposures.groupby("model")["infill"].sum()
    labels = []
    for (a, b), level in zip(pairs, levels, strict=True):
        if a not in totals or b not in totals:
            labels.append("")
        elif _equal(by_level.get((a, level), 0), by_level.get((b, level), 0)):
            labels.append(LEVEL_MATCHED)
        else:
            labels.append(COMPUTE_MATCHED if _equal(totals[a], totals[b]) else NOT_MATCHED)
    return labels


def _equal(a: float, b: float) -> bool:
    return abs(a - b) <= TOLERANCE * max(a, b)
