import json

import pandas as pd
import pytest
from rich.console import Console

from ilm.corpus.leakage import LeakReport, NearDuplicates, SharedValues, leak_report, shared_with
from ilm.corpus.statistics import leak_table

LONG = "My name is Anna and I live in a small town near the sea with my two brothers and a very old cat"
NEAR = LONG.replace("very old", "really old")


def corpus(*rows: tuple[str, ...]) -> pd.DataFrame:
    """rows: (split, text) or (split, text, learner, topic); ids a, b, c, ..."""
    names = ["split", "text", "learner_id", "topic"][: len(rows[0])]
    documents = pd.DataFrame(list(rows), columns=names, dtype="str")
    ids = pd.Series([chr(ord("a") + n) for n in range(len(rows))], dtype="str")
    return documents.assign(writing_id=ids)


def cells(table) -> list[list[str]]:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table)
    lines = console.export_text().splitlines()
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


def test_what_stands_in_several_splits():
    documents = corpus(
        ("train", "Hello you", "1", "food"),
        ("test", "hello\nYOU ", "2", "food"),
        ("valid", "HELLO YOU", "", ""),
        ("train", "bye", "2", ""),
        ("train", "bye", "1", "sport"),
    )
    report = leak_report(documents, near_duplicates=None)
    assert report.texts == SharedValues(1, 3, ((("a", "train"), ("b", "test")),))
    assert report.learners == SharedValues(1, 2, ((("b", "test"), ("d", "train")),))
    assert report.topics == SharedValues(1, 2, ((("a", "train"), ("b", "test")),))
    assert report.near_duplicates == "not looked for: split.near_duplicates=null"
    assert report.violated(["learner_id"]) == [
        "1 learners stand in several splits, for example 'b' (test) and 'd' (train)"
    ]
    assert len(report.violated(["text", "learner_id", "topic", "near_duplicates"])) == 3
    assert report.violated([]) == []


def test_what_cannot_be_known():
    report = leak_report(corpus(("train", "one"), ("test", "two")), near_duplicates=None)
    assert report.texts == SharedValues(0, 0, ())
    assert report.learners == "cannot be known: no learner column"
    assert report.topics == "cannot be known: no topic column"
    assert report.violated(["text", "learner_id", "topic"]) == []
    assert cells(leak_table(report)) == [
        ["texts in several splits", "0", "0", ""],
        ["learners in several splits", "cannot be known: no learner column", "", ""],
        ["topics in several splits", "cannot be known: no topic column", "", ""],
        ["near-duplicates in train", "not looked for: split.near_duplicates=null", "", ""],
    ]


def test_near_duplicates_of_the_training_data():
    documents = corpus(
        ("train", LONG), ("test", NEAR), ("test", "quite another text"), ("valid", LONG.upper()), ("valid", "short"),
        ("train", NEAR + "."), ("test", "quite another text!"),
    )  # fmt: skip
    report = leak_report(documents, near_duplicates=0.8)
    assert report.near_duplicates == NearDuplicates(
        similarity=0.8,
        documents={"valid": 2, "test": 3},
        near={"valid": 1, "test": 1},
        examples=((("d", "valid"), ("a", "train")), (("b", "test"), report.near_duplicates.examples[1][1])),
    )
    assert report.near_duplicates.examples[1][1] in [("a", "train"), ("f", "train")]
    assert report.near_duplicates.shares == {"valid": 0.5, "test": 1 / 3}
    assert leak_report(documents, near_duplicates=1.0).near_duplicates.near == {"valid": 1, "test": 0}
    assert report.violated(["near_duplicates"])[0].startswith("2 documents of valid or test have a near-duplicate")
    shown = cells(leak_table(report))
    assert shown[3] == ["valid: near-duplicates in train (similarity 0.8)", "50.00%", "1 of 2", "d (valid), a (train)"]
    assert shown[4][:3] == ["test: near-duplicates in train (similarity 0.8)", "33.33%", "1 of 3"]


def test_a_report_is_plain_data_for_the_manifest():
    report = leak_report(corpus(("train", "Hello you", "", ""), ("test", "hello you", "", "")), near_duplicates=0.5)
    plain = report.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain == {
        "texts": {"values": 1, "documents": 2, "examples": [[["a", "train"], ["b", "test"]]]},
        "learners": {"values": 0, "documents": 0, "examples": []},
        "topics": {"values": 0, "documents": 0, "examples": []},
        "near_duplicates": {
            "similarity": 0.5,
            "documents": {"valid": 0, "test": 1},
            "near": {"valid": 0, "test": 1},
            "shares": {"valid": 0.0, "test": 1.0},
            "examples": [[["b", "test"], ["a", "train"]]],
        },
    }


@pytest.mark.parametrize(("split", "state"), [("test", "holds"), ("valid", "does not hold")])
def test_values_of_the_test_data_elsewhere(split, state):
    documents = corpus(("train", "1", "", "food"), ("test", "2", "", "sport"), (split, "3", "", "sport"))
    report = leak_report(documents, near_duplicates=None, test_on="topic")
    assert report.unseen_test_values.startswith(f"{state}: 1 ")
    assert len(report.violated([])) == (state != "holds")
    assert report.to_dict()["unseen_test_values"] == report.unseen_test_values
    assert cells(leak_table(report))[-1][1] == report.unseen_test_values


def test_markup_in_ids_is_no_markup():
    documents = corpus(("train", "x"), ("test", "x")).assign(writing_id=["[red]1", "[/x]"])
    assert (
        cells(leak_table(leak_report(documents, near_duplicates=None), note="[b]"))[0][3]
        == "[red]1 (train), [/x] (test)"
    )


def test_texts_of_another_corpus_in_the_training_data():
    other = corpus(("train", LONG), ("test", "in test alone"), ("train", "Hello"), ("valid", "in valid alone"))
    documents = corpus(("test", "hello"), ("test", NEAR), ("test", "in TEST alone"), ("test", "something new"))
    assert shared_with(documents, other, near_duplicates=0.8).to_dict() == {
        "documents": 4, "texts": 1, "near_duplicates": 2, "similarity": 0.8, "examples": [["a", "c"], ["b", "a"]],
    }  # fmt: skip
    assert shared_with(documents, other, near_duplicates=None).to_dict() == {
        "documents": 4, "texts": 1, "near_duplicates": "not looked for: split.near_duplicates=null", "similarity": None,
        "examples": [["a", "c"]],
    }  # fmt: skip
    nothing = shared_with(documents, other[other["split"] == "valid"], near_duplicates=0.8)
    assert (nothing.texts, nothing.near_duplicates, nothing.examples) == (0, 0, ())


def test_a_report_without_violations_says_so():
    report = LeakReport(SharedValues(0, 0, ()), NearDuplicates(0.8, {"valid": 1, "test": 1}, {}, ()), "x", "x")
    assert report.violated(["text", "learner_id", "topic", "near_duplicates"]) == []
