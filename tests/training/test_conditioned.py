"""A generalist conditioned on each text's level, from the command that trains it to its scores."""

import json
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest

from evaluate import evaluate
from ilm.config.check import check
from ilm.config.train import Train
from ilm.errors import UserError
from ilm.runs.trained_model import model_in
from ilm.training.plan import RunPlan, plan_run
from ilm.training.prepared import open_prepared
from prepare import prepare
from tests.conftest import SMALL_MODEL, compose, write_csv
from train import train

pytestmark = pytest.mark.usefixtures("without_figures")

LEVELS = ("A1", "C1")
WORDS = {
    "A1": ["the", "cat", "sat", "on", "a", "red", "mat", "and", "ate"],
    "C1": ["whereas", "notwithstanding", "albeit", "hence", "thus", "moreover"],
}
SHORT = (*SMALL_MODEL, "experiment=conditioned", "model=tiny", "trainer=cpu", "logger=none", "data.max_length=100")


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> list[str]:
    """Overrides for the runs of this file: a corpus of two levels that have no word in common."""
    root = tmp_path_factory.mktemp("conditioned")
    draw = random.Random(0)
    rows = [
        {
            "writing_id": f"{level}-{number:03}",
            "l1": ("French", "Thai")[number % 2],
            "cefr_level": level,
            "text": " ".join(draw.choice(WORDS[level]) for _ in range(12)) + ".",
        }
        for level in LEVELS
        for number in range(60)
    ]
    folders = [f"paths.{name}={root / name}" for name in ("data", "experiments", "results")]
    corpus = ["corpus=custom", "corpus.name=two", *folders]
    prepare(compose("prepare", *corpus, f"corpus.csv={write_csv(root / 'two.csv', rows)}", "num_workers=1")[0])
    return corpus


@pytest.fixture(scope="module")
def run(here) -> Path:
    options = ("trainer.max_steps=100", "optimizer.lr=5e-3", "validation.max_examples=50", "data.batch_size=16")
    train(*compose("train", *here, *SHORT, *options))
    return folder_of(here, "experiments") / "two_all_ilm_tiny_conditioned-level"


def folder_of(here, name: str) -> Path:
    return next(Path(o.partition("=")[2]) for o in here if o.startswith(f"paths.{name}="))


def planned(here, *overrides: str) -> RunPlan:
    cfg, choices = compose("train", *here, *SHORT, *overrides)
    return plan_run(open_prepared(check(cfg, Train, choices)))


def losses(here, *overrides: str) -> pd.Series:
    """Of the run, by level and kind."""
    common = ("task.max_length=100", "task.also_score=null", "task.resamples=100", "task.condition=own")
    found = evaluate(*compose("evaluate", *here, *common, *overrides))
    return found[found["mask_type"] == "all"].set_index(["level", "kind"])["loss"]


def test_told_the_right_level_it_is_better_than_told_the_wrong_one(here, run):
    own, wrong, nothing = (losses(here, f"task.condition={condition}") for condition in ("own", "A1", "none"))
    assert (own["C1"] < wrong["C1"] - 0.02).all()
    assert own["A1"].equals(wrong["A1"])
    assert (own["all"] < nothing["all"]).all()
    kept = (folder_of(here, "results") / "scores" / run.name).glob("*/settings.json")
    assert sorted(json.loads(path.read_text())["condition"] for path in kept) == ["A1", "none", "own"]


def test_the_exported_model_knows_what_it_is_told(here, run, tmp_path):
    assert model_in(run).condition == {"cefr_level": ["A1", "C1"]}
    copied = shutil.copytree(run / "model", tmp_path / "elsewhere")
    assert model_in(copied).condition == {"cefr_level": ["A1", "C1"]}
    plain = ("data.condition=null", f"init_from={run}", "trainer.max_steps=2", "name=plain")
    train(*compose("train", *here, *SHORT, *plain))
    assert model_in(run.with_name("plain")).condition == {}


def test_training_and_evaluation_tell_the_same(here, run):
    best = json.loads((run / "status.json").read_text())["best"]
    found = losses(here, "task.split=valid", "task.max_examples=50", f"models=[{run}]")["all"]
    assert found.to_dict() == pytest.approx({kind: best[kind] for kind in found.index}, abs=1e-5)


def test_the_plan_names_the_condition(here):
    plan = planned(here, "data.condition=[cefr_level,l1]")
    assert (
        "condition   'level: ..., first language: ...' before each text; none before one example in 10"
        in plan.summary()
    )
    assert plan.name.endswith("_conditioned-level-first-language")
    assert plan.condition == {"cefr_level": ["A1", "C1"], "l1": ["French", "Thai"]}
    line = plan.train.max_tokens - 100
    assert 0 < line == plan.valid.max_tokens - 100
    for room in ("data.row_tokens", "model.architecture.n_positions"):
        with pytest.raises(UserError, match=f"Type data.max_length={100 - line}"):
            planned(here, "data.condition=[cefr_level,l1]", f"{room}=100")


def test_a_specialist_is_not_told_its_level(here):
    with pytest.raises(UserError, match=r"data.condition=\[cefr_level\] with cefr=A1: a specialist has one level"):
        planned(here, "cefr=A1")
    assert planned(here, "cefr=A1", "data.condition=[l1]").condition == {"l1": ["French", "Thai"]}


def test_a_level_that_no_model_is_conditioned_on(here, run):
    with pytest.raises(UserError, match="expected own, none or a level; levels of these models: A1, C1"):
        losses(here, "task.condition=B1", f"models=[{run}]")


def test_told_the_right_level_it_is_better_on_the_sample_corpus(tmp_path):
    here = ["corpus=sample", "corpus.levels=[A1,C1]"]
    here += [f"paths.{name}={tmp_path / name}" for name in ("data", "experiments", "results")]
    masks = "masking.masks_per_document=4"
    prepare(compose("prepare", *here, masks, "corpus.synthetic.size=600", "num_workers=1")[0])
    model = ("model.tokenizer_size=600", "model.architecture.n_layer=1", "model.architecture.n_embd=64")
    options = ("trainer.max_steps=120", "optimizer.lr=5e-3", "data.batch_size=8", "data.max_length=128")
    train(*compose("train", *here, *SHORT, masks, *model, *options))
    common = ("task.max_length=128", "task.masks_per_document=4", "task.baselines=[]")
    own, a1, c1 = (losses(here, *common, f"task.condition={condition}") for condition in ("own", *LEVELS))
    assert (own["A1"] < c1["A1"]).all()
    assert (own["C1"] < a1["C1"]).all()
