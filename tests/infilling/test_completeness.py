"""Which candidates are finished: those that the model closed, or that are as long as their own limits allow."""

import pytest

from ilm.infilling.blanks import BlankLimits
from ilm.infilling.infiller import Infiller
from tests.infilling.small_models import ENTRIES, MASK_TYPES, Bigrams, decoding, vocabulary

ROWS = ENTRIES + 2 + len(MASK_TYPES)


@pytest.fixture(scope="module")
def infiller() -> Infiller:
    """It goes on with " eat" for ever."""
    words = vocabulary()
    model = Bigrams(ROWS)
    (eat,) = words.encode(" eat")
    model.table[:, eat] = 50.0
    return Infiller(model, words)


@pytest.mark.parametrize("settings", [{"method": "greedy"}, {"seed": 1}])
@pytest.mark.parametrize(
    ("typed", "complete"),
    [
        ("I [word:2 tokens] it", True),
        ("I [word:1-3 tokens] it and [word:-2 tokens]", True),
        ("I [word:5- tokens] it", False),
        ("I [word:2 tokens] it and _", False),
        ("I _ it and [word:2 tokens]", False),
        ("I [word:eat...] it", False),
    ],
)
def test_an_answer_as_long_as_asked_is_finished(infiller, typed, complete, settings):
    for result in infiller(typed, decoding(max_answer_tokens=4, **settings))[0]:
        assert result.complete is complete
        assert [len(ids) - 1 for ids in result.token_ids] == [
            limits.max_tokens or 4 + (limits.min_tokens == 5) for limits in infiller.context(typed).limits
        ]


def test_a_search_finishes_answers_as_long_as_asked(infiller):
    """Its answers end where they may, however little that is expected: here there is one place."""
    for typed, complete in (("I [word:2 tokens] it", True), ("I [word:4- tokens] it", False)):
        for result in infiller(typed, decoding(method="beam", candidates=3, max_answer_tokens=4))[0]:
            assert result.complete is complete


def test_a_context_has_its_own_limits(infiller):
    context = infiller.context("I _ it", [BlankLimits(max_tokens=2)])
    results = infiller([context, "_ it"], decoding(method="greedy", max_answer_tokens=3))
    assert [group[0].answers for group in results] == [("eat eat",), (" eat eat eat",)]
