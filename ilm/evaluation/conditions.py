"""What conditioned models are told of the texts that they are evaluated on (`task.condition`).

`own` tells each text's own values, as far as the model was trained on them; `none` tells nothing; a level tells that
all texts are of this level.
"""

from collections.abc import Collection, Iterable

import pandas as pd

from ilm.errors import UserError
from ilm.examples.conditions import Conditions
from ilm.runs.trained_model import TrainedModel

OWN, NONE = "own", "none"
LEVEL = "cefr_level"


def told_instead(fields: Collection[str], condition: str) -> dict[str, str | None]:
    """What is told in place of a text's own values of `fields`."""
    if condition in (OWN, NONE):
        return {} if condition == OWN else dict.fromkeys(fields)
    return {LEVEL: condition} if LEVEL in fields else {}


def told_conditions(model: TrainedModel, documents: pd.DataFrame, condition: str = OWN) -> Conditions:
    """What a conditioned model is told of documents."""
    known = {field: documents[field].where(documents[field].isin(values)) for field, values in model.condition.items()}
    return Conditions.of([*known], pd.DataFrame(known), model.vocabulary, told_instead(known, condition))


def require_condition(models: Iterable[TrainedModel], condition: str) -> None:
    """Raises: UserError if no model can be told this level."""
    if condition in (OWN, NONE):
        return
    told = [model.condition for model in models if model.condition]
    levels = dict.fromkeys(level for of_model in told for level in of_model.get(LEVEL, []))
    if condition not in levels:
        known = f"levels that these models know: {', '.join(levels)}" if levels else "no model here is told a level"
        raise UserError(f"task.condition={condition}: expected {OWN}, {NONE} or a level; {known}")
