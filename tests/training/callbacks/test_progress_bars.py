"""Progress bars in a terminal, W&B offline: a resumed run goes on where it stood, in both."""

import io
import re
import sys

import pytest

from ilm.errors import UserError
from ilm.training import loggers
from tests.conftest import SMALL_MODEL, compose
from train import train

RUN = (*SMALL_MODEL, "cefr=A1", "trainer=cpu", "validation.every_n_steps=4", "validation.max_examples=70")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_a_bar_goes_on_where_a_resumed_run_stands(small, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm")
    shown = []
    for steps in (6, 12):
        monkeypatch.setattr(sys, "stderr", terminal := Terminal())
        train(*compose("train", *small, *RUN, "logger=none", f"trainer.max_steps={steps}"))
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
        shown.append([line for line in re.split(r"[\r\n]", plain) if line.startswith("training")])
        assert "validating" in plain
    assert re.search(r"\b0/6\b", shown[0][0])
    assert re.search(r"\b6/6\b.*context\+infill loss.*infill perplexity.*tokens/s.*left", shown[0][-1])
    assert re.search(r"\b6/12\b", shown[1][0])
    assert re.search(r"\b12/12\b.*context\+infill loss.*infill perplexity.*tokens/s.*left", shown[1][-1])


def test_no_bar_where_nobody_looks(small, capfd):
    train(*compose("train", *small, *RUN, "logger=none", "trainer.max_steps=2"))
    assert "training:" not in capfd.readouterr().err


def test_a_resumed_run_is_one_run_at_wandb(small, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for steps in (2, 4):
        options = ["logger=wandb", "logger.wandb.offline=true", f"trainer.max_steps={steps}", "name=w"]
        train(*compose("train", *small, *RUN, *options))
    folder = tmp_path / "experiments" / "w"
    number = (folder / "wandb_id.txt").read_text().strip()
    runs = [path.name for path in (folder / "wandb").glob("offline-run-*")]
    assert 1 <= len(runs) <= 2
    assert all(name.endswith(number) for name in runs)
    assert not (tmp_path / "wandb").exists()


def test_wandb_without_its_package_or_a_login_is_one_message(tmp_path, monkeypatch):
    monkeypatch.setattr(loggers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install -e "\.\[wandb\]"'):
        loggers.WeightsAndBiases(str(tmp_path))


def test_tensorboard_leaves_no_empty_file(tmp_path):
    logger = loggers.TensorBoardEvents(str(tmp_path), name="", version="")
    logger.log_metrics({"x": 1.0}, step=1)
    logger.save()
    logger.finalize("success")
    assert [path.name.startswith("events.") for path in tmp_path.iterdir()] == [True]
