import json
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ilm.corpus.near_duplicates as module
from ilm.corpus.near_duplicates import band_width, connected, jaccard, near_duplicate_clusters, near_duplicates_among
from ilm.corpus.text_keys import folded, text_keys
from tests.conftest import environment

WORDS = [
    "my",
    "your",
    "friend",
    "lives",
    "in",
    "a",
    "small",
    "town",
    "near",
    "the",
    "sea",
    "and",
    "likes",
    "to",
    "cook",
]
WORDS += ["swim", "read", "travel", "every", "summer", "it’s", "😀", "great"]


def column(texts: list[str]) -> pd.Series:
    return pd.Series(texts, dtype="str")


def labels(texts: list[str], threshold: float) -> list[int]:
    """The cluster of each text."""
    values = column(texts)
    return near_duplicate_clusters(values, text_keys(values), threshold).tolist()


def groups(label: list[int]) -> set[frozenset[int]]:
    """The clusters as sets of rows."""
    return {frozenset(row for row, other in enumerate(label) if other == of) for of in label}


def shingles(text: str) -> set[str]:
    """The definition, in plain Python."""
    text = folded(text).ljust(5, "\0")
    return {text[start : start + 5] for start in range(len(text) - 4)}


def similarity(one: str, other: str) -> float:
    return overlap(shingles(one), shingles(other))


def overlap(a: set[str], b: set[str]) -> float:
    return (common := len(a & b)) / (len(a) + len(b) - common)


def edited(text: str, words: int, random_: random.Random) -> str:
    """The text with some words put in the place of others."""
    parts = text.split()
    for _ in range(words):
        parts[random_.randrange(len(parts))] = random_.choice(WORDS)
    return " ".join(parts)


def planted(count: int, copies: int, seed: int) -> list[str]:
    random_ = random.Random(seed)
    originals = [" ".join(random_.choice(WORDS) + str(random_.randrange(30)) for _ in range(40)) for _ in range(count)]
    return originals + [edited(text, random_.randrange(1, 8), random_) for text in originals for _ in range(copies)]


def test_similarity_is_of_sets_of_five_characters():
    # abcde bcdef | abcde bcdeg; a text shorter than five is one shingle; repeated ones count once
    strings = ["abcdef", "abcdeg", "ab", "abc", "aaaaaaaa", "aaaaa", "日本語の文章だ", "日本語の文章"]
    found = jaccard(strings, np.array([0, 0, 2, 2, 4, 6]), np.array([1, 0, 3, 2, 5, 7]))
    assert found.tolist() == [1 / 3, 1.0, 0.0, 1.0, 1.0, 2 / 3]


@given(st.lists(st.text(max_size=40), min_size=2, max_size=12))
def test_similarity_equals_that_of_python_sets(texts):
    pairs = np.array([(a, b) for a in range(len(texts)) for b in range(a)])
    found = jaccard([folded(text) for text in texts], pairs[:, 0], pairs[:, 1])
    assert found == pytest.approx([similarity(texts[a], texts[b]) for a, b in pairs])


def test_bands_find_pairs_at_the_threshold():
    assert [band_width(s) for s in (0.5, 0.8, 0.9, 1.0)] == [3, 6, 10, 126]
    assert band_width(0.001) == 1


@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_planted_copies_are_found_and_nothing_else(threshold):
    texts = planted(100, 3, seed=0)
    sets = [shingles(text) for text in texts]
    label = labels(texts, threshold)
    true = [(a, b) for b in range(len(texts)) for a in range(b) if overlap(sets[a], sets[b]) >= threshold]
    reachable = connected(len(texts), true)
    assert all(len({reachable[row] for row in rows}) == 1 for rows in groups(label))
    assert len(true) > 90
    assert sum(label[a] == label[b] for a, b in true) >= 0.98 * len(true)


def test_many_equal_texts_are_joined_to_one():
    texts = ["The same text, again and again."] * 3000 + ["the SAME  text,\nagain and again."] * 2000 + ["another one"]
    assert groups(labels(texts, 0.8)) == {frozenset(range(5000)), frozenset([5000])}


def test_copies_of_one_model_cost_about_one_comparison_each(monkeypatch):
    model = " ".join(WORDS * 4)
    texts = [f"{model} {n}" for n in range(2000)]
    compared = []
    monkeypatch.setattr(module, "jaccard", lambda s, a, b: compared.append(len(a)) or jaccard(s, a, b))
    assert len(set(labels(texts, 0.8))) == 1
    assert sum(compared) < 3 * len(texts)


def test_loosely_similar_texts_in_one_bucket_cost_a_bounded_number_of_comparisons(monkeypatch):
    monkeypatch.setattr(module, "LEADERS", 4)
    asked = []
    original = module._Index._agreeing
    monkeypatch.setattr(module._Index, "_agreeing", lambda self, a, b: asked.append(len(a)) or original(self, a, b))
    opening = " ".join(WORDS)
    texts = [f"{opening} {' '.join(random.Random(n).choices(WORDS, k=20))}" for n in range(1000)]
    labels(texts, 0.8)
    assert sum(asked) <= 1000 * 21 * 4


def test_short_and_empty_texts_are_similar_to_equal_ones_alone():
    alone = {frozenset([row]) for row in range(1, 6)}
    assert groups(labels(["a", "b", "ab", "abc", "abcd", "", "A "], 0.2)) == {frozenset([0, 6]), *alone}
    assert labels([], 0.8) == []


def test_a_long_text_among_short_ones():
    long = " ".join(random.Random(1).choices(WORDS, k=100_000))
    texts = ["short", long, "short ", f"{long} and more", "other"]
    assert groups(labels(texts, 0.8)) == {frozenset([0, 2]), frozenset([1, 3]), frozenset([4])}


@settings(max_examples=15)
@given(st.randoms(use_true_random=False), st.sampled_from([0.5, 0.8, 0.95]))
def test_clusters_do_not_depend_on_the_order_of_the_rows(random_, threshold):
    texts = planted(20, 2, seed=random_.randrange(1000))
    texts += random_.choices(texts, k=10)
    order = random_.sample(range(len(texts)), len(texts))
    again = groups(labels([texts[row] for row in order], threshold))
    assert groups(labels(texts, threshold)) == {frozenset(order[row] for row in rows) for rows in again}


def test_clusters_do_not_depend_on_the_number_of_threads():
    code = (
        "import json, sys, pandas\n"
        "from ilm.corpus.near_duplicates import near_duplicate_clusters\n"
        "from ilm.corpus.text_keys import text_keys\n"
        "texts = pandas.Series(json.load(sys.stdin), dtype='str')\n"
        "print(near_duplicate_clusters(texts, text_keys(texts), 0.7).tolist())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(planted(300, 2, seed=3)),
            capture_output=True,
            text=True,
            check=True,
            env=environment(RAYON_NUM_THREADS=threads),
        ).stdout
        for threads in ("1", "4")
    }
    assert len(found) == 1
    assert len({*json.loads(*found)}) < 900


def test_partners_are_direct_and_in_the_reference():
    a = " ".join(WORDS) + " my brother works as a cook in the north and my sister is a nurse"
    b = a.replace("brother works", "uncle worked")
    c = b.replace("sister is a nurse", "aunt was a doctor")
    assert min(similarity(a, b), similarity(b, c)) >= 0.75 > similarity(a, c)
    texts = column([a, b, c, "something else", a.upper(), "another thing"])
    reference = np.array([True, False, False, False, False, True])
    keys = text_keys(texts)
    assert near_duplicates_among(texts, keys, ~reference, reference, 0.75).tolist() == [-1, 0, -1, -1, 0, -1]
    asked = np.array([False, True, False, True, False, False])
    assert near_duplicates_among(texts, keys, asked, reference, 0.75).tolist() == [-1, 0, -1, -1, -1, -1]


@settings(max_examples=15)
@given(st.randoms(use_true_random=False), st.sampled_from([0.5, 0.8]), st.booleans())
def test_no_partner_across_clusters(random_, threshold, few_leaders):
    """What the search for clusters leaves apart, the search for partners does not find either."""
    texts = planted(40, 3, seed=random_.randrange(1000))
    with pytest.MonkeyPatch.context() as patch:
        if few_leaders:
            patch.setattr(module, "LEADERS", 1)
        label = labels(texts, threshold)
        reference = np.isin(label, random_.sample(sorted(set(label)), 20))
        values = column(texts)
        assert (near_duplicates_among(values, text_keys(values), ~reference, reference, threshold) == -1).all()
