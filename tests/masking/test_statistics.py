import io
import math
import random

import numpy as np
import pytest
from rich.console import Console

from ilm.masking.functions import Hierarchical, Ngrams, Span, Words
from ilm.masking.masks import Masks
from ilm.masking.segmentation import segment
from ilm.masking.statistics import mask_statistics, statistics_table

TYPES = ("ngram", "word")

# Two documents of 10 and 20 characters, 3 examples asked for: masks (2, 1), (), and (4 and 6 characters).
MASKS = [
    [[Span("word", 0, 2), Span("ngram", 3, 1)], []],
    [[Span("word", 0, 4), Span("word", 9, 6)]],
]
LENGTHS = np.array([7, 7, 7, 7, 10, 7, 7, 20])  # by row
NONE = Masks.of([], [], TYPES)
TRAIN = Masks.of([4, 7], MASKS, TYPES)


def statistics(*parts):
    return mask_statistics(parts, LENGTHS, TYPES, requested=3)


def test_statistics_of_masks_counted_by_hand():
    assert statistics(TRAIN) == {
        "documents": 2,
        "examples": 3,
        "examples_left_out": 3,
        "examples_per_document": {"min": 1, "mean": 1.5, "max": 2},
        "examples_without_span": 1 / 3,
        "spans_per_example": 4 / 3,
        "mask_rate_characters": 13 / 40,  # 10 + 10 + 20 characters over the examples
        "span_types": {"ngram": 0.25, "word": 0.75},
    }


def test_parts_add_up():
    assert statistics(TRAIN, NONE) == statistics(TRAIN)
    both = statistics(TRAIN, TRAIN)
    assert (both["documents"], both["examples"], both["examples_left_out"]) == (4, 6, 6)
    assert both["mask_rate_characters"] == 13 / 40


def test_no_documents_have_rate_zero():
    found = statistics(NONE)
    assert found["examples_per_document"] == {"min": 0, "mean": 0, "max": 0}
    assert found["span_types"] == {"ngram": 0, "word": 0}


def test_the_table_shows_every_split():
    console = Console(width=80, record=True, file=io.StringIO())
    table = statistics_table({"train": statistics(TRAIN), "test": statistics(NONE), "all": statistics(TRAIN, NONE)})
    console.print(table)
    lines = [line.strip("│ ").split("│") for line in console.export_text().splitlines()]
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}
    assert rows["masked characters"] == ["32.5%", "0.0%", "32.5%"]
    assert rows["spans: word"] == ["75.0%", "0.0%", "75.0%"]
    assert rows["fewest / most"] == ["1 / 2", "0 / 0", "1 / 2"]


def test_the_table_says_how_many_different_masks_there_are():
    def caption(requested, note=None):
        return statistics_table({"all": mask_statistics([TRAIN], LENGTHS, TYPES, requested)}, note).caption

    expected = "1.50 distinct masks per document, of 3 asked for; all other draws were repeats."
    assert caption(3) == expected
    assert caption(3, "text column: x") == f"{expected} text column: x"
    full = mask_statistics([Masks.of([4], MASKS[:1], TYPES)], LENGTHS, TYPES, requested=2)
    assert statistics_table({"all": full}).caption is None


# Texts as learners write them: several lines, one long sentence, single words.
LETTERS = [
    "Dear Sir or Madam,\nI am writing to apply for the job. I have five years of experience, and I'm reliable.\n"
    "I look forward to hearing from you!\nYours faithfully, Anna",
    "Hi! My name's Igor. I live in Moscow with my wife and two childrens. We like go to the cinema on Sunday, "
    "because it is cheap and near of our house and the films are not so bad as in the television.",
    "Yes.\nNo!\nMaybe tomorrow.",
]


def expected_spans(text: str, p: float, q: float, max_words: int) -> dict[str, tuple[float, float]]:
    """By mask type the expected number of spans and of masked characters, computed from the rule alone."""
    document = segment(text)
    expected = {"document": np.array([p, p * len(text)])}
    for mask_type in ("paragraph", "sentence", "ngram", "word"):
        expected[mask_type] = np.zeros(2)
    for paragraph in document.paragraphs:
        expected["paragraph"] += (1 - p) * p * np.array([1, paragraph.length])
        for sentence in paragraph.sentences:
            expected["sentence"] += (1 - p) ** 2 * p * np.array([1, sentence.length])
            ngrams, words = expected_in_sentence(sentence.words, p, q, max_words)
            expected["ngram"] += (1 - p) ** 3 * ngrams
            expected["word"] += (1 - p) ** 3 * words
    return expected


def expected_in_sentence(words, p, q, max_words) -> tuple[np.ndarray, np.ndarray]:
    """N-grams and words masked from word i to the end follow from those from the words after it."""
    ngrams = [np.zeros(2) for _ in range(len(words) + 1)]
    singles = [np.zeros(2) for _ in range(len(words) + 1)]
    for i in reversed(range(len(words))):
        k_max = min(max_words, len(words) - i)
        for k in range(1, k_max + 1):
            characters = sum(words[i + k - 1]) - words[i][0]
            ngrams[i] += p * q / k_max * (np.array([1, characters]) + ngrams[i + k])
            singles[i] += p * q / k_max * singles[i + k]
        ngrams[i] += (1 - p * q) * ngrams[i + 1]
        singles[i] += p * (1 - q) * (np.array([1, words[i][1]]) + singles[i + 1])
        singles[i] += (1 - p) * singles[i + 1]
    return ngrams[0], singles[0]


@pytest.mark.parametrize("text", LETTERS)
@pytest.mark.parametrize(("p", "q", "max_words"), [(0.03, 0.5, 8), (0.2, 0.3, 4)])
def test_drawn_masks_have_the_statistics_of_the_rule(text, p, q, max_words):
    draws = 4000
    function, rng = Hierarchical(p, q, max_words), random.Random(0)
    observed = {mask_type: np.zeros((draws, 2)) for mask_type in Hierarchical.mask_types}
    for draw in range(draws):
        for mask_type, _, length in function(text, rng):
            observed[mask_type][draw] += 1, length
    for mask_type, expected in expected_spans(text, p, q, max_words).items():
        error = observed[mask_type].std(axis=0) / math.sqrt(draws)
        assert (abs(observed[mask_type].mean(axis=0) - expected) < 5 * error).all(), mask_type


@pytest.mark.parametrize("function", [Words(), Ngrams()])
def test_the_defaults_of_one_level_hide_about_15_percent(function):
    text, rng = LETTERS[1], random.Random(0)
    rates = [sum(span.length for span in function(text, rng)) / len(text) for _ in range(2000)]
    assert 0.11 < np.mean(rates) < 0.17
