"""What a conditioned model is told of a text: a line of ordinary words, whose tokens stand before the example.

    level: B1, first language: Portuguese
    She ate<|infill_ngram|> for<|infill_word|>.<|startofinfill|> leftover pasta<|endofinfill|> lunch<|endofinfill|>

Its tokens are no targets, and nor is then the first token of the example, which has nothing before it in a model that
is told nothing; and they do not count in `max_length`. So examples are cut alike, and have the same targets, whatever
is told. In training some examples are told less (`left_out`), so that a model knows texts of unknown level too. A value
that is not known, such as an empty L1, is left out as well.

Legend: D documents, E examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from transformers import PreTrainedConfig

from ilm.config.sections import CONDITIONS
from ilm.examples.vocabulary import Vocabulary
from ilm.hashing import order_keys

# Of so many examples of a document in a row one is told nothing, and of several fields each is left out once.
LEFT_OUT_ONCE_IN = 10


def told_line(told: Mapping[str, str | None]) -> str:
    """The line that tells values of `CONDITIONS`; empty where none is known."""
    known = [f"{words}: {told[field]}" for field, words in CONDITIONS.items() if told.get(field)]
    return ", ".join(known) + "\n" if known else ""


def told_tokens(told: Mapping[str, str | None], vocabulary: Vocabulary) -> tuple[int, ...]:
    """The token ids of `told_line`."""
    line = told_line(told)
    return tuple(vocabulary.encode(line)) if line else ()


def longest_line(condition: Mapping[str, Sequence[str]], vocabulary: Vocabulary) -> int:
    """Tokens of the longest line that tells one of the values of each field."""
    lines = (dict(zip(condition, values, strict=True)) for values in product(*condition.values()))
    return max((len(told_tokens(told, vocabulary)) for told in lines), default=0)


def stored_condition(config: PreTrainedConfig) -> dict[str, list[str]]:
    """What a model is told of a text with the values that it knows; empty: nothing."""
    return getattr(config, "infilling_condition", None) or {}


def store_condition(config: PreTrainedConfig, condition: Mapping[str, Sequence[str]]) -> None:
    """Keep it with the model, wherever it is copied to."""
    if condition or stored_condition(config):  # of the model that this one started from
        config.infilling_condition = {field: list(values) for field, values in condition.items()}


@dataclass(frozen=True, eq=False)
class Conditions:
    """What each of D documents' examples is told: `prefixes[numbers[document, way]]`, token ids int32.

    `numbers` int64 (D, ways): way 0 tells all fields, the others leave some out: 1 all of them and, where there are
    several, 2, 3, ... one each. `turns` int64 (D,): which of a document's examples takes which way; None: all take 0.
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
        """Tell `fields`, columns of `documents`: each text's own values, or those `instead` (None: nothing)."""
        instead = instead or {}
        told = pd.DataFrame({field: instead.get(field, documents[field]) for field in fields}, index=documents.index)
        combination, distinct = told.groupby(list(fields), dropna=False, sort=True).ngroup(), told.drop_duplicates()
        ways = [(), fields, *([[field] for field in fields] if len(fields) > 1 else [])]
        numbers: dict[tuple[int, ...], int] = {(): 0}
        table = np.zeros((int(combination.max()) + 1, len(ways)), dtype=np.int64)
        for row, values in zip(combination[distinct.index], distinct.to_dict("records"), strict=True):
            for way, left_out in enumerate(ways):
                known = {field: value for field, value in values.items() if field not in left_out and pd.notna(value)}
                table[row, way] = numbers.setdefault(told_tokens(known, vocabulary), len(numbers))
        return cls(tuple(np.array(ids, dtype=np.int32) for ids in numbers), table[combination.to_numpy()])

    def left_out(self, writing_ids: Sequence[str], seed: int) -> "Conditions":
        """For training: now and then less is told, a pure function of (seed, writing_id, example).

        Which of a document's examples are told less is a cycle (`LEFT_OUT_ONCE_IN`) that begins where (seed,
        writing_id) says.
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
        """Tokens that stand before each example, (E,)."""
        return np.array([len(ids) for ids in self.prefixes])[self.of_examples(documents, masks)]
