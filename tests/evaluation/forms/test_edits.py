"""Edits: of aligned words, and from M2 files of hand-made sentences."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.errors import UserError
from ilm.evaluation.forms.edits import aligned_edits
from ilm.evaluation.forms.m2 import NOT_CORRECTED, joined, read_m2

M2 = """\
S I has a apple in my bag .
A 1 2|||R:VERB:SVA|||have|||REQUIRED|||-NONE-|||0
A 2 3|||R:DET|||an|||REQUIRED|||-NONE-|||0
A 1 3|||R:OTHER|||bought the|||REQUIRED|||-NONE-|||1

S She do n't likes to go at home , but " she " goes .
A 3 4|||R:VERB:FORM|||like|||REQUIRED|||-NONE-|||0
A 6 7|||U:PREP||||||REQUIRED|||-NONE-|||0
A 8 9|||UNK|||,|||REQUIRED|||-NONE-|||0

S My friend is Valentina .
A -1 -1|||noop|||-NONE-|||REQUIRED|||-NONE-|||0
"""


def sides(learner: str, corrected: str) -> list[tuple[str, str]]:
    return [
        tuple(
            text[start : start + length] for text, (start, length) in ((learner, e.learner), (corrected, e.corrected))
        )
        for e in aligned_edits(learner, corrected)
    ]


def test_neighbouring_words_that_differ_are_one_edit():
    assert sides("I has  went to home.", "I have gone home.") == [("has  went to", "have gone")]
    assert sides("I has a apple.", "I have an apple.") == [("has a", "have an")]
    assert sides("He go and she go.", "He goes and she goes.") == [("go", "goes"), ("go", "goes")]


def test_one_side_may_be_empty_and_white_space_is_no_edit():
    assert sides("I go home", "I go to the home") == [("", "to the")]
    assert sides("I go to home", "I go home") == [("to", "")]
    assert sides("I go", "I go home") == [("", "home")]
    assert sides("I go\nhome ", "I go home") == []


words = st.lists(st.sampled_from(["a", "the", "cat", "cats", "go", "goes", "."]), max_size=8)


@given(words, words)
def test_edits_turn_one_text_into_the_other(own, other):
    learner, corrected = " ".join(own), " ".join(other)
    result, done = [], 0
    for edit in aligned_edits(learner, corrected):
        (start, length), (to, size) = edit.learner, edit.corrected
        result += [learner[done:start], f" {corrected[to : to + size]} "]
        done = start + length
    assert "".join([*result, learner[done:]]).split() == corrected.split()


@pytest.fixture
def m2(tmp_path) -> Path:
    path = tmp_path / "mine.m2"
    path.write_text(M2, encoding="utf-8")
    return path


def test_m2_sentences_edits_and_annotators(m2):
    texts, counts = read_m2(m2, 0)
    first, second, third = texts.itertuples()
    assert [text.writing_id for text in (first, second, third)] == ["mine.m2:1", "mine.m2:2", "mine.m2:3"]
    assert (first.text, first.corrected) == ("I has a apple in my bag.", "I have an apple in my bag.")
    assert second.text == 'She don\'t likes to go at home, but "she" goes.'
    assert second.corrected == 'She don\'t like to go home, but "she" goes.'
    assert third.text == third.corrected
    assert counts == {NOT_CORRECTED: 1}
    found = [
        (edit.kind, text.text[slice(*bounds(edit.learner))], text.corrected[slice(*bounds(edit.corrected))])
        for text in texts.itertuples()
        for edit in text.edits
    ]
    assert found == [
        ("R:VERB:SVA", "has", "have"),
        ("R:DET", "a", "an"),
        ("R:VERB:FORM", "likes", "like"),
        ("U:PREP", "at", ""),
    ]
    others, _ = read_m2(m2, 1)
    assert others["corrected"][0] == "I bought the apple in my bag."


def bounds(stretch: tuple[int, int]) -> tuple[int, int]:
    return stretch[0], sum(stretch)


@pytest.mark.parametrize(
    ("content", "annotator", "said"),
    [
        ("", 0, "has no sentence"),
        ("I has\n", 0, "line 1: expected a sentence that begins with 'S '"),
        ("S I has\nA 1 2|||R|||have\n", 0, "line 2: expected 'A FIRST LAST"),
        ("S I has\nA 1 5|||R|||have|||REQUIRED|||-NONE-|||0\n", 0, "line 2: tokens 1 to 5 of a sentence of 2"),
        ("S I has\nA 1 2|||R|||have|||REQUIRED|||-NONE-|||0\n", 3, "task.annotator=3: .* has edits of 0"),
        (
            "S I has\nA 0 2|||R|||we|||REQUIRED|||-NONE-|||0\nA 1 2|||R|||have|||REQUIRED|||-NONE-|||0\n",
            0,
            "edits of annotator 0 overlap",
        ),
    ],
)
def test_faults_of_m2_files(tmp_path, content, annotator, said):
    path = tmp_path / "x.m2"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        read_m2(path, annotator)


def test_tokens_are_joined_as_one_writes_them():
    text, places = joined(["(", "I", "ca", "n't", ")", "go", "to", "Ann", "'s", "!"])
    assert text == "(I can't) go to Ann's!"
    assert [text[start : start + length] for start, length in places][2:4] == ["ca", "n't"]
