"""A smaller corpus with the composition of the whole one."""

from collections.abc import Mapping
from typing import TypeVar

import pandas as pd

from ilm.hashing import order_key

Name = TypeVar("Name", str, int)


def apportion(seats: int, sizes: Mapping[Name, int]) -> dict[Name, int]:
    """Share `seats` over cells in proportion to their sizes, by largest remainder; ties go to the first name.

    Uses integer arithmetic. No cell gets more than its size if `seats` is at most the sum of the sizes.
    """
    total = sum(sizes.values())
    if total == 0:
        return dict.fromkeys(sizes, 0)
    shares = {name: seats * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(seats * sizes[name] % total), name))
    for name in by_remainder[: seats - sum(shares.values())]:
        shares[name] += 1
    return shares


def level_quotas(size: int, counts: Mapping[str, int]) -> dict[str, int]:
    """Documents to draw from each level: its share of `size`, rounded down but at least one.

    The sum differs from `size` by less than the number of levels.
    """
    total = sum(counts.values())
    return {level: max(1, size * count // total) for level, count in counts.items() if count}


def stratified_sample(documents: pd.DataFrame, size: int, seed: int) -> pd.DataFrame:
    """Draw about `size` documents, stratified by level and L1 and sorted by `writing_id`; all if there are fewer.

    Levels get `level_quotas`; the L1s of a level share its quota by largest remainder; a cell takes the documents
    with the smallest `order_key(seed, "sample", writing_id)`. The order of the input does not matter.
    """
    ordered = documents.sort_values("writing_id", ignore_index=True)
    if size >= len(ordered):
        return ordered
    quotas = level_quotas(size, ordered["cefr_level"].value_counts().to_dict())
    chosen: list[int] = []
    for level, of_level in ordered[["cefr_level", "l1", "writing_id"]].groupby("cefr_level"):
        shares = apportion(quotas[level], of_level["l1"].value_counts().to_dict())
        for l1, ids in of_level.groupby("l1")["writing_id"]:
            keys = [(order_key(seed, "sample", writing_id), writing_id, row) for row, writing_id in ids.items()]
            chosen += [row for _, _, row in sorted(keys)[: shares[l1]]]
    return ordered.iloc[sorted(chosen)].reset_index(drop=True)
