"""Conditions for infilling: the settings `level` and `l1`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.examples.conditions import told_tokens
from ilm.examples.vocabulary import Vocabulary

# The setting for each field that a model can be conditioned on.
SETTINGS = {"cefr_level": "level", "l1": "l1"}

Condition = Mapping[str, Sequence[str]]  # fields, and the values a model knows


def tokens_told(condition: Condition, vocabulary: Vocabulary, told: Mapping[str, str | None]) -> tuple[int, ...]:
    """The prefix tokens for `told`, by setting; a value of None is dropped.

    Raises: UserError if the model is not conditioned on a setting, or does not know its value.
    """
    of_fields = {field: told.get(setting) for field, setting in SETTINGS.items()}
    require_told([condition], told)
    for field, value in of_fields.items():
        if value is not None and value not in condition[field]:
            raise UserError(f"{SETTINGS[field]}={value}: the model knows {', '.join(condition[field])}")
    return told_tokens(of_fields, vocabulary)


def told_to(condition: Condition, decoding: Decoding) -> dict[str, Any]:
    """The settings that a model can be told: beside a conditioned model others are asked too, and told nothing."""
    return {setting: getattr(decoding, setting) for field, setting in SETTINGS.items() if field in condition}


def require_told(conditions: Iterable[Condition], told: Mapping[str, str | None]) -> None:
    """Raises: UserError for a setting in `told` that none of these models is conditioned on."""
    for field, setting in SETTINGS.items():
        if (value := told.get(setting)) is not None and not any(field in condition for condition in conditions):
            raise UserError(
                f"{setting}={value}: needs a model conditioned on it. Choose one (python train.py "
                f"experiment=conditioned data.condition=[{field}]), or drop the setting"
            )
