"""The task as it is typed, on files and prepared texts, with a model that was never trained."""

import json
from pathlib import Path

import pandas as pd
import pytest

from evaluate import evaluate
from ilm.errors import UserError
from ilm.models.loading import save_model
from tests.conftest import compose, write_csv
from tests.infilling.small_models import ENTRIES, MASK_TYPES, random_model, vocabulary

PAIRS = [
    ("I likes to eat.", "I like to eat."),
    ("She eat pasta and I eats an apple.", "She ate pasta and I eat an apple."),
    ("I play tennis.", "I play tennis."),
    ("My name Anna.", "My name is Anna."),
    ("I live in Milan.", ""),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("forms") / "random"
    save_model(random_model("gpt2", ENTRIES + 2 + len(MASK_TYPES)), vocabulary(), folder)
    return folder


def evaluated(tmp_path: Path, model: Path, *more: str) -> pd.DataFrame:
    folders = [f"paths.{name}={tmp_path / name}" for name in ("data", "experiments", "results")]
    return evaluate(*compose("evaluate", "task=forms", f"models=[{model}]", "task.resamples=100", *folders, *more))


def csv_of(path: Path) -> Path:
    rows = [{"written": own, "teacher": new, "cefr": "A1" if n else "B1"} for n, (own, new) in enumerate(PAIRS)]
    return write_csv(path / "two.csv", rows)


def test_a_file_of_two_columns(tmp_path, model):
    options = [f"input={csv_of(tmp_path)}", "corpus.columns.text=written", "task.corrected=teacher"]
    found = evaluated(tmp_path, model, *options)
    overall = found[found["grouping"] == "all"].iloc[0]
    assert overall["n"] == 3
    levels = found[found["grouping"] == "cefr_level"].set_index("group")["n"]
    assert levels.to_dict() == {"A1": 2, "B1": 1}
    (folder,) = (tmp_path / "results").glob("two_random_corrected-teacher_*forms")
    report = json.loads((folder / "report.json").read_text())
    assert report["counts"] == {
        "texts without a corrected version": 1,
        "texts without an edit": 1,
        "insertions, where the learner wrote nothing": 1,
    }
    edits = pd.read_csv(folder / "edits.csv")
    assert edits["learner"].tolist() == ["likes", "eat", "eats"]
    assert (edits["log_odds"] - edits["learner_log_p"] + edits["corrected_log_p"]).abs().max() < 1e-9
    assert "Learners' forms" in (folder / "forms.md").read_text()
    (scores,) = folder.glob("scores/*.jsonl")
    before = scores.read_bytes()
    scores.write_bytes(before[: before.index(b"\n") + 4])  # as a killed run leaves it
    pd.testing.assert_frame_equal(evaluated(tmp_path, model, *options), found, rtol=1e-4)
    assert sorted(scores.read_bytes().splitlines())[0][:30] == sorted(before.splitlines())[0][:30]
    corrected = evaluated(tmp_path, model, *options, "task.context=corrected")
    assert len([*(tmp_path / "results").glob("two_*context-corrected*_forms")]) == 1
    assert corrected["log_odds"].iloc[0] != found["log_odds"].iloc[0]


def test_m2_edits_by_kind(tmp_path, model):
    path = tmp_path / "mine.m2"
    path.write_text(
        "S I likes to eat .\nA 1 2|||R:VERB:SVA|||like|||REQUIRED|||-NONE-|||0\n\n"
        "S She eat an apple .\nA 1 2|||R:VERB:TENSE|||ate|||REQUIRED|||-NONE-|||0\n"
    )
    found = evaluated(tmp_path, model, f"input={path}")
    kinds = found[found["grouping"] == "kind"].set_index("group")["n"]
    assert kinds.to_dict() == {"R:VERB:SVA": 1, "R:VERB:TENSE": 1}
    assert set(found[found["grouping"] == "cefr_level"]["group"]) == {"unknown"}
    (page,) = (tmp_path / "results").glob("mine_*forms/forms.md")
    assert [kind in page.read_text() for kind in ("by kind of edit", "by level", "by L1")] == [True, False, False]


def test_a_corpus_without_the_column_says_what_to_type(prepared, tmp_path, model):
    options = ["corpus=custom", "corpus.name=small", f"paths.data={prepared}"]
    with pytest.raises(UserError, match=r"corpus\.keep_columns=\[text_corrected\] overwrite=true"):
        evaluated(tmp_path, model, *options)


def test_nothing_to_score(tmp_path, model):
    path = write_csv(tmp_path / "same.csv", [{"text": "I go.", "text_corrected": "I go.", "cefr": "A1"}])
    with pytest.raises(UserError, match=r"no edit has words on both sides\. Found: texts without an edit: 1"):
        evaluated(tmp_path, model, f"input={path}")


def test_a_condition_that_no_model_knows(tmp_path, model):
    with pytest.raises(UserError, match=r"task\.condition=B1: expected own, none or a level"):
        evaluated(tmp_path, model, f"input={csv_of(tmp_path)}", "task.condition=B1")
