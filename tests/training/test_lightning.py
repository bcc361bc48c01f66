"""The module and the data in a Trainer of one's own, and what Lightning is relied on for (`ilm.training.lightning`)."""

import re
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow.parquet as pq
import pytest
import pytorch_lightning as pl
import torch
from pyarrow import csv

from evaluate import evaluate
from ilm import InfillingDataModule, InfillingModule, plan_training
from ilm.errors import UserError
from ilm.models.scoring import KINDS
from ilm.training import lightning
from tests.conftest import REPOSITORY, SMALL_MODEL, compose
from train import train

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}


@pytest.fixture
def run(small) -> list[str]:
    """Overrides of a run of six steps on the small corpus, which is not begun."""
    options = ("cefr=A1", "masking.masks_per_document=16", "trainer.max_steps=6", "data.batch_size=4", "name=run")
    return [*small, *SMALL_MODEL, *options]


def test_the_notebook_of_the_docs_runs(run, tmp_path, monkeypatch, capsys):
    page = (REPOSITORY / "docs" / "lightning.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    typed = '"corpus=sample", "experiment=quickstart", "cefr=A1"'
    assert typed in code
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    monkeypatch.chdir(tmp_path)  # Lightning writes its logs and checkpoints here
    namespace: dict = {}
    exec(code.replace(typed, ", ".join(map(repr, run))), namespace)
    trainer = namespace["trainer"]
    assert trainer.global_step == 6
    assert {f"test/{kind}_{what}" for kind in KINDS for what in ("loss", "perplexity")} <= set(trainer.callback_metrics)
    assert namespace["stop"].best_score < 100
    assert "Infilling(" in capsys.readouterr().out
    assert not (tmp_path / "experiments" / "run").exists()


def test_perplexities_are_those_of_evaluate_py_at_every_batch_size(run, small, tmp_path):
    train(*compose("train", *run, "logger=none"))
    cfg, choices = compose("evaluate", *small, "models=[run]", "cefr=A1", "task.also_score=null")
    frame = evaluate(cfg, choices)
    wanted = frame[(frame["level"] == "A1") & (frame["mask_type"] == "all")].set_index("kind")["perplexity"]
    read_every_table(tmp_path)
    plan = plan_training(*run)
    module = InfillingModule.of(plan)
    best = torch.load(tmp_path / "experiments" / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    module.load_state_dict(best["state_dict"])
    for batch_size in (1, 3, 8):
        data = InfillingDataModule(plan, evaluation_batch_size=batch_size)
        (found,) = pl.Trainer(**QUIET).test(module, datamodule=data, verbose=False)
        for kind in KINDS:
            assert found[f"test/{kind}_perplexity"] == pytest.approx(wanted[kind], rel=1e-6)
    (found,) = pl.Trainer(**QUIET).validate(module, datamodule=data, verbose=False)
    assert set(found) == {f"valid/{kind}_{what}" for kind in KINDS for what in ("loss", "perplexity")}


def read_every_table(folder: Path) -> None:
    """pandas and pyarrow read the same rows of each table that a run and its evaluation have written."""
    tables = [path for path in folder.rglob("*") if path.suffix in (".csv", ".parquet")]
    assert {path.suffix for path in tables} == {".csv", ".parquet"}
    for path in tables:
        by_pandas, by_arrow = (
            (pd.read_csv(path), csv.read_csv(path))
            if path.suffix == ".csv"
            else (pd.read_parquet(path), pq.read_table(path))
        )
        assert (by_pandas.shape, list(by_pandas.columns)) == (by_arrow.shape, by_arrow.column_names), path


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_every_example_is_scored_by_one_rank(run, ranks):
    data, scored = InfillingDataModule(plan_training(*run)), []
    for rank in range(ranks):
        strategy = SimpleNamespace(root_device=torch.device("cpu"))
        data.trainer = SimpleNamespace(global_rank=rank, world_size=ranks, strategy=strategy)
        scored += [*data.val_dataloader().sampler]
    assert sorted(scored) == [*range(len(data.validation))]


def test_sums_of_all_ranks_are_divided_once():
    """Ranks of 3 and 1 targets, with a mean of 2 and 6 nats: 3 nats a target, not 4."""

    def reduce(sums: torch.Tensor, reduce_op: str) -> torch.Tensor:
        assert reduce_op == "sum"
        return sums + torch.tensor([[6.0, 1], [6.0, 1], [0.0, 0]], dtype=torch.float64)

    own = torch.tensor([[6.0, 3], [6.0, 3], [0.0, 0]], dtype=torch.float64)
    trainer = SimpleNamespace(world_size=2, strategy=SimpleNamespace(reduce=reduce))
    found = lightning.mean_losses(own, trainer, torch.device("cpu"))
    assert [found[kind] for kind in KINDS] == pytest.approx([3.0, 3.0, float("nan")], nan_ok=True)


def test_another_division_than_planned_is_refused(run):
    plan = plan_training(*run)
    trainer = pl.Trainer(max_steps=1, accumulate_grad_batches=2, num_sanity_val_steps=0, **QUIET)
    with pytest.raises(UserError, match=r"accumulate_grad_batches=2 and 1 processes, .* planned for 1 and 1"):
        trainer.fit(InfillingModule.of(plan), datamodule=InfillingDataModule(plan), weights_only=True)


def test_what_is_used_of_lightning_within_is_still_there(run, tmp_path):
    """On another version than that of the docstring, read again what `ilm.training.lightning` says of it."""
    checked = re.search(r"Checked against pytorch-lightning (\S+);", lightning.__doc__)
    assert version("pytorch-lightning") == checked[1]
    assert f"pytorch-lightning=={checked[1]}\n" in (REPOSITORY / "constraints.txt").read_text()
    plan = plan_training(*run)
    module, data = InfillingModule.of(plan), InfillingDataModule(plan)
    trainer = pl.Trainer(max_steps=2, limit_val_batches=0, enable_checkpointing=False, **QUIET)
    trainer.fit(module, datamodule=data, weights_only=True)
    assert lightning.trainer_of(module) is trainer
    assert lightning.datamodule_of(trainer) is data
    assert all(isinstance(callback, pl.Callback) for callback in lightning.callbacks_of(trainer))
    lightning.publish(trainer, {"valid/infill_loss": 1.5})
    assert trainer.callback_metrics["valid/infill_loss"] == 1.5
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    loops = checkpoint["loops"]["fit_loop"]
    assert loops["epoch_loop.state_dict"] == {"_batches_that_stepped": 2}
    counts = dict.fromkeys(("ready", "completed", "started", "processed"), 2)
    assert loops["epoch_loop.batch_progress"]["total"] == loops["epoch_loop.batch_progress"]["current"] == counts
    assert loops["epoch_loop.batch_progress"]["is_last_batch"] is False
    lightning.continue_at_step(checkpoint, accumulate=3)
    assert set(loops["epoch_loop.batch_progress"]["total"].values()) == {6}
