"""Conditioning on metadata: a prefix line of plain words before each example.

    level: B1, first language: Portuguese
    She ate<|infill_ngram|> for<|infill_word|>.<|startofinfill|> leftover pasta<|endofinfill|> lunch<|endofinfill|>

Prefix tokens are not targets and do not count towards `max_length`; nor is the first token of the example a target, as
without a prefix nothing precedes it. So examples have the same cuts and targets under any condition. Training drops
fields from some prefixes (`left_out`), so that the model can also handle texts of unknown level. Unknown values, such
as an empty L1, are dropped too.

Legend: D documents, E examples.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from transformers import PreTrainedConfig

from ilm.config.infill import Decoding
from ilm.config.sections import CONDITIONS
from ilm.errors import UserError
from ilm.examples.vocabulary import Vocabulary
from ilm.hashing import order_keys

# Among this many consecutive examples of a document, one has no prefix, and each of several fields is dropped once.
LEFT_OUT_ONCE_IN = 10

# The setting of infill.py for each field that a model can be conditioned on.
SETTINGS = {"cefr_level": "level", "l1": "l1"}

Condition = Mapping[str, Sequence[str]]  # fields, and the values a model knows


def prefix_line(values: Mapping[str, str | None]) -> str:
    """The prefix line with the known values of `CONDITIONS`; empty if there are none."""
    known = [f"{words}: {values[field]}" for field, words in CONDITIONS.items() if values.get(field)]
    return ", ".join(known) + "\n" if known else ""


def prefix_tokens(values: Mapping[str, str | None], vocabulary: Vocabulary) -> tuple[int, ...]:
    """The token ids of `prefix_line`."""
    line = prefix_line(values)
    return tuple(vocabulary.encode(line)) if line else ()


def longest_prefix(condition: Mapping[str, Sequence[str]], vocabulary: Vocabulary) -> int:
    """Tokens of the longest line over all combinations of field values."""
    lines = (dict(zip(condition, values, strict=True)) for values in product(*condition.values()))
    return max((len(prefix_tokens(values, vocabulary)) for values in lines), default=0)


def stored_condition(config: PreTrainedConfig) -> dict[str, list[str]]:
    """The fields a model is conditioned on, with their known values; empty: unconditioned."""
    return getattr(config, "infilling_condition", None) or {}


def store_condition(config: PreTrainedConfig, condition: Mapping[str, Sequence[str]]) -> None:
    """Store the condition in the model's configuration."""
    if condition or stored_condition(config):  # replaces that of the initial model
        config.infilling_condition = {field: list(values) for field, values in condition.items()}


@dataclass(frozen=True, eq=False)
class Conditions:
    """The prefixes of D documents' examples: `prefixes[numbers[document, way]]`, token ids int32.

    `numbers`: int64 (D, ways). Way 0 has all fields, 1 none; with several fields, 2, 3, ... drop one each.
    `turns`: int64 (D,), shifts the cycle of ways over a document's examples; None: way 0 for all.
    """

    prefixes: tuple[np.ndarray, ...]
    numbers: np.ndarray
    turns: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        fields: Sequence[str],
        documents: pd.DataFrame,
        vocabulary: Vocabulary,
        instead: Mapping[str, str | None] | None = None,
    ) -> "Conditions":
        """Condition on `fields`, columns of `documents`; `instead` overrides their values (None: drop the field)."""
        instead = instead or {}
        values = pd.DataFrame({field: instead.get(field, documents[field]) for field in fields}, index=documents.index)
        combination, distinct = values.groupby(list(fields), dropna=False, sort=True).ngroup(), values.drop_duplicates()
        ways = [(), fields, *([[field] for field in fields] if len(fields) > 1 else [])]
        numbers: dict[tuple[int, ...], int] = {(): 0}
        table = np.zeros((int(combination.max()) + 1, len(ways)), dtype=np.int64)
        for row, values in zip(combination[distinct.index], distinct.to_dict("records"), strict=True):
            for way, left_out in enumerate(ways):
                known = {field: value for field, value in values.items() if field not in left_out and pd.notna(value)}
                table[row, way] = numbers.setdefault(prefix_tokens(known, vocabulary), len(numbers))
        return cls(tuple(np.array(ids, dtype=np.int32) for ids in numbers), table[combination.to_numpy()])

    def left_out(self, writing_ids: Sequence[str], seed: int) -> "Conditions":
        """For training: drop fields from some prefixes, as a pure function of (seed, writing_id, example).

        The examples of a document follow a cycle of `LEFT_OUT_ONCE_IN`, whose phase depends on (seed, writing_id).
        """
        key = order_keys(seed, "told")
        turns = np.array([key(writing_id) % LEFT_OUT_ONCE_IN for writing_id in writing_ids], dtype=np.int64)
        return Conditions(self.prefixes, self.numbers, turns)

    @property
    def longest(self) -> int:
        """Tokens of the longest line."""
        return max(map(len, self.prefixes))

    def of_examples(self, documents: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """The number in `prefixes` of each example, (E,), of its document and which of the document's masks it has."""
        if self.turns is None:
            return self.numbers[documents, 0]
        way = (self.turns[documents] + masks) % LEFT_OUT_ONCE_IN + 1
        return self.numbers[documents, np.where(way < self.numbers.shape[1], way, 0)]

    def lengths(self, documents: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Prefix tokens of each example, (E,)."""
        return np.array([len(ids) for ids in self.prefixes])[self.of_examples(documents, masks)]


def condition_prefix(condition: Condition, vocabulary: Vocabulary, decoding: Decoding) -> tuple[int, ...]:
    """The prefix tokens for the settings of `decoding`; a value of None is dropped.

    Raises: UserError if the model is not conditioned on a setting, or does not know its value.
    """
    of_fields = {field: getattr(decoding, setting) for field, setting in SETTINGS.items()}
    require_conditioned([condition], decoding)
    for field, value in of_fields.items():
        if value is not None and value not in condition[field]:
            raise UserError(f"{SETTINGS[field]}={value}: the model knows {', '.join(condition[field])}")
    return prefix_tokens(of_fields, vocabulary)


def known_settings(condition: Condition, decoding: Decoding) -> Decoding:
    """The settings without those that a model, beside conditioned ones, is not conditioned on."""
    unknown = [setting for field, setting in SETTINGS.items() if field not in condition]
    return decoding.model_copy(update=dict.fromkeys(unknown))


def require_conditioned(conditions: Collection[Condition], decoding: Decoding) -> None:
    """Raises: UserError for a setting of `decoding` that none of these models is conditioned on."""
    for field, setting in SETTINGS.items():
        value = getattr(decoding, setting)
        if value is not None and not any(field in condition for condition in conditions):
            raise UserError(
                f"{setting}={value}: needs a model conditioned on it. Choose one (python train.py "
                f"experiment=conditioned data.condition=[{field}]), or drop the setting"
            )
