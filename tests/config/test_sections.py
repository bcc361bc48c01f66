"""The types of sections, sections of keyword values, and the rules over several fields."""

import pytest
from pydantic import ValidationError

from ilm.config.check import build
from ilm.config.infill import Decoding
from ilm.config.train import Data, Validation
from ilm.errors import UserError

DATA = {
    "batch_size": 8,
    "max_tokens_per_batch": None,
    "max_length": 256,
    "row_tokens": None,
    "num_workers": 0,
    "levels_drawn": "natural",
    "only": None,
    "like": None,
    "draw": 0,
    "condition": None,
}


def test_sections_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Decoding().top_k = 3


@pytest.mark.parametrize("value", [True, 1.5, "x", None, [1]])
def test_types_are_strict(value):
    with pytest.raises(ValidationError):
        Decoding(seed=value)


def test_values_of_a_terminal_or_a_form_are_text():
    assert build(Decoding, top_p="0.5", candidates="2", cut="no") == Decoding(top_p=0.5, candidates=2, cut=False)


def test_whole_numbers_are_numbers():
    assert isinstance(Decoding(temperature=2).temperature, float)


def test_a_section_of_keyword_values_tells_all_mistakes():
    with pytest.raises(UserError) as caught:
        build(Decoding, candidates=4, beams=2, top_p=1.5, temprature=1, method="best")
    assert str(caught.value).split("; ") == [
        "method=best: expected one of sample, greedy, beam",
        "top_p=1.5: expected at most 1",
        "unknown key temprature",
        "did you mean temperature?",
        "beams=2: expected candidates=4 or more, or 0",
    ]


def test_a_rule_is_skipped_where_a_field_that_it_reads_is_invalid():
    with pytest.raises(UserError) as caught:
        build(Data, **{**DATA, "max_length": 1, "row_tokens": 0, "max_tokens_per_batch": 5})
    assert str(caught.value) == "max_length=1: expected at least 2"


def test_a_block_holds_the_longest_example():
    blocks = [build(Data, **{**DATA, "max_length": length}).block_tokens for length in (64, 256, 1024, 1025)]
    assert blocks == [1024, 1024, 1024, 2048]


def test_a_changed_copy():
    assert Validation(every_n_steps=None, max_examples=5).model_copy(update={"every_n_steps": 3}).every_n_steps == 3
