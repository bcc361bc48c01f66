"""Conditions for infilling: the settings `level` and `l1`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.examples.conditions import prefix_tokens
from ilm.examples.vocabulary import Vocabulary

# The setting for each field that a model can be conditioned on.
SETTINGS = {"cefr_level": "level", "l1": "l1"}

Condition = Mapping[str, Sequence[str]]  # fields, and the values a model knows


def condition_prefix(condition: Condition, vocabulary: Vocabulary, values: Mapping[str, str | None]) -> tuple[int, ...]:
    """The prefix tokens for `values`, by setting; a value of None is dropped.

    Raises: UserError if the model is not conditioned on a setting, or does not know its value.
    """
    of_fields = {field: values.get(setting) for field, setting in SETTINGS.items()}
    require_conditioned([condition], values)
    for field, value in of_fields.items():
        if value is not None and value not in condition[field]:
            raise UserError(f"{SETTINGS[field]}={value}: the model knows {', '.join(condition[field])}")
    return prefix_tokens(of_fields, vocabulary)


def known_settings(condition: Condition, decoding: Decoding) -> dict[str, Any]:
    """The settings that a model is conditioned on; unconditioned models beside it get none."""
    return {setting: getattr(decoding, setting) for field, setting in SETTINGS.items() if field in condition}


def require_conditioned(conditions: Iterable[Condition], values: Mapping[str, str | None]) -> None:
    """Raises: UserError for a setting in `values` that none of these models is conditioned on."""
    for field, setting in SETTINGS.items():
        if (value := values.get(setting)) is not None and not any(field in condition for condition in conditions):
            raise UserError(
                f"{setting}={value}: needs a model conditioned on it. Choose one (python train.py "
                f"experiment=conditioned data.condition=[{field}]), or drop the setting"
            )
