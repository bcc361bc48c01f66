"""The search alone, on a made-up language of letters whose every answer is known, against all answers there are."""

import itertools
import math
import random
from functools import cache

import pytest
import torch

from ilm.evaluation.cloze.search import BestFirstSearch, Hypothesis, TokenConstraint, TopWords, best_first

LETTERS = "abAc"  # "a" and "A" differ by case alone
END = len(LETTERS)
ROWS = END + 1


@cache
def log_probabilities(seed: int, sharpness: float, token_ids: tuple[int, ...]) -> tuple[float, ...]:
    """Of the letters and the end, after some letters."""
    generator = random.Random(f"{seed} {token_ids}")
    logits = torch.tensor([sharpness * generator.gauss(0, 1) for _ in range(ROWS)])
    return tuple(logits.log_softmax(0).tolist())


def value(seed: int, sharpness: float, token_ids: tuple[int, ...], *, ended: bool) -> float:
    whole = (*token_ids, END) if ended else token_ids
    return sum(log_probabilities(seed, sharpness, whole[:at])[token] for at, token in enumerate(whole))


def reads(token_ids: tuple[int, ...]) -> str | None:
    """Two spellings of one word: c is no letter where it ends; a word of c alone is none."""
    return "".join(LETTERS[token] for token in token_ids).rstrip("c") or None


def search(
    seed: int, sharpness: float, *, ended: bool, longest: int, width: int, wanted: int, rows: int
) -> BestFirstSearch:
    every = torch.arange(ROWS) < END
    grammar = TokenConstraint(every, every, (END,) if ended else (), longest)
    found = BestFirstSearch(0, grammar, TopWords(reads, wanted), width)
    best_first(
        [found],
        lambda hypotheses: torch.tensor([log_probabilities(seed, sharpness, token_ids) for _, token_ids in hypotheses]),
        rows=rows,
        width=width,
    )
    return found


def words_of(spellings: list[Hypothesis]) -> dict[str, float]:
    words: dict[str, float] = {}
    for token_ids, log_probability in spellings:
        word = reads(token_ids)
        words[word] = math.log(math.exp(words.get(word, -math.inf)) + math.exp(log_probability))
    return words


def everything(seed: int, sharpness: float, longest: int, *, ended: bool) -> list[Hypothesis]:
    lengths = range(1, longest + 1) if ended else (longest,)
    spelled = [ids for length in lengths for ids in itertools.product(range(END), repeat=length) if reads(ids)]
    return [Hypothesis(ids, value(seed, sharpness, ids, ended=ended)) for ids in spelled]


@pytest.mark.parametrize("ended", [True, False], ids=["until its end", "of a given length"])
@pytest.mark.parametrize("sharpness", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("rows", [1, 50])
def test_a_complete_search_misses_no_word_whatever_its_spellings(ended, sharpness, rows):
    for seed in range(5):
        found = search(seed, sharpness, ended=ended, longest=4, width=1000, wanted=5, rows=rows)
        assert found.is_complete
        every = everything(seed, sharpness, 4, ended=ended)
        expected, listed, bar = words_of(every), words_of(found.top.hypotheses), math.exp(found.top.bar)
        for word in (word for word, log_p in expected.items() if math.exp(log_p) > bar + 1e-9):
            # But for spellings and beginnings that have less than a tenth of the bar each.
            rare = sum(math.exp(log_p) for ids, log_p in every if reads(ids) == word and math.exp(log_p) <= bar / 10)
            assert math.exp(expected[word]) - math.exp(listed.get(word, -math.inf)) <= rare + bar / 10 * 8
        for ids, log_p in found.top.hypotheses:
            assert log_p == pytest.approx(value(seed, sharpness, ids, ended=ended), abs=1e-4)


@pytest.mark.parametrize("rare", [0.09, 0.03])
def test_a_word_whose_two_spellings_are_each_below_the_bar_is_listed_where_their_sum_is_above(rare):
    """`b` has the probability .1 and `a` twice .09, or once .09 and once .03, by way of its silent c."""
    chances = {(): [0.09, 0.1, 0.31, 0.5 * rare / 0.09], (0,): [0, 0, 0, 0, 1.0], (3,): [0.18, 0, 0, 0]}

    def next_logits(hypotheses) -> torch.Tensor:
        rows = []
        for _, token_ids in hypotheses:
            row = chances.get(token_ids, [0, 0, 0, 0, 1.0])
            rows.append([*row, *[0.0] * (ROWS - len(row))])
        left_over = torch.tensor(rows).clamp(min=1e-12)
        waste = (1 - left_over.sum(1, keepdim=True)).clamp(min=1e-12)
        return torch.cat([left_over, waste], dim=1).log()

    usable = torch.arange(ROWS + 1) < END
    spells = lambda ids: "".join(LETTERS[token] for token in ids).replace("c", "") or None  # noqa: E731
    found = BestFirstSearch(0, TokenConstraint(usable, usable, (END,), 3), TopWords(spells, 2), 100)
    best_first([found], next_logits, rows=1, width=100)
    sums: dict[str, float] = {}
    for ids, log_p in found.top.hypotheses:
        sums[spells(ids)] = sums.get(spells(ids), 0) + math.exp(log_p)
    assert sums["a"] == pytest.approx(0.09 + rare, abs=1e-4)
    assert sorted(sums, key=sums.get)[-2:] == ["a", "A"], "and not b"


def test_the_bar_is_the_worst_wanted_word_where_words_that_differ_by_case_are_one():
    found = TopWords(reads, 2)
    found.add(Hypothesis((0,), math.log(0.3)))  # a
    found.add(Hypothesis((2,), math.log(0.2)))  # A
    assert found.bar == -math.inf, "one word so far"
    found.add(Hypothesis((1,), math.log(0.05)))  # b
    assert found.bar == pytest.approx(math.log(0.05))
    found.add(Hypothesis((1, 3), math.log(0.002)))  # less than a tenth
    assert len(found.hypotheses) == 3
    found.add(Hypothesis((1, 3), math.log(0.06)))  # b again
    assert found.bar == pytest.approx(math.log(0.11))
    found.add(Hypothesis((1, 3, 3), math.log(0.12)))  # and again
    assert found.bar == pytest.approx(math.log(0.23))
    found.add(Hypothesis((3,), math.log(0.9)))  # no word
    assert len(found.hypotheses) == 5
    # The worth of a word is that of its likeliest writing, not of all its cases together.
    found.add(Hypothesis((0, 1), math.log(0.4)))  # ab
    assert found.bar == pytest.approx(math.log(0.3))


def test_a_search_that_is_too_narrow_says_so():
    states = {}
    for width in (1, 2, 4, 1000):
        found = search(1, 0.3, ended=True, longest=4, width=width, wanted=5, rows=4)
        states[width] = (found.is_complete, set(words_of(found.top.hypotheses)))
    assert states[1000][0]
    assert not states[1][0]
    for complete, words in states.values():
        assert not complete or words == states[1000][1]


def test_beginnings_that_are_too_many_are_told_where_every_token_was_looked_at():
    """4 tokens may follow, of which a width of 5 leaves none out; but 16 beginnings have two."""
    found = search(1, 0.3, ended=True, longest=4, width=5, wanted=40, rows=4)
    assert not found.is_complete


def test_what_ends_an_answer_may_be_its_first_token():
    """BART's answers end with a token of the text: `for` before `for` is an answer, and two of them are not three."""
    every = torch.ones(2, dtype=torch.bool)
    found = BestFirstSearch(
        0, TokenConstraint(every, every, (0,), 3), TopWords(lambda ids: "xy"[ids[0]] * len(ids), 100), 100
    )
    best_first([found], lambda hypotheses: torch.zeros(len(hypotheses), 2), rows=4, width=100)
    assert {ids for ids, _ in found.top.hypotheses} == {(0,), (1,), (0, 1), (1, 1), (0, 1, 1), (1, 1, 1)}


def test_searches_do_not_disturb_each_other():
    alone = [search(s, 1.0, ended=True, longest=3, width=50, wanted=5, rows=1).top.hypotheses for s in (1, 2)]
    every = torch.arange(ROWS) < END
    pair = [BestFirstSearch(n, TokenConstraint(every, every, (END,), 3), TopWords(reads, 5), 50) for n in (1, 2)]
    best_first(
        pair,
        lambda hypotheses: torch.tensor([log_probabilities(s.item, 1.0, token_ids) for s, token_ids in hypotheses]),
        rows=2,
        width=50,
    )
    for apart, together in zip(alone, pair, strict=True):
        assert words_of(apart) == pytest.approx(words_of(together.top.hypotheses))
