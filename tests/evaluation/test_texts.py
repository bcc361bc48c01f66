"""Texts of a prepared split or a file, a limit of them, and which of them are independent."""

import pandas as pd
import pytest

from ilm.config.check import check
from ilm.config.evaluate import Evaluate
from ilm.errors import UserError
from ilm.evaluation.texts import choose_texts, read_texts, units_of
from tests.conftest import compose, write_csv


def documents(texts: dict[str, str], level: str = "A1") -> pd.DataFrame:
    rows = [{"writing_id": key, "l1": "French", "cefr_level": level, "text": text} for key, text in texts.items()]
    return pd.DataFrame(rows)


def settings(*overrides: str) -> Evaluate:
    return check(*compose("evaluate", "task=cloze", *overrides)[:1], Evaluate, {})


def test_texts_that_hang_together():
    texts = documents({"a": "She ate  pasta.", "b": "Rice.", "c": "she ate pasta.", "d": "Soup."})
    units, what = units_of(texts)
    assert what == "text"
    assert len({units["a"], units["b"], units["d"]}) == 3
    assert units["a"] == units["c"]
    units, what = units_of(texts.assign(learner_id=["x", "y", "z", ""]))
    assert what == "learner"
    units, _ = units_of(texts.assign(learner_id=["x", "z", "z", ""]))
    assert units["a"] == units["b"] == units["c"] != units["d"]


def test_a_limit_is_one_of_each_level():
    frame = pd.concat(
        [
            documents({f"{level}{n}": "x y" for n in range(size)}, level)
            for level, size in (("A1", 9), ("B1", 1), ("C1", 5))
        ]
    )
    chosen = choose_texts(frame, 3, seed=1)
    assert chosen["cefr_level"].value_counts().to_dict() == {"A1": 3, "C1": 3, "B1": 1}
    assert chosen["writing_id"].is_monotonic_increasing
    # More texts contain fewer, and their order in the file does not matter.
    assert set(chosen["writing_id"]) < set(choose_texts(frame.sample(frac=1, random_state=0), 4, seed=1)["writing_id"])
    assert len(choose_texts(frame, None, seed=1)) == len(choose_texts(frame, 99, seed=1)) == 15
    assert set(chosen["writing_id"]) != set(choose_texts(frame, 3, seed=2)["writing_id"])


def test_a_file_may_have_no_levels_where_the_task_needs_none(tmp_path):
    file = write_csv(tmp_path / "my.csv", [{"id": "a", "text": "x"}, {"id": "b", "text": "y"}])
    found, source = read_texts(settings(f"input={file}"), [], need_level=False)
    assert found["cefr_level"].tolist() == ["", ""]
    assert source["levels"] == []
    with pytest.raises(UserError, match="no column for cefr_level"):
        read_texts(settings(f"input={file}"), [])


def test_texts_without_a_known_level_are_kept_and_counted(tmp_path):
    rows = [{"id": f"{level}{n}", "cefr": level, "text": "x"} for n, level in enumerate(["A1", "", "native", "C2"])]
    file = write_csv(tmp_path / "my.csv", rows)
    found, source = read_texts(settings(f"input={file}"), [], need_level=False)
    assert dict(zip(found["writing_id"], found["cefr_level"], strict=True)) == {
        "A10": "A1",
        "1": "",
        "native2": "",
        "C23": "C2",
    }
    assert source["levels"] == ["A1", "C2"]
    (note,) = [found for cause, found in source["file"]["notes"].items() if "level" in cause]
    assert note["count"] == 2
    with pytest.raises(UserError, match="2 of 4 rows cannot be used"):
        read_texts(settings(f"input={file}"), [])


def test_further_columns_of_a_file(tmp_path):
    file = write_csv(tmp_path / "my.csv", [{"id": "a", "cefr": "A1", "text": "x", "corrected": "z"}])
    found, _ = read_texts(settings(f"input={file}"), [], keep_columns=["corrected"])
    assert found["corrected"].tolist() == ["z"]
    with pytest.raises(UserError, match=r"corpus\.keep_columns=other"):
        read_texts(settings(f"input={file}"), [], keep_columns=["other"])
