"""Function and content words of the closed list."""

import pytest

from ilm.evaluation.cloze.word_classes import CONTENT, FUNCTION, _function_words, word_class


@pytest.mark.parametrize("word", ["the", "The", "WITH", "I", "have", "because", " to "])
def test_function_words(word):
    assert word_class(word) == FUNCTION


@pytest.mark.parametrize("word", ["pasta", "go", "thé", "havd", "3", ""])
def test_all_others_are_content_words(word):
    assert word_class(word) == CONTENT


def test_the_list_holds_words_only():
    assert len(_function_words()) > 200
    assert all(word.isalpha() and word.islower() for word in _function_words())
