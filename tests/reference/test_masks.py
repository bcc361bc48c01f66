import json
import pickle
import subprocess
import sys
from enum import Enum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.errors import UserError
from ilm.masking.functions import Span
from ilm.masking.masks import Masks
from ilm.reference import unpickle
from ilm.reference.masks import (
    ENUMERATIONS,
    HIERARCHICAL,
    NO_SPANS,
    OUTSIDE,
    OVERLAPPING,
    MaskedPickleWriter,
    checked_mask,
    enumeration_of,
    iter_masked,
)
from ilm.reference.unpickle import Member

HIERARCHY = ENUMERATIONS[HIERARCHICAL]
PUNCTUATION = "ilm.mask.custom.MaskPunctuationType"

# The enumerations as the reference defines them, in modules of their names.
STUBS = {
    "hierarchical": "class MaskHierarchicalType(Enum):\n  DOCUMENT = 0\n  PARAGRAPH = 1\n  SENTENCE = 2\n  NGRAM = 3\n"
    "  WORD = 4\n",
    "custom": "class MaskPunctuationType(Enum):\n  SENTENCE_TERMINAL = 0\n  OTHER = 1\n",
}


def python_of_the_reference(folder, code: str, *arguments: str) -> str:
    """Run code where `ilm` is the reference's package, not ours."""
    package = folder / "reference" / "ilm" / "mask"
    package.mkdir(parents=True, exist_ok=True)
    for path in (package.parent, package):
        (path / "__init__.py").touch()
    for name, text in STUBS.items():
        (package / f"{name}.py").write_text(f"from enum import Enum\n{text}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-S", "-X", "utf8", "-c", code, *arguments],
        cwd=package.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(path, mask_types, chunks) -> None:
    with open(path, "wb") as file:
        writer = MaskedPickleWriter(file, mask_types)
        for texts, masks in chunks:
            writer.add(texts, Masks.of(range(len(texts)), masks, mask_types))
        writer.finish()


LONG = "x" * 70_000
CHUNKS = [
    (
        ["She ate. 😀", "", "two\n\n\nparts"],
        [[[Span("word", 0, 3), Span("ngram", 4, 3)], []], [], [[Span("document", 0, 10)]]],
    ),
    ([LONG, "\ud800"], [[[Span("paragraph", 65_535, 4_000), Span("sentence", 69_990, 10)]], [[Span("word", 0, 1)]]]),
    ([], []),
]
FLAT = [
    [text, [[[span.mask_type, span.start, span.length] for span in mask] for mask in masks]]
    for texts, of_texts in CHUNKS
    for text, masks in zip(texts, of_texts, strict=True)
]

SHOW = """
import json, pickle, sys
found = pickle.load(open(sys.argv[1], "rb"))
assert type(found) is list and all(type(item) is tuple and type(item[1]) is list for item in found)
assert all(type(span) is tuple for _, masks in found for mask in masks for span in mask)
types = {type(span[0]) for _, masks in found for mask in masks for span in mask}
names = {t.__module__ + "." + t.__name__ for t in types}
shown = [[text, [[[t.name.lower(), a, b] for t, a, b in mask] for mask in masks]] for text, masks in found]
print(json.dumps([sorted(names), shown]))
"""


def test_the_reference_loads_what_is_written(tmp_path):
    write(tmp_path / "train.pkl", HIERARCHY, CHUNKS)
    assert json.loads(python_of_the_reference(tmp_path, SHOW, str(tmp_path / "train.pkl"))) == [[HIERARCHICAL], FLAT]


def test_what_is_written_is_read_again(tmp_path):
    write(tmp_path / "train.pkl", HIERARCHY, CHUNKS)
    read = [
        [text, [[list(span) for span in checked_mask(mask, len(text))[0]] for mask in masks]]
        for text, masks in iter_masked(tmp_path / "train.pkl")
    ]
    assert read == FLAT


def test_documents_are_finished_one_by_one(tmp_path, monkeypatch):
    """So what is read at a time does not grow with the documents written at a time."""
    masks = [[Span("word", 0, 3)]] * 20
    write(tmp_path / "train.pkl", HIERARCHY, [(["text"] * 500, [masks] * 500)])
    monkeypatch.setattr(unpickle, "MAX_OPERATIONS", 200)
    assert sum(1 for _ in iter_masked(tmp_path / "train.pkl")) == 500


@pytest.mark.parametrize("mask_types", [("sentence",), ("word", "ngram"), ("sentence_terminal", "other")])
def test_the_types_of_other_mask_functions(mask_types, tmp_path):
    masks = [[[Span(mask_type, 2 * k, 1) for k, mask_type in enumerate(mask_types)]]]
    write(tmp_path / "train.pkl", mask_types, [(["abcdef"], masks)])
    enumerations, [[_, [spans]]] = json.loads(python_of_the_reference(tmp_path, SHOW, str(tmp_path / "train.pkl")))
    assert enumerations == [enumeration_of(mask_types)]
    assert [span[0] for span in spans] == list(mask_types)


def test_types_that_the_reference_does_not_know():
    with pytest.raises(UserError, match="types verb, noun cannot be exported"):
        enumeration_of(("verb", "noun"))
    with pytest.raises(UserError, match="masking=hierarchical"):
        enumeration_of(("word", "other"))


DUMP = """
import pickle, sys
from ilm.mask.hierarchical import MaskHierarchicalType as T
documents = [("text %d" % i * 50, [[(T.WORD, 0, 4), (T.NGRAM, 5, j + 1)] for j in range(3)]) for i in range(2500)]
pickle.dump(documents, open(sys.argv[1], "wb"), int(sys.argv[2]))
"""


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_what_the_reference_writes_is_read(protocol, tmp_path):
    path = tmp_path / "train.pkl"
    python_of_the_reference(tmp_path, DUMP, str(path), str(protocol))
    documents = list(iter_masked(path))
    assert len(documents) == 2500
    assert documents[7][0] == "text 7" * 50
    assert [checked_mask(mask, 300) for mask in documents[2499][1]] == [
        ([Span("word", 0, 4), Span("ngram", 5, j + 1)], HIERARCHICAL) for j in range(3)
    ]


WORD, OTHER = Member(HIERARCHICAL, 4), Member(PUNCTUATION, 1)


@pytest.mark.parametrize(
    ("mask", "fault"),
    [
        ([(WORD, 3, 2), (WORD, 4, 1)], OVERLAPPING),
        ([(WORD, 4, 1), (WORD, 3, 2)], OVERLAPPING),
        ([(WORD, 3, 0)], OUTSIDE),
        ([(WORD, -1, 2)], OUTSIDE),
        ([(WORD, 9, 2)], OUTSIDE),
        ([(WORD, 1, 2**70)], OUTSIDE),
        ([(WORD, 1)], NO_SPANS),
        ([(WORD, 1.0, 2)], NO_SPANS),
        ([(WORD, True, 2)], NO_SPANS),
        ([("word", 1, 2)], NO_SPANS),
        ([(Member(HIERARCHICAL, 5), 1, 2)], NO_SPANS),
        ([(WORD, 1, 2), (OTHER, 4, 1)], NO_SPANS),
        (["abc"], NO_SPANS),
        ("abc", NO_SPANS),
        (None, NO_SPANS),
        ({}, NO_SPANS),
    ],
)
def test_masks_that_are_none(mask, fault):
    assert checked_mask(mask, 10) == fault


def test_masks_that_are_some():
    assert checked_mask([], 10) == ([], None)
    assert checked_mask([(WORD, 0, 5), (Member(HIERARCHICAL, 3), 5, 5)], 10) == (
        [Span("word", 0, 5), Span("ngram", 5, 5)],
        HIERARCHICAL,
    )
    assert checked_mask([[OTHER, 9, 1], [OTHER, 1, 1]], 10) == ([Span("other", 1, 1), Span("other", 9, 1)], PUNCTUATION)


@given(st.lists(st.tuples(st.integers(-2, 14), st.integers(-1, 14)), max_size=5))
def test_a_mask_is_right_if_no_character_is_cut_twice(spans):
    checked = checked_mask([(WORD, start, length) for start, length in spans], 12)
    covered = np.zeros(12, dtype=int)
    right = all(start >= 0 and length > 0 and start + length <= 12 for start, length in spans)
    if right:
        for start, length in spans:
            covered[start : start + length] += 1
        right = covered.max(initial=0) <= 1
    assert isinstance(checked, tuple) == right
    if right:
        assert [(start, length) for _, start, length in checked[0]] == sorted(spans)


class Own(Enum):
    VERB = 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([("text", [[(Own.VERB, 0, 1)]])], r"found tests\.reference\.test_masks\.Own"),
        ([("text",)], "item 1 is not a"),
        ([("text", []), ("text", 3)], "item 2 is not a"),
        ([(b"text", [])], "item 1 is not a"),
        (["ab"], "item 1 is not a"),
        ({"text": []}, "expected one list"),
    ],
)
def test_pickles_of_something_else(value, message, tmp_path):
    (tmp_path / "train.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(UserError, match=message):
        list(iter_masked(tmp_path / "train.pkl"))
