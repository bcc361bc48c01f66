"""A row per text, joined by writing_id: its losses under each model in nats per token, whole, by thirds and mask types.

Every table that comes in is taken by writing_id, never by position.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ilm.evaluation.scores import Scores

LOG_TOKENS = "log_tokens"


def per_token(scores: Scores) -> pd.Series:
    """The loss of each text, its end among it, in nats per token; NaN for a text of which nothing is scored."""
    sums = scores.blanks.groupby("writing_id")[["nll", "targets", "end_nll", "end_targets"]].sum()
    return (sums["nll"] + sums["end_nll"]) / (sums["targets"] + sums["end_targets"]).replace(0, np.nan)


def by_third(scores: Scores) -> pd.DataFrame:
    """The loss of the tokens of each third of a text; columns third1 to third3."""
    blanks = scores.blanks
    values = blanks["nll"] / blanks["targets"].replace(0, np.nan)
    wide = values.groupby([blanks["writing_id"], blanks["blank"]]).first().unstack()
    return wide.rename(columns=lambda third: f"third{third + 1}")


def by_mask_type(scores: Scores) -> pd.DataFrame:
    """The loss of answers without their ends, over all masks of a text; a column per mask type."""
    blanks = scores.blanks
    sums = blanks.groupby(["writing_id", blanks["mask_type"].astype(str)])[["nll", "targets"]].sum()
    return (sums["nll"] / sums["targets"].replace(0, np.nan)).unstack()


def features_of(
    documents: pd.DataFrame,
    scores: Mapping[str, Sequence[Scores]],
    masked: Mapping[str, Sequence[Scores]],
) -> pd.DataFrame:
    """A row per document, indexed by writing_id in the order of `documents`.

    `scores` has those of each model, of all its seeds, whose mean is taken; `masked` those of masked texts. Columns:
    tokens, log_tokens, and `MODEL` in nats per token, `MODEL_third1` to 3, `MODEL_MASKTYPE`.
    """
    index = pd.Index(documents["writing_id"], name="writing_id")
    first = next(iter(scores.values()))[0]
    tokens = first.examples.set_index("writing_id")["tokens"].reindex(index)
    columns = {"tokens": tokens, LOG_TOKENS: np.log(tokens.where(tokens > 0))}
    for model, seeds in scores.items():
        columns[model] = _mean([per_token(of_seed).reindex(index) for of_seed in seeds])
    for model, seeds in scores.items():
        thirds = _mean([by_third(of_seed).reindex(index) for of_seed in seeds])
        columns |= {f"{model}_{third}": thirds[third] for third in thirds}
    for model, seeds in masked.items():
        types = _mean([by_mask_type(of_seed).reindex(index) for of_seed in seeds])
        columns |= {f"{model}_{mask_type}": types[mask_type] for mask_type in types}
    return pd.DataFrame(columns, index=index)


def _mean(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return sum(tables[1:], start=tables[0]) / len(tables)
