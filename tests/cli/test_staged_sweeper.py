"""Sweeps whose runs wait for other runs: which runs there are, in which order."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from hydra_plugins import staged_sweeper  # Hydra loads its plugins anew: the class is asked for when it is needed
from ilm.cli.sweep import Sweep
from ilm.cli.sweep_table import Job
from ilm.errors import UserError

STAGES = [["cefr=A1,all", "experiment=balanced_generalist"], ["experiment=token_matched match=A1 trainer.max_steps=-1"]]


def runs(*typed: str) -> list[list[list[str]]]:
    overrides = OverridesParser.create().parse_overrides(["seed=0,1", *typed])
    return staged_sweeper.StagedSweeper(STAGES, {"seed": "0,1"}).split_arguments(overrides, None)


def test_each_line_is_a_sweep_of_its_own():
    first, second = runs("experiment=study", "model=tiny", "trainer.max_steps=9")
    common = ["model=tiny", "trainer.max_steps=9"]
    assert first == [
        *(["seed=" + seed, *common, "cefr=" + level] for seed in "01" for level in ("A1", "all")),
        *(["seed=" + seed, *common, "experiment=balanced_generalist"] for seed in "01"),
    ]
    # A value of the line is the last word.
    assert second == [
        [f"seed={seed}", "model=tiny", "trainer.max_steps=-1", "experiment=token_matched", "match=A1"] for seed in "01"
    ]


def test_params_can_be_typed_and_what_is_swept_cannot():
    assert all("seed=7" in run for stage in runs("seed=7") for run in stage)
    with pytest.raises(UserError, match="cefr=B1: cefr differs from run to run here"):
        runs("cefr=B1")


class _Process:
    """Ends after it was asked some times."""

    def __init__(self):
        self.asked, self.returncode = 0, None

    def poll(self) -> int | None:
        self.asked += 1
        self.returncode = 0 if self.asked > 30 else None
        return self.returncode


def test_a_stage_begins_when_the_one_before_has_ended(tmp_path, monkeypatch):
    jobs = [Job(number, [], tmp_path / f"{number}.json", stage=stage) for number, stage in enumerate((0, 0, 1))]
    running_at_start = []

    def start(*args, **kwargs):
        running_at_start.append(len(sweep.running))
        return _Process()

    monkeypatch.setattr("ilm.cli.sweep.subprocess.Popen", start)
    monkeypatch.setattr("ilm.cli.sweep.POLL_SECONDS", 0)
    sweep = Sweep(tmp_path, jobs, dry=False, gpus=[], gpus_per_job=1, at_once=3)
    for job in jobs:
        sweep.start(job.number, [], None, None)
    assert running_at_start == [0, 1, 0]
