import json
from dataclasses import asdict

import pandas as pd
import pytest
from rich.console import Console

from ilm.corpus.leakage import (
    LeakReport,
    NearDuplicates,
    SharedValues,
    SharedWith,
    leak_report,
    shared_with,
)
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
    assert report.texts == SharedValues(1, 3, 0, ((("a", "train"), ("b", "test")),))
    assert report.learners == SharedValues(1, 2, 1, ((("b", "test"), ("d", "train")),))
    assert report.topics == SharedValues(1, 2, 2, ((("a", "train"), ("b", "test")),))
    assert report.near_duplicates == "not looked for: split.near_duplicates=null"
    assert report.violated(["learner_id"]) == [
        "1 values of learner_id occur in several splits, for example 'b' (test) and 'd' (train)"
    ]
    assert len(report.violated(["text", "learner_id", "topic", "near_duplicates"])) == 3
    assert report.violated([]) == []


def test_what_cannot_be_known():
    report = leak_report(corpus(("train", "one"), ("test", "two")), near_duplicates=None)
    assert report.texts == SharedValues(0, 0, 0, ())
    assert report.learners == "cannot be known: no learner column"
    assert report.topics == "cannot be known: no topic column"
    assert report.violated(["text", "learner_id", "topic"]) == []
    assert cells(leak_table(asdict(report))) == [
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
    assert leak_report(documents, near_duplicates=1.0).near_duplicates.near == {"valid": 1, "test": 0}
    assert report.violated(["near_duplicates"])[0].startswith("2 documents of valid or test have a near-duplicate")
    shown = cells(leak_table(asdict(report)))
    assert shown[3] == ["valid: near-duplicates in train (similarity 0.8)", "50.00%", "1 of 2", "d (valid), a (train)"]
    assert shown[4][:3] == ["test: near-duplicates in train (similarity 0.8)", "33.33%", "1 of 3"]


def test_a_report_is_plain_data_for_the_manifest():
    report = leak_report(corpus(("train", "Hello you", "", ""), ("test", "hello you", "", "")), near_duplicates=0.5)
    plain = json.loads(json.dumps(asdict(report)))
    assert plain == {
        "texts": {"values": 1, "documents": 2, "without_value": 0, "examples": [[["a", "train"], ["b", "test"]]]},
        "learners": {"values": 0, "documents": 0, "without_value": 2, "examples": []},
        "topics": {"values": 0, "documents": 0, "without_value": 2, "examples": []},
        "near_duplicates": {
            "similarity": 0.5,
            "documents": {"valid": 0, "test": 1},
            "near": {"valid": 0, "test": 1},
            "examples": [[["b", "test"], ["a", "train"]]],
        },
        "held_out": None,
    }


@pytest.mark.parametrize(("split", "divided"), [("test", 0), ("valid", 1)])
def test_values_of_the_test_data_elsewhere(split, divided):
    documents = corpus(("train", "1", "", "food"), ("test", "2", "", "sport"), (split, "3", "", "sport"))
    report = leak_report(documents, near_duplicates=None, test_on="topic")
    examples = ((("b", "test"), ("c", "valid")),) * divided
    assert report.held_out == SharedValues(divided, 2 * divided, without_value=0, examples=examples)
    assert len(report.violated([])) == divided
    shown = ["values of split.test_on in test and elsewhere", str(divided), str(2 * divided)]
    assert cells(leak_table(asdict(report)))[-1][:3] == shown


def test_markup_in_ids_is_no_markup():
    documents = corpus(("train", "x"), ("test", "x")).assign(writing_id=["[red]1", "[/x]"])
    assert (
        cells(leak_table(asdict(leak_report(documents, near_duplicates=None))))[0][3] == "[red]1 (train), [/x] (test)"
    )


def test_texts_of_another_corpus_in_the_training_data():
    other = corpus(("train", LONG), ("test", "in test alone"), ("train", "Hello"), ("valid", "in valid alone"))
    documents = corpus(("test", "hello"), ("test", NEAR), ("test", "in TEST alone"), ("test", "something new"))
    assert shared_with(documents, other, near_duplicates=0.8) == SharedWith(4, 1, 2)
    not_looked_for = "not looked for: split.near_duplicates=null"
    assert shared_with(documents, other, near_duplicates=None) == SharedWith(4, 1, not_looked_for)
    nothing = shared_with(documents, other[other["split"] == "valid"], near_duplicates=0.8)
    assert (nothing.texts, nothing.near_duplicates) == (0, 0)


def test_a_report_without_violations_says_so():
    report = LeakReport(SharedValues(0, 0, 0, ()), "x", "x", NearDuplicates(0.8, {"valid": 1, "test": 1}, {}, ()))
    assert report.violated(["text", "learner_id", "topic", "near_duplicates"]) == []
