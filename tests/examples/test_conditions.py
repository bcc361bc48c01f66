"""The prefix of a text, and how often fields are left out."""

import numpy as np
import pandas as pd
import pytest

from ilm.examples.conditions import Conditions, prefix_line
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from tests.reference_data import MASK_TYPES

VOCABULARY = Vocabulary(gpt2_tokenizer(), MASK_TYPES)
DOCUMENTS = pd.DataFrame(
    {"writing_id": list("abcd"), "cefr_level": ["B1", "A1", "B1", "B1"], "l1": ["Thai", "Thai", "", "Thai"]}
)
BOTH = ("cefr_level", "l1")
EVERY = [(document, mask) for document in range(4) for mask in range(20)]


def lines(conditions: Conditions, examples=((0, 0), (1, 0), (2, 0), (3, 0))) -> list[str]:
    documents, masks = np.array(examples).T
    numbers = conditions.of_examples(documents, masks)
    assert conditions.lengths(documents, masks).tolist() == [len(conditions.prefixes[n]) for n in numbers]
    return [VOCABULARY.decode(conditions.prefixes[number]) for number in numbers]


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"cefr_level": "B1"}, "level: B1\n"),
        ({"l1": "Portuguese", "cefr_level": "B1"}, "level: B1, first language: Portuguese\n"),
        ({"cefr_level": None, "l1": "Thai"}, "first language: Thai\n"),
        ({"cefr_level": None}, ""),
    ],
)
def test_the_line(told, line):
    assert prefix_line(told) == line


def test_each_text_is_told_its_own_values_as_far_as_they_are_known():
    assert lines(Conditions.of(["cefr_level"], DOCUMENTS, VOCABULARY)) == [
        f"level: {level}\n" for level in ("B1", "A1", "B1", "B1")
    ]
    both = "level: B1, first language: Thai\n"
    assert lines(Conditions.of(BOTH, DOCUMENTS, VOCABULARY)) == [both, both.replace("B1", "A1"), "level: B1\n", both]


def test_another_level_or_nothing_may_be_told():
    of = DOCUMENTS, VOCABULARY
    assert set(lines(Conditions.of(["cefr_level"], *of, {"cefr_level": "C1"}))) == {"level: C1\n"}
    assert lines(Conditions.of(BOTH, *of, {"cefr_level": "C1"}))[2:] == [
        "level: C1\n",
        "level: C1, first language: Thai\n",
    ]
    assert set(lines(Conditions.of(BOTH, *of, dict.fromkeys(BOTH)))) == {""}


def test_one_example_in_ten_is_told_nothing_the_same_ones_every_time():
    told = Conditions.of(["cefr_level"], DOCUMENTS, VOCABULARY)
    for_training = told.left_out(DOCUMENTS["writing_id"], seed=0)
    found = lines(for_training, EVERY)
    assert [found[20 * d :][:20].count("") for d in range(4)] == [2, 2, 2, 2]
    assert {a for a, b in zip(found, lines(told, EVERY), strict=True) if a != b} == {""}
    # A function of the text's id alone: not of its neighbours, nor of what is asked for at once.
    alone = DOCUMENTS[2:3].reset_index(drop=True)
    again = Conditions.of(["cefr_level"], alone, VOCABULARY).left_out(alone["writing_id"], seed=0)
    assert [lines(again, [(0, mask)])[0] for mask in range(20)] == found[40:60]
    assert lines(told.left_out(DOCUMENTS["writing_id"], seed=1), EVERY) != found


def test_each_of_two_fields_is_left_out_as_often():
    found = lines(Conditions.of(BOTH, DOCUMENTS, VOCABULARY).left_out(DOCUMENTS["writing_id"], seed=0), EVERY[:20])
    counts = {line: found.count(line) for line in found}
    assert counts == {
        "level: B1, first language: Thai\n": 14,
        "level: B1\n": 2,
        "first language: Thai\n": 2,
        "": 2,
    }
