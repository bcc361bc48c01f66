"""Which words are cut out of which texts."""

from itertools import pairwise

import pandas as pd
import pytest

from ilm.evaluation.cloze.items import (
    CONTENT,
    EDITS,
    FEWER_SAMPLES,
    FUNCTION,
    HUMAN_TOKENS,
    RANDOM,
    TOO_FEW,
    Item,
    _function_words,
    cut,
    draw_items,
    eligible_words,
    word_class,
)
from ilm.masking.segmentation import words_of
from tests.evaluation.cloze.cloze_models import options


def documents(texts: dict[str, str], level: str = "A1") -> pd.DataFrame:
    rows = [{"writing_id": key, "l1": "French", "cefr_level": level, "text": text} for key, text in texts.items()]
    return pd.DataFrame(rows)


def drawn(texts: dict[str, str], **more) -> tuple[list[Item], dict[str, int]]:
    return draw_items(documents(texts), options(**{"samples_per_text": 3, **more}))


def words_that_may_be_cut(text: str, positions: str) -> list[str]:
    words = words_of(text)
    return [text[words[n][0] : sum(words[n])] for n in eligible_words(text, words, positions)]


@pytest.mark.parametrize(
    ("text", "max_chars", "expected"),
    [
        ("One two.", 8, "One two."),
        ("One two. Three four five.", 12, "One two."),  # the end at 8 lies in the second half of 12
        ("One two. Three four five.", 17, "One two. Three"),  # 8 does not lie in that of 17
        ("One two.\nThree four.", 20, "One two.\nThree four."),
        ("Incomprehensibilities are long.", 10, "Incomprehe"),
        ("One two three", 8, "One two"),
        ("One two three", 7, "One two"),  # the word ends there
        ("One two. Three", None, "One two. Three"),
    ],
)
def test_where_a_text_is_cut(text, max_chars, expected):
    assert cut(text, max_chars) == expected


def test_human_tokens_are_words_of_letters_that_stand_alone():
    text = "I don't like e-mail, 3 cats (or dogs) and/or «fish»; she's Zoë. 'Yes' x_y cannot home,but"
    expected = ["I", "like", "cats", "or", "dogs", "fish", "Zoë", "Yes", "home", "but"]
    assert words_that_may_be_cut(text, HUMAN_TOKENS) == expected


def test_the_names_of_entities_and_tags_are_no_words():
    text = "R &amp; B <br/> is <b>good</b> &nbsp; & fun"
    assert words_that_may_be_cut(text, HUMAN_TOKENS) == ["R", "B", "is", "good", "fun"]


def test_letters_with_accents_of_their_own_are_letters():
    assert words_that_may_be_cut("Zoe\u0308 saw 3 cafe\u0301s, مرحبا", HUMAN_TOKENS) == [
        "Zoe\u0308",
        "saw",
        "cafe\u0301s",
        "مرحبا",
    ]


def test_random_positions_are_all_words_numbers_and_marks():
    assert words_that_may_be_cut("I don't, 3 x.", RANDOM) == ["I", "do", "n't", ",", "3", "x", "."]


def test_an_item_knows_what_the_learner_wrote():
    (item,) = drawn({"a": "pasta"})[0]
    assert (item.words, item.key, item.spans) == (("pasta",), "a#0", ((0, 5),))
    stored = item.to_dict()
    assert (stored["words"], stored["spans"], stored["text"]) == (["pasta"], [[0, 5]], "pasta")


def test_items_depend_on_seed_id_and_sample_alone():
    texts = {key: f"{key} likes to eat pasta with many good friends at home." for key in ("anna", "ben", "carl")}
    items, counts = drawn(texts)
    assert counts == {}
    assert [item.key for item in items] == [f"{key}#{n}" for key in texts for n in range(3)]
    # Neither the other texts nor the number of samples matter.
    alone, _ = drawn({"ben": texts["ben"]}, samples_per_text=2)
    assert alone == [item for item in items if item.writing_id == "ben"][:2]
    other, _ = drawn(texts, seed=43)
    assert [item.spans for item in other] != [item.spans for item in items]


def test_no_word_of_a_text_is_asked_twice():
    items, counts = drawn({"a": "one two three four five six"}, samples_per_text=9)
    spans = [span for item in items for span in item.spans]
    assert len(spans) == len(set(spans)) == 6
    assert counts == {FEWER_SAMPLES: 1}


def test_blanks_of_one_item_are_sorted_and_no_neighbours():
    text = "one two three four five six seven eight nine ten"
    words = words_of(text)
    for seed in range(20):
        items, _ = drawn({"a": text}, n_masks=3, seed=seed)
        for item in items:
            numbers = [words.index(span) for span in item.spans]
            assert len(numbers) == 3
            assert all(b - a > 1 for a, b in pairwise(numbers))


def test_texts_without_enough_words_are_counted():
    items, counts = drawn({"a": "one two", "b": "12 34 !", "c": "one , two"}, n_masks=2)
    assert [item.writing_id for item in items] == ["c"]
    assert counts == {TOO_FEW: 2, FEWER_SAMPLES: 1}


def test_texts_that_are_cut_are_counted():
    items, counts = drawn({"a": "One two. Three four five.", "b": "One."}, max_chars=12)
    assert {item.text for item in items} == {"One two.", "One."}
    assert counts["texts cut at task.max_chars"] == 1


def test_edits_take_the_words_of_letters_that_were_corrected():
    table = documents({"a": "I likes pasta, and she go to home.", "b": "I like pasta.", "c": "I likes it."})
    table["fixed"] = ["I like pasta, and she goes home.", "I like pasta.", ""]
    items, counts = draw_items(table, options(samples_per_text=9, seed=1, positions=EDITS, corrected="fixed"))
    assert {item.writing_id for item in items} == {"a"}
    assert sorted(word for item in items for word in item.words) == ["go", "likes", "to"]
    assert counts["texts without a corrected version"] == 1
    assert counts[TOO_FEW] == 2


@pytest.mark.parametrize("word", ["the", "The", "WITH", "I", "have", "because", " to "])
def test_function_words(word):
    assert word_class(word) == FUNCTION


@pytest.mark.parametrize("word", ["pasta", "go", "thé", "havd", "3", ""])
def test_all_others_are_content_words(word):
    assert word_class(word) == CONTENT


def test_the_list_holds_words_only():
    assert len(_function_words()) > 200
    assert all(word.isalpha() and word.islower() for word in _function_words())
