"""Studies with known answers, made of arrays: planted, no and random differences between specialists and generalist."""

import numpy as np
import pandas as pd
import pytest

from ilm.evaluation.comparison.contrasts import Contrast, PairedLosses, variance_of_texts
from ilm.evaluation.comparison.controls import exposure
from ilm.evaluation.comparison.records import Model
from ilm.evaluation.comparison.study import HEADLINE, Study, compare, over_topics, specialisation
from ilm.evaluation.losses import Losses, Texts

LEVELS = ["A1", "A2", "B1", "B2", "C1"]
PER_LEVEL = 70


def texts(learners: bool = False, topics: pd.Series | None = None) -> Texts:
    n = PER_LEVEL * len(LEVELS)
    words = ["a " * (10 + k % 40) for k in range(n)]
    columns = {"writing_id": [f"w{k:04}" for k in range(n)], "text": words}
    columns |= {"cefr_level": [LEVELS[k % 5] for k in range(n)], "l1": ["German", "Thai"] * (n // 2)}
    columns |= {} if topics is None else {"topic": topics}
    clusters = np.arange(n) // 5 if learners else np.arange(n)
    return Texts(pd.DataFrame(columns), clusters, "learner" if learners else "text")


def study(effect: float, noise: float, seeds: int = 3, seed: int = 0, kinds=(HEADLINE,), **of_corpus) -> Study:
    """Specialists are better than the generalist by `effect` nats on their level and worse elsewhere."""
    rng, of_texts = np.random.default_rng(seed), texts(**of_corpus)
    levels, n = of_texts.documents["cefr_level"].to_numpy(), len(of_texts.documents)
    targets = rng.integers(5, 40, n)
    difficulty = rng.normal(3, 0.4, n)
    models, nll = [], []
    for level in [*LEVELS, "all"]:
        shift = 0.0 if level == "all" else np.where(levels == level, -effect, 3 * effect)
        models.append(Model(level, level, tuple(range(len(nll), len(nll) + seeds))))
        for _ in range(seeds):
            nll.append((difficulty + shift + rng.normal(0, noise, n) + rng.normal(0, noise / 50)) * targets)
    groups = pd.DataFrame({"l1": of_texts.documents["l1"], "text length": of_texts.lengths})
    losses = Losses(np.stack(nll), targets, np.arange(n), groups)
    return compare(dict.fromkeys(kinds, losses), of_texts, models, 400)


def verdicts_of(found: Study) -> list[str]:
    return found.contrasts.query("family == 'primary'")["verdict"].tolist()


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_planted_difference_is_found(seeds):
    found = study(effect=0.05, noise=0.05, seeds=seeds)
    assert verdicts_of(found) == ["better"] * 5
    exploratory = found.contrasts.query("family == 'exploratory'")
    assert len(exploratory) == 20
    assert (exploratory["theta"] > 0.1).all()
    assert (exploratory["p_adjusted"] < 0.05).all()
    assert (exploratory["verdict"] == "").all()
    (overall,) = found.contrasts.query("family == 'omnibus'").itertuples()
    assert overall.theta == pytest.approx(-0.05, abs=0.01)
    assert overall.low < -0.05 < overall.high
    assert overall.one_seed == (seeds == 1)


@pytest.mark.parametrize("seeds", [1, 3])
def test_equal_models_are_equivalent(seeds):
    assert verdicts_of(study(effect=0.0, noise=0.01, seeds=seeds)) == ["equivalent"] * 5


def test_what_cannot_be_told_is_not_decided():
    assert verdicts_of(study(effect=0.0, noise=0.3)) == ["not decided"] * 5


def test_the_matrix_divides_once():
    found = study(effect=0.05, noise=0.05)
    assert len(found.matrix) == 6 * 5
    rng = np.random.default_rng(0)
    targets = rng.integers(5, 40, PER_LEVEL * 5)
    a1 = found.matrix.query("model == 'A1' and level == 'B1'").iloc[0]
    assert a1["targets"] == targets[2::5].sum()
    assert a1["perplexity"] == pytest.approx(np.exp(a1["loss"]))
    assert a1["low"] < a1["loss"] < a1["high"]
    assert (a1["clusters"], a1["seeds"]) == (PER_LEVEL, 3)


def test_clusters_are_learners():
    found = study(effect=0.05, noise=0.05, learners=True)
    assert (found.contrasts.query("family == 'primary'")["clusters"] == PER_LEVEL).all()
    # Each learner wrote a text of each level.
    assert found.contrasts.query("family == 'omnibus'")["clusters"].tolist() == [PER_LEVEL]


def test_groups_have_intervals_only():
    found = study(effect=0.05, noise=0.05, kinds=("context", HEADLINE)).by_group
    assert set(found["kind"]) == {HEADLINE}
    assert set(found["grouping"]) == {"l1", "text length"}
    assert not {"p", "verdict"} & set(found)
    by_l1 = found.query("grouping == 'l1' and level == 'A2'")
    assert by_l1["group"].tolist() == ["German", "Thai"]
    whole = study(effect=0.05, noise=0.05).matrix.query("level == 'A2' and model == 'A2'")["targets"].item()
    assert by_l1["targets"].sum() == whole
    assert found["clusters"].dtype == found["targets"].dtype == np.int64
    # 35 texts of an L1 are too few for an interval.
    assert by_l1["low"].isna().all()


def test_specialisation_is_what_rows_and_columns_leave():
    found = study(effect=0.05, noise=0.001)
    gain = found.specialisation.pivot(index="model", columns="level", values="gain")
    assert gain.index.tolist() == LEVELS, "a generalist is no specialist"
    # By hand: of each of five levels a loss of -.05 for its own specialist and .15 for the others.
    assert np.allclose(gain, np.where(np.eye(5), 0.2 * 0.8, -0.2 * 0.2), atol=0.01)
    assert np.allclose(gain.mean(axis=0), 0)
    assert np.allclose(gain.mean(axis=1), 0)
    distance = found.specialisation.pivot(index="model", columns="level", values="level_distance")
    assert distance.loc["A1"].tolist() == [0, 1, 2, 3, 4]
    # Own levels gain and are nearest.
    assert found.specialisation["correlation"].iloc[0] > 0.2


def test_gains_that_fall_with_the_distance_of_levels():
    matrix = pd.DataFrame(
        [
            {"kind": HEADLINE, "model": a, "level": b, "loss": 3 + i / 10 + j / 20 + (i - j) ** 2 / 100}
            for i, a in enumerate(LEVELS)
            for j, b in enumerate(LEVELS)
        ]
    )
    found = specialisation(matrix, dict(zip(LEVELS, LEVELS, strict=True)), LEVELS)
    assert found["correlation"].iloc[0] > 0.8
    assert specialisation(matrix[matrix["model"] == "A1"], {"A1": "A1"}, LEVELS).empty


def test_errors_over_topics_stand_beside():
    of_texts = texts()
    topics = of_texts.documents["cefr_level"] + (np.arange(PER_LEVEL * 5) // 5 % 7).astype(str)
    found = study(effect=0.05, noise=0.05, topics=topics)
    plain = study(effect=0.05, noise=0.05)
    assert "topics" not in plain.contrasts
    pd.testing.assert_frame_equal(
        found.contrasts.drop(columns=["topics", "standard_error_over_topics"]), plain.contrasts
    )
    own = found.contrasts.query("family == 'primary'")
    assert own["topics"].tolist() == [7] * 5
    assert found.contrasts.query("family == 'omnibus'")["topics"].tolist() == [35]
    # Topics are no part of the losses here, so errors over them are as large.
    assert 0.3 < (own["standard_error_over_topics"] / own["standard_error"]).mean() < 2


def test_errors_over_topics_keep_the_variance_of_training():
    topics = PairedLosses(np.array([[1.0, 2.0, 0.5]]), np.zeros((1, 3)), np.array([1, 2, 1]))
    of_texts, _ = variance_of_texts([topics])
    seeded = Contrast(0.9, 0.01, 0.04, 9.0, 4, 3, 2.7, (3, 3), None)
    assert over_topics(seeded, [topics])["standard_error_over_topics"] == pytest.approx((of_texts + 0.04) ** 0.5)


def test_any_two_models_are_compared_on_every_level():
    of_texts = texts()
    nll = np.stack([np.full(350, 10.0), np.where(of_texts.documents["cefr_level"] == "B2", 12.0, 10.0)])
    groups = pd.DataFrame({"l1": of_texts.documents["l1"]})
    losses = Losses(nll, np.full(350, 4), np.arange(350), groups)
    models = [Model("A1", "A1", (0,)), Model("B1 lora", "B1", (1,))]
    found = compare({HEADLINE: losses}, of_texts, models, 50).contrasts
    assert found["family"].tolist() == ["primary"] * 5
    assert set(zip(found["a"], found["b"], strict=True)) == {("A1", "B1 lora")}
    assert found["theta"].tolist() == pytest.approx([0, 0, 0, -0.5, 0])


def test_one_model_has_a_matrix_only():
    of_texts = texts()
    losses = Losses(
        np.ones((1, 350)), np.ones(350, int), np.arange(350), pd.DataFrame({"l1": of_texts.documents["l1"]})
    )
    found = compare({HEADLINE: losses}, of_texts, [Model("A1", "A1", (0,))], 50)
    assert len(found.matrix) == 5
    assert found.contrasts.empty
    assert found.by_group.empty


def test_runs_that_started_from_each_other_are_pairs():
    generalist, plain = Model("all", "all", (0, 1, 2)), Model("A1", "A1", (3, 4, 5))
    tuned, another = (
        Model("A1 from-all", "A1", (6, 7, 8), (1, 0, 2)),
        Model("B1 from-all", "B1", (9, 10, 11), (0, 1, 2)),
    )
    assert tuned.paired_with(generalist) == (1, 0, 2)
    assert tuned.paired_with(another) == (10, 9, 11)
    # Equal seeds pair nothing, nor do parents of which some are not compared.
    assert plain.paired_with(generalist) == plain.paired_with(tuned) == ()
    assert tuned.paired_with(Model("all", "all", (0, 1))) == ()


def test_paired_runs_vary_by_their_differences():
    rng, of_texts = np.random.default_rng(0), texts()
    shifts = rng.normal(0, 0.2, 3)  # of the generalist's runs, which those that start from them keep
    nll = np.concatenate([[np.full(350, 3 + shift) for shift in shifts]] * 2) + rng.normal(0, 0.01, (6, 350))
    losses = Losses(nll, np.ones(350, int), np.arange(350), pd.DataFrame({"l1": of_texts.documents["l1"]}))
    v2 = [
        compare({HEADLINE: losses}, of_texts, models, 100).contrasts["v2"].mean()
        for parents in ((), (0, 1, 2))
        for models in [[Model("A1", "A1", (3, 4, 5), parents), Model("all", "all", (0, 1, 2))]]
    ]
    assert v2[1] < 1e-3 * v2[0]


def test_controls_are_a_family_of_their_own():
    """A control of a level is compared there alone, one of all levels everywhere; none of them is primary."""
    of_texts = texts()
    rng, n = np.random.default_rng(0), len(of_texts.documents)
    targets = rng.integers(5, 40, n)
    models = [
        *(Model(level, level, (k,)) for k, level in enumerate(["A1", "B1", "all"])),
        Model("all matched-A1", "all", (3,), control="token-matched", like="A1"),
        Model("all balanced", "all", (4,), control="balanced"),
        Model("A1 from-all", "A1", (5,), control="fine-tuned", like="A1"),
        Model("all average", "all", (6,), control="average"),
        Model("all l1-Thai", "all", (7,), control="selection"),
    ]
    losses = Losses(rng.normal(3, 0.1, (8, n)) * targets, targets, np.arange(n), pd.DataFrame({"l1": ["a"] * n}))
    found = compare({HEADLINE: losses}, of_texts, models, 400).contrasts.set_index("family")
    pairs = {f: {*map(tuple, found.loc[[f], ["level", "a", "b"]].to_numpy())} for f in set(found.index)}
    assert pairs["primary"] == {("A1", "A1", "all"), ("B1", "B1", "all")}
    assert {a for _, a, _ in pairs["exploratory"]} == {"A1", "B1"}
    beside = {(level, "all average", "all") for level in LEVELS} | {("A1", "A1 from-all", "all")}
    balanced = {(level, level, "all balanced") for level in ("A1", "B1")}
    assert pairs["control"] == beside | balanced | {("A1", "A1", "all matched-A1")}
    assert (found.loc["control", "p_adjusted"] >= found.loc["control", "p"]).all()
    assert (found.loc["control", "verdict"] == "").all()


def test_exposure_leaves_out_levels_that_the_corpus_lacks():
    seen = {"A1": [{kind: {"A1": 5.0, "B1": 0.0, "C1": 0.0} for kind in ("context", "infill")}]}
    seen["all"] = [{kind: {"A1": 2.0 - k, "B1": 0.0, "C1": 3.0} for kind in ("context", "infill")} for k in (-1, 1)]
    rows = exposure(seen)[["model", "level", "infill"]].to_records(index=False).tolist()
    assert rows == [("A1", "A1", 5.0), ("A1", "C1", 0.0), ("all", "A1", 2.0), ("all", "C1", 3.0)]
