"""Metrics, calibration and comparisons against values computed by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from ilm.evaluation.cloze.metrics import (
    METRICS,
    blank_metrics,
    compare,
    grouped,
    overlap,
    rank_of,
)


@pytest.mark.parametrize(
    ("word", "answer", "n", "expected"),
    [
        ("pasta", "pasta", 1, (1, 1, 1)),
        ("pasta", "past", 1, (4 / 5, 1, 8 / 9)),
        ("pasta", "aa", 1, (2 / 5, 1, 4 / 7)),  # two of its letters a, as a multiset
        ("pasta", "aaa", 1, (2 / 5, 2 / 3, 4 / 8)),
        ("pasta", "taste", 2, (3 / 4, 3 / 4, 6 / 8)),  # as, st, ta
        ("papa", "pa", 2, (1 / 3, 1, 2 / 4)),  # of pa, ap, pa
        ("pasta", "", 1, (0, 0, 0)),
        ("pasta", "x", 2, (0, 0, 0)),
        ("I", "it", 2, None),
    ],
)
def test_overlap_of_characters(word, answer, n, expected):
    assert overlap(word, answer, n) == (None if expected is None else pytest.approx(expected))


def test_ranks_fold_case_and_give_one_place_to_a_word():
    candidates = ["the", "The", "a", "THIS"]
    assert [rank_of(word, candidates) for word in ("The", "A", "this", "that")] == [1, 2, 3, None]
    assert rank_of("Straße", ["strasse"]) == 1
    assert rank_of("Zoe\u0308", ["Zoë"]) == 1, "composed or not, it is one word"


def test_metrics_of_a_blank():
    candidates = [("Rice", math.log(0.5)), ("pasta", math.log(0.25)), ("x", -9.0)]
    found = blank_metrics("rice", candidates, -1.5, pseudo=False)
    assert {key: found[key] for key in ("exact", "folded", "top5", "mrr")} == {
        "exact": 0,
        "folded": 1,
        "top5": 1,
        "mrr": 1,
    }
    assert found["confidence"] == pytest.approx(0.5)
    assert found["log_probability"] == -1.5
    assert math.isnan(found["pseudo_log_likelihood"])
    second = blank_metrics("pasta", candidates, -1.5, pseudo=True)
    assert (second["folded"], second["top5"], second["mrr"]) == (0, 1, 0.5)
    assert second["unigram_recall"] == 0.0  # rice and pasta share no letter
    assert second["pseudo_log_likelihood"] == -1.5
    assert math.isnan(second["log_probability"])


def test_top_10_reaches_further_than_top_5():
    candidates = [(letter, -float(place)) for place, letter in enumerate("abcdefghij")]
    found = [blank_metrics(word, candidates, None, False) for word in "efjk"]
    assert [f["top5"] for f in found] == [1, 0, 0, 0]
    assert [f["top10"] for f in found] == [1, 1, 1, 0]
    assert [f["mrr"] for f in found] == [1 / 5, 1 / 6, 1 / 10, 0]


def test_no_answer_counts_as_wrong_and_has_no_confidence():
    found = blank_metrics("pasta", [], None, pseudo=False)
    counted = [metric for metric in METRICS if metric not in ("log_probability", "pseudo_log_likelihood")]
    assert [found[metric] for metric in counted] == [0.0] * len(counted)
    assert math.isnan(found["confidence"])
    assert math.isnan(found["log_probability"])


def test_groups():
    rows = []
    for number, (level, own, right) in enumerate([("A1", 1, 1), ("A1", 3, 0), ("B1", None, 1)]):
        metrics = dict.fromkeys(METRICS, math.nan) | {"folded": float(right)}
        about = {"model": "m", "run": "m", "unit": number, "cefr_level": level, "l1": "French"}
        about |= {"position": ("first", "second", "last")[number], "word_class": "content word"}
        rows.append(about | {"subtokens": number + 1, "own_subtokens": own, **metrics})
    blanks = pd.DataFrame(rows)
    blanks["position"] = pd.Categorical(blanks["position"], ["first", "second", "last"])
    found = grouped(blanks).set_index(["grouping", "group"])
    assert list(dict.fromkeys(found.loc["position"].index)) == ["first", "second", "last"], "in their order"
    assert found.loc[("all", "all"), "value"] == pytest.approx(2 / 3)
    assert found.loc[("cefr_level", "A1"), ["value", "n", "units"]].tolist() == [0.5, 2, 2]
    assert found.loc[("subtokens", "2"), "value"] == 0
    assert found.loc[("subtokens_grouped", "3-4"), "n"] == 1
    counts = pd.concat([blanks[:1].assign(subtokens=count) for count in (1, 2, 3, 4, 5, 9, None)], ignore_index=True)
    found_by_count = grouped(counts).set_index("grouping").loc["subtokens_grouped"].set_index("group")
    assert found_by_count["n"].to_dict() == {"1": 1, "2": 1, "3-4": 2, "5+": 2}
    assert set(found.loc["own_subtokens"].index) == {"1", "3"}, "a blank without tokens is in no group of theirs"
    assert "part_of_speech" not in found.index.get_level_values(0)


def asked_of(kinds: dict[str, str], level=lambda number: "A1") -> pd.DataFrame:
    """Twelve texts with a blank each, which every model answers rightly; the log-probability of the word falls."""
    rows = []
    for model, kind in kinds.items():
        for number in range(12):
            metrics = blank_metrics("x", [("x", -0.1)], -float(number), kind == "mlm")
            about = {
                "model": model,
                "run": model,
                "item": f"{number}#0",
                "blank": 0,
                "unit": number,
                "cefr_level": level(number),
            }
            rows.append(about | metrics)
    return pd.DataFrame(rows)


def test_log_probabilities_are_compared_within_a_kind():
    kinds = {"a": "ilm", "b": "ilm", "m": "mlm", "n": "mlm", "t": "t5"}
    blanks = asked_of(kinds)
    found = compare(blanks, kinds, resamples=50, seed=0)
    pairs = {metric: set(zip(part["a"], part["b"], strict=True)) for metric, part in found.groupby("metric")}
    assert pairs["log_probability"] == {("a", "b")}
    assert pairs["pseudo_log_likelihood"] == {("m", "n")}
    assert len(pairs["exact"]) == 10
    # A blank without a value counts for neither of a pair.
    blanks.loc[0, "log_probability"] = math.nan
    found = compare(blanks, kinds, resamples=50, seed=0)
    assert found.set_index("metric").loc["log_probability", "n"] == 11


def test_pairs_are_compared_within_levels_too():
    kinds = {"a": "ilm", "b": "ilm", "c": "ilm"}
    blanks = asked_of(kinds, level=lambda number: ("A1", "B1")[number % 2])
    # At B1 model b is wrong, and only there.
    blanks.loc[(blanks["model"] == "b") & (blanks["cefr_level"] == "B1"), "folded"] = 0.0
    found = compare(blanks, kinds, resamples=50, seed=0)
    folded = found[(found["metric"] == "folded") & (found["a"] == "a") & (found["b"] == "b")].set_index("group")
    assert folded["difference"].to_dict() == {"all": 0.5, "A1": 0.0, "B1": 1.0}
    assert folded["n"].to_dict() == {"all": 12, "A1": 6, "B1": 6}
    # Holm: three pairs over all blanks; three pairs in two levels.
    assert folded.loc["B1", "p_holm"] == pytest.approx(min(1, 6 * folded.loc["B1", "p"]))
    one_level = compare(asked_of(kinds), kinds, resamples=50, seed=0)
    assert set(one_level["grouping"]) == {"all"}, "one level is all there is"


def test_a_model_alone_is_compared_with_nothing():
    assert len(compare(asked_of({"a": "ilm"}), {"a": "ilm"}, resamples=50, seed=0)) == 0


def test_a_probability_is_at_most_one():
    """Sums of floats over tokenisations may miss it by a hair."""
    assert blank_metrics("pasta", [("pasta", 1e-7)], None, False)["confidence"] == 1.0


def test_runs_of_one_model_add_the_variance_of_training():
    blanks = asked_of({"a": "ilm", "b": "ilm", "c": "ilm"})
    blanks = blanks.assign(l1="Thai", position="x", word_class="y", subtokens=1.0, own_subtokens=1.0)
    right = {"a": 0.0, "b": (np.arange(36) % 12 < 6).astype(float), "c": 1.0}
    for run, values in right.items():
        blanks.loc[blanks["run"] == run, "folded"] = values if run != "b" else values[:12]
    apart = grouped(blanks).query("grouping == 'all' and metric == 'folded'").set_index("model")
    one = blanks.assign(model="a")
    together = grouped(one).query("grouping == 'all' and metric == 'folded'").iloc[0]
    assert (together["value"], together["n"], together["units"]) == (pytest.approx(0.5), 36, 12)
    # Over the texts: means over runs of 2/3 for six of them and 1/3 for six; over runs: 0, 1/2, 1.
    texts = 12 / 11 * 12 * (1 / 6) ** 2 / 12**2
    assert together["standard_error"] == pytest.approx(math.sqrt(texts + 0.25 / 3))
    assert apart.loc["a", "standard_error"] == 0
    # A pair is compared by means over runs.
    paired = compare(pd.concat([one, blanks[blanks["run"] == "a"].assign(model="z")]), {"a": "ilm", "z": "ilm"}, 50, 0)
    assert paired.set_index("metric").loc["folded", "difference"] == pytest.approx(0.5)
