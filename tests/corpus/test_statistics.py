import json

import pandas as pd
import pytest
from rich.console import Console

from ilm.corpus.splitting.assign import SplitReport
from ilm.corpus.statistics import count_tables, dropped_table, miss_table, summary


@pytest.fixture
def documents() -> pd.DataFrame:
    rows = [
        ("w1", "French", "A1", "abcd", "train"),
        ("w2", "French", "A1", "ab", "test"),
        ("w3", "[red]", "A1", "😀é’", "train"),
        ("w4", "French", "B2", "x" * 1500, "valid"),
    ]
    return pd.DataFrame(rows, columns=["writing_id", "l1", "cefr_level", "text", "split"], dtype="str")


def shown(table) -> list[list[str]]:
    """The cells of the rendered rows, at 100 columns."""
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 100
    return [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in lines if "│" in line]


def test_summary(documents):
    assert summary(documents) == {
        "documents": 4,
        "levels": {
            "A1": {"train": 2, "valid": 0, "test": 1, "total": 3},
            "B2": {"train": 0, "valid": 1, "test": 0, "total": 1},
        },
        "l1": {"French": {"A1": 2, "B2": 1, "total": 3}, "[red]": {"A1": 1, "total": 1}},
        "characters": {
            "A1": {"n": 3, "min": 2, "mean": 3.0, "median": 3.0, "max": 4, "sum": 9},
            "B2": {"n": 1, "min": 1500, "mean": 1500.0, "median": 1500.0, "max": 1500, "sum": 1500},
            "all": {"n": 4, "min": 2, "mean": 377.25, "median": 3.5, "max": 1500, "sum": 1509},
        },
        "words": {
            level: {"n": n, "min": 1, "mean": 1.0, "median": 1.0, "max": 1, "sum": n}
            for level, n in (("A1", 3), ("B2", 1), ("all", 4))
        },
    }
    assert json.loads(json.dumps(summary(documents))) == summary(documents)


def test_tables_show_the_numbers(documents):
    documents = documents.assign(text=["one two", "a", " 😀\n’ x\u00a0y", "b " * 750])
    by_level, by_l1, characters, words = map(shown, count_tables(summary(documents)))
    assert by_level == [
        ["A1", "2", "0", "1", "3"],
        ["B2", "0", "1", "0", "1"],
        ["all", "2", "1", "1", "4"],
    ]
    assert by_l1 == [["French", "2", "1", "3"], ["[red]", "1", "0", "1"]]
    assert characters == [
        ["A1", "3", "1", "5.3", "7.0", "8", "16"],
        ["B2", "1", "1,500", "1,500.0", "1,500.0", "1,500", "1,500"],
        ["all", "4", "1", "379.0", "7.5", "1,500", "1,516"],
    ]
    assert words == [
        ["A1", "3", "1", "2.3", "2.0", "4", "7"],
        ["B2", "1", "750", "750.0", "750.0", "750", "750"],
        ["all", "4", "1", "189.2", "3.0", "750", "757"],
    ]


def test_dropped_rows():
    dropped = {"empty text": {"count": 7, "rows": [2, 3, 4, 5, 6]}, "empty id": {"count": 1, "rows": [12345]}}
    assert shown(dropped_table(dropped)) == [
        ["empty text", "7", "2, 3, 4, 5, 6, ..."],
        ["empty id", "1", "12345"],
    ]
    assert shown(dropped_table({})) == [["none", "0", ""]]


def test_misses():
    targets = {"A1": {"train": 8, "valid": 1, "test": 1}, "B1": {"train": 8, "valid": 1, "test": 1}}
    sizes = {"A1": {"train": 9, "valid": 0, "test": 1}, "B1": {"train": 8, "valid": 1, "test": 1}}
    assert shown(miss_table(SplitReport(0, targets, sizes).to_dict())) == [["A1", "+1", "-1", "+0"]]
