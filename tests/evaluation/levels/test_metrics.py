"""Metrics of predicted levels against scikit-learn, scipy and plain loops; intervals; chance."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, root_mean_squared_error

from ilm.corpus.columns import CEFR
from ilm.evaluation.levels.metrics import METRICS, chance, confusion_table, measure
from ilm.evaluation.statistics import calibration


def table(levels, predicted, confidence, units) -> pd.DataFrame:
    return pd.DataFrame({"level": levels, "predicted": predicted, "confidence": confidence, "unit": units})


def drawn(n: int = 400, seed: int = 0, levels: int = 6) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    true = generator.integers(0, levels, n)
    predicted = np.clip(true + generator.integers(-2, 3, n), 0, levels - 1)
    names = np.array(CEFR, dtype=object)
    return table(names[true], names[predicted], generator.uniform(0.2, 1, n), generator.integers(0, 60, n))


def values(predictions: pd.DataFrame, resamples: int = 100) -> dict[str, float]:
    return measure(predictions, resamples, seed=0).table().set_index("metric")["value"].to_dict()


@pytest.mark.parametrize("levels", [2, 5, 6])
def test_metrics_are_those_of_scikit_learn_and_scipy(levels):
    predictions = drawn(levels=levels)
    true, predicted = (
        np.array([CEFR.index(x) + 1 for x in y]) for y in (predictions["level"], predictions["predicted"])
    )
    found = values(predictions)
    assert found["accuracy"] == pytest.approx(accuracy_score(true, predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro", labels=np.unique(true)))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(true, predicted))
    assert found["qwk"] == pytest.approx(cohen_kappa_score(true, predicted, weights="quadratic"))
    assert found["spearman"] == pytest.approx(spearmanr(true, predicted).statistic)
    assert found["adjacent"] == pytest.approx(np.mean([abs(a - b) <= 1 for a, b in zip(true, predicted, strict=True)]))
    right = predictions["level"] == predictions["predicted"]
    columns = (column.to_numpy() for column in (predictions["confidence"], right, predictions["unit"]))
    assert found["ece"] == pytest.approx(calibration(*columns)[0])


def test_metrics_by_hand():
    names = np.array(["A1", "A1", "A1", "C2"], dtype=object)
    said = np.array(["A1", "A2", "B1", "C2"], dtype=object)
    found = values(table(names, said, np.nan, np.arange(4)))
    assert found["accuracy"] == 0.5
    assert found["adjacent"] == 0.75
    assert found["macro_f1"] == pytest.approx((2 * 1 / (3 + 1) + 1) / 2)  # levels that no text has count for nothing
    assert found["rmse"] == pytest.approx(np.sqrt((1 + 4) / 4))
    assert np.isnan(found["ece"])


def test_what_is_not_defined_is_no_number():
    same = np.array(["B1"] * 8, dtype=object)
    found = measure(table(same, same, np.nan, np.arange(8)), 100, seed=0).table().set_index("metric")
    assert np.isnan(found.loc["spearman", ["value", "low", "high"]].astype(float)).all()
    assert found.loc["accuracy", ["value", "low", "high"]].tolist() == [1, 1, 1]


def test_intervals_draw_whole_units():
    # Twenty texts of each of 30 learners, of whom half are always right: as 30 texts.
    right = np.repeat(np.arange(30) % 2 == 0, 20)
    levels = np.where(right, "A1", "A2").astype(object)
    predictions = table(levels, np.array(["A1"] * 600, dtype=object), np.nan, np.repeat(np.arange(30), 20))
    row = measure(predictions, 2000, seed=0).table().set_index("metric").loc["accuracy"]
    assert (row["n"], row["units"], row["value"]) == (600, 30, 0.5)
    # 1.96 standard errors of a mean of 30.
    assert (row["high"] - row["low"]) / 2 == pytest.approx(1.96 * 0.5 / np.sqrt(30), rel=0.1)
    few = measure(predictions[:100], 100, seed=0).table()
    assert few["low"].isna().all()


def test_differences_are_paired():
    generator = np.random.default_rng(1)
    names, units = np.array(CEFR, dtype=object), np.repeat(np.arange(60), 10)
    # Half of the learners are easy for both systems: each has a wide interval, their difference a narrow one.
    true, easy = generator.integers(0, 6, 600), units % 2 == 0
    shift = np.where(easy, 0, 2)
    one, other = (np.clip(true + shift + (generator.random(600) < wrong), 0, 5) for wrong in (0.1, 0.2))
    measured = [measure(table(names[true], names[said], np.nan, units), 500, seed=0) for said in (one, other)]
    difference = measured[0].minus(measured[1]).table().set_index("metric").loc["accuracy"]
    accuracies = [of.table().set_index("metric").loc["accuracy"] for of in measured]
    assert difference["value"] == pytest.approx(accuracies[0]["value"] - accuracies[1]["value"])
    width = difference["high"] - difference["low"]
    assert 0 < width < 0.6 * min(of["high"] - of["low"] for of in accuracies)
    # By hand: the same units drawn for both.
    drawn = np.random.default_rng(0).integers(0, 60, (4000, 60))
    by_unit = np.array([((one == true) * 1.0 - (other == true))[units == unit].mean() for unit in range(60)])
    assert width == pytest.approx(np.subtract(*np.quantile(by_unit[drawn].mean(1), [0.975, 0.025])), rel=0.15)
    nothing = measured[0].minus(measured[0]).table()
    assert (nothing[["value", "low", "high"]] == 0).all(axis=None)


def test_the_order_of_texts_changes_nothing():
    predictions = drawn()
    shuffled = predictions.iloc[np.random.default_rng(1).permutation(400)]
    one, other = (measure(p, 200, seed=3).table() for p in (predictions, shuffled))
    assert list(one["metric"]) == list(METRICS)
    np.testing.assert_allclose(one[["value", "low", "high"]], other[["value", "low", "high"]], rtol=1e-9)
    assert confusion_table(predictions).equals(confusion_table(shuffled))
    assert confusion_table(predictions)["n"].sum() == 400


def test_chance_is_the_sum_of_squared_shares_and_the_largest():
    assert chance(["A1"] * 6 + ["A2"] * 3 + ["B1"]) == {"squares": pytest.approx(0.46), "majority": 0.6}
