"""Two processes train what one trains, and each goes on with what the other began; the six models start alike."""

import csv
import os
import shlex
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ilm.config.check import check
from ilm.config.train import Train
from ilm.errors import UserError
from ilm.training.fit import evaluation_command
from ilm.training.module import InfillingModule
from ilm.training.plan import plan_run
from ilm.training.prepared import open_prepared
from ilm.training.trainer import make_trainer
from tests.conftest import REPOSITORY, SMALL_MODEL, compose, run_command
from tests.forked import run_forked
from train import train

RUN = (
    *SMALL_MODEL,
    "cefr=all",
    "validation.every_n_steps=4",
    "validation.max_examples=70",  # more than one part, so that each rank scores some
    "trainer.log_every_n_steps=1",
    "logger=csv",
    *("data.max_length=150", "data.row_tokens=150"),  # several rows in a micro-batch, each with a backward pass
)
TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.batch_size=3")
ONE = ("trainer=cpu", "data.batch_size=6")


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_two_processes_and_one_train_the_same_model(small, tmp_path):
    """Steps 1 to 4 by two ranks and 5 to 8 by one, against 1 to 8 by one; gradients, losses, weights."""
    done = run_forked(REPOSITORY, "train.py", *small, *RUN, *TWO, "name=both", "trainer.max_steps=4")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    train(*compose("train", *small, *RUN, *ONE, "name=both", "trainer.max_steps=8"))
    train(*compose("train", *small, *RUN, *ONE, "name=one", "trainer.max_steps=8"))
    both, one = (tmp_path / "experiments" / name for name in ("both", "one"))
    seen = 0
    for ours, theirs in zip(rows(both), rows(one), strict=True):
        assert ours["step"] == theirs["step"]
        for key in theirs:
            if key.startswith(("train/", "valid/", "seen/")) and "second" not in key and "memory" not in key:
                assert ours[key] == theirs[key] == "" or float(ours[key]) == pytest.approx(float(theirs[key]), rel=2e-5)
                seen += ours[key] != ""
    assert seen > 8 * 10
    weights = [load_file(folder / "model" / "model.safetensors") for folder in (both, one)]
    for key, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][key], rtol=1e-4, atol=1e-5)


def test_processes_that_start_together_do_not_overwrite(small, monkeypatch):
    options = (*small, *RUN, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "overwrite=true")
    cfg, choices = compose("train", *options)
    plan_run(open_prepared(check(cfg, Train, choices)))  # the first process starts the other
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"overwrite=true with 2 processes that start together.*Delete .*_all_ilm"):
        plan_run(open_prepared(check(cfg, Train, choices)))


LAUNCHERS = {
    "torchrun": {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"},
    "srun": {"SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_PROCID": "1", "SLURM_JOB_NAME": "x"},
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_other_processes_than_those_planned_are_refused(small, tmp_path, launcher, monkeypatch):
    for name, value in LAUNCHERS[launcher].items():
        monkeypatch.setenv(name, value)
    cfg, choices = compose("train", *small, *RUN, "trainer=cpu")
    told = rf"{launcher} started 2 processes, but trainer.devices=1 and .* make 1\. Type .*-per-node=1 .*devices=2"
    with pytest.raises(UserError, match=told) as caught:
        train(cfg, choices)
    assert caught.value.reported  # by the first process
    assert not (tmp_path / "experiments").exists()


def test_a_node_that_is_not_told_which_it_is(small, monkeypatch):
    for name in ("MASTER_ADDR", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    cfg, choices = compose("train", *small, *RUN, *TWO, "trainer.num_nodes=2")
    with pytest.raises(UserError, match="do not say which of these nodes"):
        train(cfg, choices)


def test_ranks_that_a_shell_left_behind_are_ignored(small, tmp_path):
    """Also for what Lightning has read of them on its import, so in a process of its own."""
    stale = {"RANK": "1", "LOCAL_RANK": "1", "SLURM_PROCID": "3"}
    srun = tmp_path / "bin" / "srun"  # Lightning would say in every run that it is here and not used
    srun.parent.mkdir()
    srun.touch(mode=0o755)
    stale["PATH"] = f"{srun.parent}:{os.environ['PATH']}"
    done = run_command(REPOSITORY, "train.py", *small, *RUN, "trainer=cpu", "trainer.max_steps=1", "name=x", **stale)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "srun" not in done.stderr
    written = {path.name for path in (tmp_path / "experiments" / "x").iterdir()}
    assert {"run.json", "config.yaml", "status.json", "metrics.csv", "train.log", "model", "checkpoints"} <= written


def test_the_six_models_start_from_the_same_weights(small):
    """Rows of the infilling tokens above all, whatever the level, and whatever it has been trained on."""

    def start(*overrides: str) -> dict[str, torch.Tensor]:
        cfg, choices = compose("train", *small, *SMALL_MODEL, "trainer=cpu", *overrides)
        model = InfillingModule.of(plan_run(open_prepared(check(cfg, Train, choices)))).model
        rows = model.get_input_embeddings().weight
        assert rows.shape[0] == 400 + 7
        return {"special": rows[400:].detach(), **model.state_dict()}

    first, other, another_seed = start("cefr=A1"), start("cefr=all"), start("cefr=A1", "seed=1")
    assert set(first) == set(other)
    for key, value in first.items():
        assert torch.equal(value, other[key]), key
    assert len(first["special"].unique(dim=0)) == 7
    assert not torch.equal(first["special"], another_seed["special"])


@pytest.mark.parametrize("wrong", [{"devices": -3}, {"devices": "two"}, {"precision": "bf15"}, {"num_nodes": 0}])
def test_what_lightning_refuses_is_told_plainly(wrong, tmp_path):
    (setting,) = wrong.items()
    cfg, choices = compose("train", "trainer=cpu", "trainer.{}={}".format(*setting))
    with pytest.raises(UserError, match="Lightning rejects .*" + "trainer.{}={}".format(*setting)):
        make_trainer(check(cfg, Train, choices), tmp_path)


def test_the_command_that_scores_a_run_can_be_pasted(small):
    cfg, choices = compose("train", *small, *SMALL_MODEL, "trainer=cpu", "cefr=A1", "paths.experiments=my runs/x")
    command = shlex.split(evaluation_command(plan_run(open_prepared(check(cfg, Train, choices)))))
    assert command[:3] == ["python", "evaluate.py", "corpus=custom"]
    assert "paths.experiments=my runs/x" in command
