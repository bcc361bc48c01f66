"""The condition of conditioned models in evaluation (`task.condition`).

`own`: each text's own values, where the model was trained on them; `none`: no prefix; a level: this one for all texts.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import pandas as pd

from ilm.errors import UserError
from ilm.examples.conditions import Conditions
from ilm.runs.trained_model import TrainedModel

OWN, NONE = "own", "none"
LEVEL = "cefr_level"


def value_overrides(fields: Collection[str], condition: str) -> dict[str, str | None]:
    """The values that replace a text's own in `fields`."""
    if condition in (OWN, NONE):
        return {} if condition == OWN else dict.fromkeys(fields)
    return {LEVEL: condition} if LEVEL in fields else {}


def prefix_values(
    known: Mapping[str, Sequence[str]], text: Mapping[str, str], condition: str = OWN
) -> dict[str, str | None]:
    """The values in the prefix of one text, given its own; `known` are the fields and values the model knows."""
    own = {field: text[field] for field, values in known.items() if text[field] in values}
    return own | value_overrides(known, condition)


def conditions_of(model: TrainedModel, documents: pd.DataFrame, condition: str = OWN) -> Conditions:
    """The conditions of documents under a conditioned model."""
    known = {field: documents[field].where(documents[field].isin(values)) for field, values in model.condition.items()}
    return Conditions.of([*known], pd.DataFrame(known), model.vocabulary, value_overrides(known, condition))


def require_condition(models: Iterable[TrainedModel], condition: str) -> None:
    """Raises: UserError if no model is conditioned on this level."""
    if condition in (OWN, NONE):
        return
    levels = dict.fromkeys(level for model in models for level in (model.condition or {}).get(LEVEL, []))
    if condition not in levels:
        known = f"levels of these models: {', '.join(levels)}" if levels else "no model here is conditioned on levels"
        raise UserError(f"task.condition={condition}: expected {OWN}, {NONE} or a level; {known}")
