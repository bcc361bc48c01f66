"""Is a specialist good on its own level beyond being a good model, and the level an easy one? Descriptive."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from scipy import stats


def specialisation(matrix: pd.DataFrame, trained_on: Mapping[str, str], levels: Sequence[str]) -> pd.DataFrame:
    """What each specialist gains on each level beyond what it and the level are like; a row per kind, model, level.

    `gain` is the loss with the means of its row and column removed, the sign turned: above 0 where a specialist is
    better on a level than both would lead to expect. `level_distance` counts the levels from its own to the texts';
    `correlation` is Spearman's between the gain and minus that distance: above 0 where gains are larger nearby.
    `trained_on` maps the specialists to their levels. Empty with fewer than two specialists or levels.
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
