"""The fast path of sentences and words gives what NLTK gives, on texts of every kind."""

import random

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tests.masking.nltk_words as nltk_words
from ilm.corpus.synthetic import generate
from ilm.files import read_json
from ilm.masking import segmentation as segments
from ilm.masking import sentences, words
from tests.conftest import REPOSITORY

REFERENCE = read_json(REPOSITORY / "tests" / "data" / "documents.json")["docs"]
CORPORA = REPOSITORY.parent / "shared" / "corpora"  # real learner texts, where they are at hand

# What NLTK's expressions look at, whole words that they know, and what may stand beside it.
PIECES = (
    *("can", "not", "cannot", "Cannot,", "CANNOT.", "gimme", "gonna", "Gotta", "lemme!", "wanna", "wan", "na"),
    *("d'ye", "'tis", "'twas", "'t", "is", "was", "more'n", "'n", "don't", "DON'T", "n't", "it's", "'s", "I'm", "'ll"),
    *("we'll", "they've", "'re", "boys'", "s'", "'", "''", '"', "`", "``", "’", "“", "’s", "n’t", "«", "»", "‘", "'a"),
    *(
        ".",
        "..",
        "...",
        ". .",
        "?",
        "!",
        "!!!",
        ",",
        ",,",
        ":",
        ";",
        "--",
        "-",
        "—",
        "–",
        "@",
        "#",
        "$5",
        "%",
        "&",
        "*",
    ),
    *("(", ")", "[", "]", "{", "<", ">", ".)", '."', "!)", "x.)", "3.5", "1,000", "12:30", ":)", "a.b", "No.", "Mr."),
    *("e.g.", "i.e.", "U.S.", "J.", "p.m.", "St.", "etc.", "Jan.", "vs.", "1.", "The", "she", "Hello", "i", "I", "s"),
    *(" ", "  ", "\t", "\xa0", "\x1c", "\u200b", "\u3000", "\u0301", "é", "İ", "ſ", "李明", "😀", "work", "home.Then"),
)
mixtures = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=16).flatmap(
    lambda parts: st.lists(st.sampled_from(["", " ", " ", " "]), min_size=len(parts), max_size=len(parts)).map(
        lambda spaces: "".join(part + space for part, space in zip(parts, spaces, strict=True))
    )
)


def segmented(text: str) -> list[tuple[int, int, list[tuple[int, int]]]]:
    return [
        (sentence.start, sentence.start + sentence.length, list(sentence.words))
        for paragraph in segments.segment.__wrapped__(text).paragraphs
        for sentence in paragraph.sentences
    ]


@given(mixtures | st.text(max_size=80))
@example("He left ( at 5. )")
@example("boys' ', ' 'a ' . '")
@example("Mr. Cannot, wanna")
@example("x,, y, 'z:")
@example("I like it .")
@example("Fig. 3. The J. Smith etc. and so on. ok")
def test_any_text_is_segmented_as_by_nltk(text):
    assert segmented(text) == nltk_words.segment(text)


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8))
def test_a_chunk_is_split_alike_wherever_it_stands(parts):
    """What was learnt of a chunk in one sentence is used in the next: in every place, first, inner and last."""
    chunk = "".join(parts).strip()
    for text in (chunk, f"{chunk} x", f"x {chunk}", f"x {chunk} x", f"{chunk} {chunk}", f"x, {chunk} 'x {chunk} ."):
        assert segmented(text) == nltk_words.segment(text)


@pytest.mark.parametrize("document", REFERENCE, ids=lambda document: document["name"])
def test_documents_of_the_reference(document):
    assert segmented(document["text"]) == nltk_words.segment(document["text"])


def test_the_sample_corpus():
    texts = [row["text"] for row in generate(size=400, seed=3)]
    assert [segmented(text) for text in texts] == [nltk_words.segment(text) for text in texts]


@pytest.mark.parametrize("name", ["cefr_asag.csv", "seeflex.csv"])
def test_real_learner_texts(name):
    if not (CORPORA / name).exists():
        pytest.skip(f"{name} is not at hand")
    texts = pd.read_csv(CORPORA / name, dtype=str)["text"][::10].tolist()
    shuffled = random.Random(0).sample([word for text in texts for word in text.split()], 3000)
    texts += [" ".join(shuffled[start : start + 30]) for start in range(0, 3000, 30)]
    assert [segmented(text) for text in texts] == [nltk_words.segment(text) for text in texts]


def test_tables_that_are_full_begin_anew(monkeypatch):
    monkeypatch.setattr(words, "_MOST_CHUNKS", 5)
    for chunks in (words._inner, words._final):
        chunks.clear()
    text = "Anna likes her old house, because it is near the river and the trees."
    for _ in range(2):
        assert segmented(text) == nltk_words.segment(text)
        assert len(words._inner) <= 5


def test_most_words_of_learners_need_no_nltk(monkeypatch):
    """The point of it all: what is slow is asked for little of a text."""
    texts = [row["text"] for row in generate(size=300, seed=4)]
    asked = []
    tokenizer = Counting(words._nltk(), asked)
    monkeypatch.setattr(words, "_nltk", lambda: tokenizer)
    monkeypatch.setattr(sentences._tokenizer(), "decision", lambda text: asked.append(text) or False)
    for chunks in (words._inner, words._final):
        chunks.clear()
    total = sum(len(segmented(text)) for text in texts)
    assert len(asked) < total / 3


class Counting:
    """NLTK's tokenizer, which notes what it was asked."""

    def __init__(self, tokenizer, asked):
        self.tokenizer, self.asked = tokenizer, asked

    def tokenize(self, text):
        self.asked.append(text)
        return self.tokenizer.tokenize(text)
