"""Forms in blanks: the sign of the log-odds, equal contexts, and scores that equal the Infiller's own."""

import math

import pandas as pd
import pytest
import torch

from ilm.config.evaluate import Forms
from ilm.config.infill import Decoding
from ilm.evaluation.forms import scoring
from ilm.evaluation.forms.edits import aligned_edits
from ilm.evaluation.forms.results import comparisons, edit_table, preferences
from ilm.evaluation.forms.scoring import DELETION, INSERTION, KEY, SHARED_TOKEN, TOO_LONG, score_batches
from ilm.examples.conditions import store_condition
from ilm.infilling.blanks import filled_example
from ilm.infilling.infiller import Infiller
from tests.infilling.small_models import ENTRIES, MASK_TYPES, random_model, vocabulary

ROWS = ENTRIES + 2 + len(MASK_TYPES)
TYPES = [MASK_TYPES.index("word"), MASK_TYPES.index("ngram")]


@pytest.fixture(scope="module")
def infiller() -> Infiller:
    return Infiller(random_model("gpt2", ROWS), vocabulary())


def parallel(learner: str, corrected: str, name: str = "t") -> dict:
    about = {"writing_id": name, "cefr_level": "A1", "l1": "French", "text": learner, "corrected": corrected}
    return about | {"edits": aligned_edits(learner, corrected)}


def items_of(texts: list[dict], context: str) -> tuple:
    return scoring.items_of(pd.DataFrame(texts), context)


def scored(infiller: Infiller, items, **options) -> dict:
    task = Forms.model_construct(**{"batch_size": 8, "condition": "own", **options})
    records = [record for batch in score_batches(infiller, items, TYPES, task) for record in batch]
    return {tuple(record[field] for field in KEY): record for record in records}


def test_edits_become_blanks_of_either_text():
    texts = [parallel("I likes pasta and play tenis.", "I like pasta and played tennis."), parallel("a", "a", "b")]
    (first, second), counts = items_of(texts, "learner")
    assert (first.before, first.after) == ("I ", " pasta and play tenis.")
    assert (first.learner, first.corrected) == ("likes", "like")
    assert (second.before, second.after) == ("I likes pasta and ", ".")
    assert (second.learner, second.corrected, second.words) == ("play tenis", "played tennis", 2)
    assert counts == {"texts without an edit": 1}
    (first, second), _ = items_of(texts, "corrected")
    assert (second.before, second.after) == ("I like pasta and ", ".")


def test_empty_sides_are_counted():
    items, counts = items_of([parallel("I go home", "I go to home"), parallel("I go to home", "I go home")], "learner")
    assert items == []
    assert counts == {INSERTION: 1, DELETION: 1}


@pytest.mark.parametrize("batch_size", [1, 8])
def test_scores_are_those_of_answers_in_the_same_blank(infiller, batch_size):
    items, _ = items_of(
        [parallel("She eat leftover pasta for my lunch.", "She ate leftover pasta for lunch and I.")], "learner"
    )
    items += items_of([parallel("I likes to eat.", "I like to eat.", "u")], "learner")[0]
    records = scored(infiller, items, batch_size=batch_size)
    assert [record["left_out"] for record in records.values() if "left_out" in record] == []
    for item in items:
        blank = "word" if item.words == 1 else "ngram"
        text = f"{item.before}[{blank}]{item.after}"
        for form in ("learner", "corrected"):
            expected = infiller.score(text, [getattr(item, form)])
            assert records[item.key][form] == pytest.approx(expected, abs=1e-4)


def test_a_model_that_learned_the_learners_form_has_log_odds_above_zero():
    torch.manual_seed(0)  # of the dropout
    words, model = vocabulary(), random_model("gpt2", ROWS).train()
    ids = torch.tensor(filled_example("I likes pasta.", [(2, 5)], [TYPES[0]], words).input_ids[None].astype(int))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(20):
        model(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    infiller = Infiller(model, words)
    texts = [parallel("I likes pasta.", "I like pasta.", f"t{number}") for number in range(7)]
    texts += [parallel("I like pasta.", "I likes pasta.", "turned")]
    items, _ = items_of(texts, "learner")
    records = {"a": scored(infiller, items)}
    record = records["a"]["t0", 0]
    assert record["learner"] < 0
    assert math.exp(record["learner"]) < 1
    edits = edit_table(items, records, {text["writing_id"]: number for number, text in enumerate(texts)})
    odds = edits.set_index("writing_id")["log_odds"]
    assert odds["t0"] > 0
    assert odds["turned"] == pytest.approx(-odds["t0"])
    table = preferences(edits, 100, 0).set_index(["grouping", "group"])
    row = table.loc[("all", "all")]
    assert row["log_odds"] == pytest.approx(odds.mean())
    assert (row["preferred"], row["n"], row["units"]) == (7 / 8, 8, 8)
    assert row["low"] < row["log_odds"] <= row["high"]
    assert table.loc[("words", "1 word"), "n"] == 8
    assert table.loc[("position", "first third"), "n"] == 8


def test_pairs_are_of_the_same_edits():
    items, _ = items_of([parallel("I likes it.", "I like it.", f"t{n}") for n in range(8)], "learner")
    records = {
        "a": {item.key: {"learner": -1.0, "corrected": -3.0} for item in items},
        "b": {item.key: {"learner": -2.0, "corrected": -2.5} for item in items[:7]}
        | {items[7].key: {"left_out": TOO_LONG}},
    }
    edits = edit_table(items, records, {item.writing_id: number for number, item in enumerate(items)})
    assert len(edits) == 15
    (row,) = comparisons(edits, 100, 0).to_dict("records")
    assert (row["a"], row["b"], row["difference"], row["n"]) == ("a", "b", pytest.approx(1.5), 7)
    assert row["p"] == pytest.approx(2 / 2**7)


def test_forms_whose_tokens_reach_into_the_context_are_not_compared(infiller):
    (item,), _ = items_of([parallel("I like it", "I li it")], "learner")
    # "pa" and "sta" are tokens of the context if the form ends within "pasta".
    within = [
        type(item)(**{**vars(item), "before": "I like pa", "after": " too.", "learner": "sta", "corrected": " sta"})
    ]
    assert scored(infiller, within)[item.key] == {"writing_id": "t", "edit": 0, "left_out": SHARED_TOKEN}
    long = [type(item)(**{**vars(item), "before": "I " * 100})]
    assert scored(infiller, long)[item.key]["left_out"] == TOO_LONG


def test_a_conditioned_model_reads_the_prefix_of_task_condition():
    model = random_model("gpt2", ROWS)
    store_condition(model.config, {"cefr_level": ["A1", "B1"]})
    infiller = Infiller(model, vocabulary())
    items, _ = items_of([parallel("I likes pasta.", "I like pasta.")], "learner")
    found = {
        condition: scored(infiller, items, condition=condition)["t", 0] for condition in ("own", "none", "B1", "A1")
    }
    assert found["own"] == found["A1"]
    assert len({found[condition]["learner"] for condition in ("own", "none", "B1")}) == 3
    for condition, level in (("own", "A1"), ("none", None), ("B1", "B1")):
        context = infiller.context("I [word] pasta.", decoding=Decoding(level=level))
        assert found[condition]["corrected"] == pytest.approx(infiller.score(context, ["like"]), abs=1e-4)
