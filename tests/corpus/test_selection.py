import pandas as pd
import pytest

from ilm.corpus.selection import having
from ilm.errors import UserError

DOCUMENTS = pd.DataFrame(
    {
        "writing_id": ["1", "2", "3", "4"],
        "l1": ["French", "Arabic", "French", "Thai"],
        "topic": ["Food", "Food", "Work", "Work"],
        "text": ["a", "b", "c", "d"],
    }
)


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        ({}, "1234"),
        ({"l1": ["French"]}, "13"),
        ({"l1": ["French", "Thai"]}, "134"),
        ({"l1": ["French", "Thai"], "topic": ["Work"]}, "34"),
        ({"l1": ["Arabic"], "topic": ["Work"]}, ""),
    ],
)
def test_documents_have_one_of_the_values_of_each_column(only, chosen):
    assert "".join(DOCUMENTS["writing_id"][having(DOCUMENTS, only)]) == chosen


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ({"L1": ["French"]}, r"only=\{L1: \[French\]\}: the corpus has no such column, but l1, topic$"),
        ({"text": ["a"]}, "no such column"),
        (
            {"l1": ["Frensh"]},
            r"no text has l1 Frensh\. There are French, (Arabic, Thai|Thai, Arabic)$",
        ),
    ],
)
def test_a_column_or_value_that_is_not_there(only, message):
    with pytest.raises(UserError, match=message):
        having(DOCUMENTS, only)
