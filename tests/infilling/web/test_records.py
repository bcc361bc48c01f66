"""Answers in braces, and the levels' shares of a probability."""

import math
import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.errors import UserError
from ilm.infilling.candidates import Infilling
from ilm.infilling.token_bytes import TokenBytes
from ilm.infilling.web.braces import parse_braces, unit_of
from ilm.infilling.web.level_posterior import cautions, level_posterior
from ilm.infilling.web.service import candidate_record
from tests.infilling.small_models import vocabulary

MIXED = ["It", None, None, "x", "y", None]
TYPES = ("document", "paragraph", "sentence", "ngram", "word")


@pytest.mark.parametrize(
    ("typed", "text", "answers"),
    [
        ("She ate {leftover pasta} for {lunch}.", "She ate [ngram] for [word].", ["leftover pasta", "lunch"]),
        ("She ate {word: leftover pasta}.", "She ate [word].", ["leftover pasta"]),
        ("Note {well: this} and {ngram:}", "Note [ngram] and [word]", ["well: this", "ngram:"]),
        ("for{ lunch }now", "for [word] now", ["lunch"]),
        ("A lone { brace } {x", "A lone  [word]  {x", ["brace"]),
        ("{} { } :-} {{a}", "{} { } :-} {[word]", ["a"]),
        ("{I like it.} {Why? I do.} {One.\nTwo.}", "[sentence] [paragraph] [document]", None),
        ("I [word] {it}", "I [word] [word]", [None, "it"]),
        (
            "{It} _ [ngram:2 words]{ x} a_b {y}_",
            "[word] _ [ngram:2 words] [word] a_b [word]_",
            ["It", None, None, "x", "y", None],
        ),
    ],
)
def test_braces_become_blanks(typed, text, answers):
    found = parse_braces(typed, TYPES, ())
    assert found[0] == text
    if answers is not None:
        assert list(found[1]) == answers


def test_a_type_the_model_has_not():
    assert parse_braces("{two words} {word: x}", ("punctuation",), ()) == ("[MASK] [MASK]", ("two words", "word: x"))
    with pytest.raises(UserError, match="no blanks of type word, only punctuation"):
        parse_braces("{word: x}", ("punctuation",), ("word",))


@pytest.mark.parametrize("answer", ["don’t", "42", "...", "Hello!"])
def test_one_word(answer):
    assert unit_of(answer) == "word"


@given(st.text(alphabet="ab {}:\n.", max_size=200))
def test_any_text_is_read_and_no_character_lost(typed):
    text, answers = parse_braces(typed, (), ())
    answers = [answer for answer in answers if answer is not None]
    parts = text.split("[MASK]")
    rebuilt = parts[0] + "".join(f"{{{a}}}{part}" for a, part in zip(answers, parts[1:], strict=True))
    assert "".join(rebuilt.split()) == "".join(typed.split())


def test_many_braces_are_read_at_once():
    """No pattern here goes over a text again and again."""
    begin = time.perf_counter()
    for text in (
        *("{" * 200_000, "{ " * 100_000, "{a" + " " * 200_000, "{word:" * 30_000 + "}"),
        *("{" + " " * 50_000, "{" + " " * 50_000 + "a"),
    ):
        parse_braces(text, TYPES, ())
    assert time.perf_counter() - begin < 10


def test_shares_are_a_softmax_over_levels():
    shares = level_posterior([("A1", -10.0), ("B1", -11.0), ("C1", -13.0), ("all", -1.0)])
    total = math.exp(0) + math.exp(-1) + math.exp(-3)
    assert shares == pytest.approx({"A1": 1 / total, "B1": math.exp(-1) / total, "C1": math.exp(-3) / total})


def test_models_of_one_level_are_averaged():
    shares = level_posterior([("A1", math.log(0.2)), ("A1", math.log(0.4)), ("B1", math.log(0.1))])
    assert shares == pytest.approx({"A1": 0.75, "B1": 0.25})


def test_shares_of_what_no_float_holds():
    assert level_posterior([("A1", -5000.0), ("B1", -5000.0)]) == pytest.approx({"A1": 0.5, "B1": 0.5})
    assert level_posterior([("A1", -math.inf), ("B1", -9.0)]) == {"A1": 0.0, "B1": 1.0}
    assert level_posterior([("A1", -math.inf), ("B1", -math.inf)]) == {}


@pytest.mark.parametrize("scored", [[], [("A1", -1.0)], [("A1", -1.0), ("A1", -2.0), ("all", -1.0)]])
def test_one_level_has_no_share(scored):
    assert level_posterior(scored) == {}


def trained(name: str, steps: int, targets: int, loss: float, model: str = "gpt2", corpus: str = "c") -> Any:
    status = {
        "step": steps,
        "best": {"infill_textonly": loss},
        "targets_seen": {"context": {}, "infill": {name: targets}},
    }
    family = {"model": model, "masking": "hierarchical", "experiment": None}
    run = SimpleNamespace(status=status)
    return SimpleNamespace(
        name=name, level=name, run=run, trained=lambda: (run, None), family=family, documents_hash=corpus
    )


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ([trained("A1", 9000, 100, 2.0), trained("B1", 8000, 110, 2.1)], []),
        ([trained("A1", 9000, 100, 2.0), trained("all", 8000, 900, 2.1)], []),
        ([trained("A1", 9000, 300, 2.0), trained("B1", 8000, 100, 2.1)], ["A1 was trained on 3.0 times as many"]),
        (
            [trained("A1", 9000, 100, 2.0), trained("B1", 9000, 100, 2.0, model="tiny", corpus="d")],
            ["The models differ in more than level (model, corpus)"],
        ),
        (
            [trained("A1", 60, 100, 2.0)],
            ["the shares say next to nothing about levels: A1 (60 steps"],
        ),
        ([trained("A1", 60_000, 100, 6.0)], ["steps, validation perplexity of answers 403)"]),
    ],
)
def test_what_in_their_training_makes_models_incomparable_is_told(models, expected):
    found = cautions(models)
    assert len(found) == len(expected)
    assert all(part in caution for part, caution in zip(expected, found, strict=True))


def test_tokens_of_one_character_are_told_together():
    words = vocabulary()
    ids = (*words.encode(" é😀 eat"), words.end_of_infill)
    values = tuple(-0.5 for _ in ids)
    texts = TokenBytes(words).texts(ids, "é😀 eat")
    infilling = Infilling("é😀 eat!", ("é😀 eat",), ((0, 6),), (ids,), (values,), (texts,), True)
    (answer,) = candidate_record(infilling)["answers"]
    texts = [text for text, _ in answer["tokens"]]
    assert "".join(texts) == "é😀 eat"
    assert texts[-2:] == [" eat", ""]
    assert "😀" in texts
    assert math.fsum(value for _, value in answer["tokens"]) == pytest.approx(-0.5 * len(ids))
    assert dict(answer["tokens"])["😀"] == pytest.approx(-2.0)


def test_infinity_is_null():
    infilling = Infilling("eat", ("eat",), ((0, 3),), ((7, 9),), ((-math.inf, -1.0),), (("eat", ""),), False)
    record = candidate_record(infilling)
    assert record["log_probability"] is None
    assert record["left_out"] == (0, 0)
    assert record["answers"][0]["tokens"] == [("eat", None), ("", -1.0)]
