"""Words of texts, and which tokens are whose."""

import math

import numpy as np
import pandas as pd
import pytest

from ilm.evaluation.surprisal.words import (
    Unigrams,
    bounds_of_words,
    tokens_of_words,
    word_beginnings,
    words_of_texts,
)
from ilm.evaluation.texts import tokens_of_texts
from tests.infilling.small_models import vocabulary

TEXT = "She can't eat, “lunch”.\n\nIt was  late "


def test_a_row_a_word_with_its_neighbours_and_places():
    table = words_of_texts(pd.DataFrame({"writing_id": ["a", "b"], "text": [TEXT, "Yes"]}))
    own = table[table["writing_id"] == "a"]
    assert own["word"].tolist() == ["She", "can't", "eat,", "“lunch”.", "It", "was", "late"]
    assert [TEXT[start : start + n] for start, n in zip(own["start"], own["length"], strict=True)] == [*own["word"]]
    assert own["previous_word"].isna().tolist() == [True] + [False] * 6
    assert own["previous_word"].tolist()[1:] == own["word"].tolist()[:-1]
    assert own["word_index"].tolist() == [*range(7)]
    # NLTK's words are She ca n't eat , “ lunch ” . It was late
    assert own["nltk_index"].tolist() == [0, 1, 3, 5, 9, 10, 11]
    assert own["sentence_index"].tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert own["word_length"].tolist() == [3, 5, 3, 5, 2, 3, 4]
    assert table.iloc[-1][["writing_id", "word_index", "word"]].tolist() == ["b", 0, "Yes"]
    assert table["previous_word"].isna().tolist()[-1]


def test_texts_without_words_have_no_rows():
    table = words_of_texts(pd.DataFrame({"writing_id": ["a", "b"], "text": [" \n", "Yes"]}))
    assert table["writing_id"].tolist() == ["b"]


def test_a_words_tokens_begin_with_the_white_space_before_it():
    words = vocabulary()
    ((ids, positions),) = tokens_of_texts(pd.Series([TEXT]), words)
    bounds = bounds_of_words(TEXT)
    firsts, lasts, shared = tokens_of_words(positions, bounds)
    pieces = [words.decode(ids[first:last]) for first, last in zip(firsts, lasts, strict=True)]
    assert pieces == ["She", " can't", " eat,", " “lunch”.", "\n\nIt", " was", "  late"]
    assert not shared.any()
    # Of the tokens of no word only the white space at the end is left.
    assert words.decode(ids[lasts[-1] :]) == " "


@pytest.mark.parametrize(
    ("positions", "firsts", "lasts", "shared"),
    [
        # "ab cd ef" as ab| cd| ef: nothing is shared
        ([0, 2, 5, 8], [0, 1, 2], [1, 2, 3], [False, False, False]),
        # ab cd| ef: one token of two words is the first one's, and the second has none
        ([0, 5, 8], [0, 1, 1], [1, 1, 2], [True, True, False]),
        # "ab |cd| ef": the space before cd is in the token of ab, as the line break is in Llama's ".\n"
        ([0, 3, 5, 8], [0, 1, 2], [1, 2, 3], [True, True, False]),
        # a| three tokens of one character| ...: tokens with equal positions belong together
        ([0, 1, 1, 1, 2, 5, 8], [0, 4, 5], [4, 5, 6], [False, False, False]),
        # a|b cd e|f
        ([0, 1, 7, 8], [0, 2, 2], [2, 2, 3], [True, True, True]),
    ],
)
def test_tokens_that_cover_neighbours(positions, firsts, lasts, shared):
    found = tokens_of_words(np.array(positions), bounds_of_words("ab cd ef"))
    assert tuple(map(np.ndarray.tolist, found)) == (firsts, lasts, shared)


def test_words_begin_with_white_space_or_do_not_come():
    words = vocabulary()
    found = {*word_beginnings(words).tolist()}
    for text in (" eat", "\n", " ", "\t"):
        assert words.encode(text)[0] in found
    assert words.tokenizer.eos_token_id in found
    assert not found & {*words.encode("eat"), *words.encode("."), *range(words.base_size, words.size)}


def test_unigrams_are_smoothed_counts_of_folded_words():
    unigrams = Unigrams(["The cat, the dog.", "«The» end"])
    # 3 the, 1 cat, 1 dog, 1 end: 6 words of 4 kinds.
    assert unigrams.record() == {"words": 6, "kinds": 4}
    found = unigrams.bits(pd.Series(["the", "THE!", "dog", "bird", "..."]))
    expected = [math.log2(11 / 4), math.log2(11 / 4), math.log2(11 / 2), math.log2(11), math.log2(11)]
    assert found == pytest.approx(expected)
