"""Selects texts by column values: a first language, a topic, or any kept column."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from ilm.config.section import shown
from ilm.errors import UserError

# Columns that define no group of texts.
NOT_GROUPS = ("writing_id", "text", "split")
VALUES_NAMED = 20  # most frequent values listed when an unknown one was asked for


class Documents(Protocol):
    """Texts with a name for what is made of them: those of a prepared corpus, or others."""

    @property
    def documents(self) -> pd.DataFrame: ...

    @property
    def documents_hash(self) -> str: ...


def having(documents: pd.DataFrame, only: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Boolean mask of the documents that have one of the given values in every column of `only`.

    Raises: UserError if there is no such column or value.
    """
    columns = [name for name in documents if name not in NOT_GROUPS]
    chosen = np.ones(len(documents), dtype=bool)
    for column, values in only.items():
        typed = f"only={shown({column: list(values)})}"
        if column not in columns:
            raise UserError(f"{typed}: the corpus has no such column, but {', '.join(columns)}")
        counts = documents[column].value_counts()
        if unknown := [value for value in values if value not in counts.index]:
            named = ", ".join(counts.index[:VALUES_NAMED]) + (", ..." if len(counts) > VALUES_NAMED else "")
            raise UserError(f"{typed}: no text has {column} {', '.join(unknown)}. There are {named}")
        chosen &= documents[column].isin(values).to_numpy()
    return chosen
