import json
import random

import nltk
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tag.perceptron import PerceptronTagger

from ilm.errors import UserError
from ilm.files import read_json
from ilm.masking.functions import (
    Documents,
    Hierarchical,
    Ngrams,
    Paragraphs,
    ProperNouns,
    Punctuation,
    Sentences,
    Span,
    Verse,
    Words,
    check_spans,
)
from ilm.masking.generate import mask_function
from ilm.masking.segmentation import segment
from ilm.masking.tagging import TAGGER_DATA, proper_nouns, require_tagger
from tests.conftest import REPOSITORY

REFERENCE = read_json(REPOSITORY / "tests" / "data" / "documents.json")["docs"]
LUNCH = "She ate leftover pasta for lunch."


class Scripted(random.Random):
    """Gives the numbers of a script in order; each entry of an n-gram names the bounds of its words."""

    def __init__(self, *script):
        super().__init__(0)
        self.script = list(script)

    def random(self):
        return self.script.pop(0)

    def randrange(self, stop):
        bounds, words = self.script.pop(0)
        assert (1, stop) == bounds
        return words - 1


def test_masks_are_those_of_the_reference():
    compared = 0
    for document in REFERENCE:
        for mask in document["masks"]:
            if "rng" in mask and isinstance(mask["mask"], list):
                rng = random.Random(mask["rng"]["seed"])
                drawn = Hierarchical(p=mask["rng"]["p"])(document["text"], rng)
                assert [[t.upper(), start, length] for t, start, length in drawn] == mask["mask"]
                compared += 1
    assert compared == 145  # 29 documents, 5 seeds each


def test_what_is_not_masked_is_looked_into():
    # document, paragraph, sentence, She, ate, leftover: n-gram of 2, for, lunch: word, full stop
    rng = Scripted(0.9, 0.9, 0.9, 0.9, 0.9, 0.2, 0.4, ((1, 5), 2), 0.9, 0.2, 0.5, 0.9)
    assert Hierarchical(p=0.3)(LUNCH, rng) == [("ngram", 8, 14), ("word", 27, 5)]
    assert rng.script == []


@pytest.mark.parametrize(
    ("script", "mask"),
    [
        ([0.0], [("document", 0, 17)]),
        ([0.9, 0.0, 0.0], [("paragraph", 0, 8), ("paragraph", 9, 8)]),
        ([0.9, 0.9, 0.0, 0.0, 0.0], [("sentence", 0, 3), ("sentence", 4, 4), ("paragraph", 9, 8)]),
    ],
)
def test_what_is_masked_is_not_looked_into(script, mask):
    rng = Scripted(*script)
    assert Hierarchical(p=0.3)("Hi! Bye.\nYes. No.", rng) == mask
    assert rng.script == []


def test_ngrams_end_with_their_sentence_and_at_max_ngram_words():
    # document; paragraph, sentence, "Go" and up to 2 words; paragraph, sentence, "I" and up to 3, "now" and up to 2
    rng = Scripted(
        *(0.9, 0.9, 0.9, 0.0, 0.0, ((1, 2), 2)),
        *(0.9, 0.9, 0.0, 0.0, ((1, 3), 3), 0.0, 0.0, ((1, 2), 1), 0.9),
    )
    mask = Hierarchical(p=0.3, max_ngram_words=3)("Go!\nI ran so now.", rng)
    assert mask == [("ngram", 0, 3), ("ngram", 4, 8), ("ngram", 13, 3)]
    assert rng.script == []


WORDS = [(0, 3), (3, 1), (5, 1), (7, 2), (9, 3), (12, 1), (15, 4), (19, 1), (21, 3), (24, 1)]


@pytest.mark.parametrize(
    ("function", "mask"),
    [
        (Documents(p=1), [("document", 0, 25)]),
        (Paragraphs(p=1), [("paragraph", 0, 13), ("paragraph", 15, 10)]),
        (Sentences(p=1), [("sentence", 0, 4), ("sentence", 5, 8), ("sentence", 15, 10)]),
        (Words(p=1), [("word", *word) for word in WORDS]),
        (Ngrams(p=1, max_ngram_words=1), [("ngram", *word) for word in WORDS]),
        (
            Punctuation(p=1),
            [
                ("sentence_terminal", 3, 1),
                ("other", 10, 1),
                ("sentence_terminal", 12, 1),
                ("other", 19, 1),
                ("sentence_terminal", 24, 1),
            ],
        ),
    ],
)
def test_one_level_alone(function, mask):
    assert function("Yes! I don't.\n\nFine; bye?", random.Random(0)) == mask


def test_verse_is_masked_by_stanzas_and_lines():
    # document; stanza; stanza, line, line
    rng = Scripted(0.9, 0.0, 0.9, 0.0, 0.9, 0.9, 0.2, 0.6, 0.9)
    text = "The rain falls.\nSo do I.\n\nOn you, my dear.\nOn me!"
    assert Verse(p=0.3)(text, rng) == [("paragraph", 0, 24), ("sentence", 26, 16), ("word", 46, 2)]
    assert rng.script == []
    assert Verse.mask_types == Hierarchical.mask_types


@pytest.fixture
def tagger_data(tmp_path, monkeypatch):
    """A small tagger in the files of NLTK's: the real data cannot be counted on."""
    small = PerceptronTagger(load=False)
    small.train([[("Anna", "NNP"), ("met", "VBD"), ("Bob", "NNP"), (".", ".")], [("rice", "NN"), ("met", "VBD")]])
    folder = tmp_path / "taggers" / TAGGER_DATA
    folder.mkdir(parents=True)
    for file, content in zip(small.param_files("eng"), small.encode_json_obj(), strict=True):
        (folder / file).write_text(json.dumps(list(content) if isinstance(content, set) else content))
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    require_tagger.cache_clear()
    yield
    require_tagger.cache_clear()
    proper_nouns.cache_clear()


def test_proper_nouns(tagger_data):
    text = "Anna met Bob.\nBob met Anna."
    assert ProperNouns()(text, random.Random(0)) == [
        ("proper_noun", start, length) for start, length in ((0, 4), (9, 3), (14, 3), (22, 4))
    ]
    assert 0 < len(ProperNouns(p=0.5)(text, random.Random(1))) < 4
    assert ProperNouns()("", random.Random(0)) == []


def test_proper_nouns_without_the_taggers_data_say_what_to_install(monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [])
    require_tagger.cache_clear()
    with pytest.raises(UserError, match=f"Type python -m nltk.downloader {TAGGER_DATA}"):
        mask_function({"_target_": "ilm.masking.functions.ProperNouns", "p": 1.0})


@pytest.mark.parametrize(
    "function", [Hierarchical(p=0), Documents(p=0), Paragraphs(p=0), Sentences(p=0), Ngrams(p=0), Words(p=0)]
)
def test_a_probability_of_zero_draws_nothing(function):
    rng = random.Random(0)
    assert function(LUNCH, rng) == []
    assert rng.getstate() == random.Random(0).getstate()


@given(
    st.text(max_size=80) | st.text(st.sampled_from("Ab. !?\n'\",”é😀"), max_size=200),
    st.integers(0, 2**32),
    st.floats(0, 1),
    st.sampled_from([Hierarchical, Documents, Paragraphs, Sentences, Ngrams, Words, Punctuation]),
)
def test_any_text_gives_a_mask_of_whole_units(text, seed, p, kind):
    function = kind(p=p)
    spans = function(text, random.Random(seed))
    check_spans(spans, len(text), function.mask_types, "any")
    if kind is not Punctuation:
        words = [w for par in segment(text).paragraphs for sent in par.sentences for w in sent.words]
        starts, ends = {start for start, _ in words}, {start + length for start, length in words}
        for mask_type, start, length in spans:
            assert mask_type == "document" or (start in starts and start + length in ends)


@pytest.mark.parametrize(
    ("spans", "fault"),
    [
        ([Span("line", 0, 3)], "span 0 of 1 is Span.*a type of ngram, word"),
        ([Span("word", 0, 3), Span("word", 3, 0)], "span 1 of 2 .* not empty"),
        ([Span("word", 5, -2)], "span 0 of 1 .*length=-2"),
        ([Span("word", 8, 3)], "to 10, the end of the text"),
        ([Span("word", -1, 3)], "from character 0"),
        ([Span("word", 5, 2), Span("ngram", 0, 2)], "from character 7, where the previous span ends"),
        ([Span("word", 0, 4), Span("ngram", 3, 2)], "from character 4, where the previous span ends"),
        ([Span("word", 0.0, 4)], "whole numbers"),
        ([("word", 0)], "is .'word', 0.. Expected .type, start, length."),
        ([7], "is 7. Expected .type, start, length."),
    ],
)
def test_what_is_no_mask_is_refused(spans, fault):
    with pytest.raises(UserError, match=f"Mask function Mine: .*{fault}"):
        check_spans(spans, 10, ("ngram", "word"), "Mine")


@pytest.mark.parametrize("spans", [[], [("word", 0, 10)], [("word", 0, 4), ("ngram", 4, 6)]])
def test_what_is_a_mask_is_accepted(spans):
    check_spans(spans, 10, ("ngram", "word"), "Mine")


@pytest.mark.parametrize("kind", [Hierarchical, Documents, Paragraphs, Sentences, Ngrams, Words, Punctuation])
@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan"), "0.1", None])
def test_what_is_no_probability_is_refused(kind, p):
    with pytest.raises(UserError, match=rf"{kind.__name__}\(p=.*expected a probability from 0 to 1"):
        kind(p=p)


@pytest.mark.parametrize("words", [0, -3, 2.5, True])
def test_what_is_no_number_of_words_is_refused(words):
    with pytest.raises(UserError, match=r"max_ngram_words=.*whole number of at least 1"):
        Ngrams(max_ngram_words=words)
