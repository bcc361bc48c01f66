"""What may go wrong while a model is trained, and what is left of the run: damaged files, full disks, no memory, NaN.

The runs are functions in this process; tests/test_kill_and_resume.py kills real ones.
"""

import json
import logging
import math
import os
import re
import resource
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from ilm.config.check import check
from ilm.config.train import Train
from ilm.errors import UserError
from ilm.runs.folder import RunFolder
from ilm.training import fit as fitting
from ilm.training.callbacks import status as progress
from ilm.training.callbacks import validation
from ilm.training.callbacks.checkpoints import find_damage
from ilm.training.callbacks.nonfinite import NonFiniteLoss
from ilm.training.errors import failures_recorded
from tests.conftest import REPOSITORY, SMALL_MODEL, compose, contents
from tests.forked import run_forked
from train import train

STEPS = 12
RUN = (
    *SMALL_MODEL,
    f"trainer.max_steps={STEPS}",
    "trainer.log_every_n_steps=1",
    "validation.every_n_steps=4",
    "validation.max_examples=20",
    "checkpoint.every_n_minutes=0",
    "data.batch_size=4",
    "trainer.accumulate_grad_batches=2",
    "logger=csv",
)


class At(pl.Callback):
    """Does something at micro-batch `number` of the run."""

    def __init__(self, number: int, action: str):
        self.number, self.action = number, action

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch.index == self.number and self.action == "poison":
            with torch.no_grad():
                module.model.get_input_embeddings().weight[batch.rows[0].input_ids[0, 0]] = math.inf

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch.index != self.number:
            return
        if self.action == "term":
            os.kill(os.getpid(), signal.SIGTERM)
        elif self.action == "python":
            raise MemoryError
        elif self.action == "bug":
            raise ZeroDivisionError("a bug")


def at(number: int, action: str) -> str:
    return f"+callbacks.test={{_target_: {__name__}.At, number: {number}, action: {action}}}"


@pytest.fixture(scope="module")
def here(prepared, tmp_path_factory) -> list[str]:
    experiments = tmp_path_factory.mktemp("lost")
    return ["corpus=custom", "corpus.name=small", f"paths.data={prepared}", f"paths.experiments={experiments}", *RUN]


@pytest.fixture(scope="module")
def whole(here) -> Path:
    train(*compose("train", *here, "name=whole"))
    return folder_of(here, "whole")


@pytest.fixture
def run(here, request):
    """Train the run of this test with more overrides; `run.folder` is its folder."""
    name = request.node.name.translate(str.maketrans("[]", "__"))

    def trained(*more: str):
        return train(*compose("train", *here, f"name={name}", *more))

    trained.folder = folder_of(here, name)
    return trained


@pytest.fixture
def warnings_of_ilm(caplog, monkeypatch):
    """What was logged; the entry points take the log away from pytest."""
    logger = logging.getLogger("ilm")
    messages = []

    class Kept(logging.Filter):
        def filter(self, record):
            # Here runs are stopped by a callback, so every one has others than the run before.
            if record.levelno == logging.WARNING and "other callbacks" not in record.msg:
                messages.append(record.getMessage())
            return True

    kept = Kept()
    logger.addFilter(kept)
    yield messages
    logger.removeFilter(kept)


def folder_of(overrides, name: str) -> Path:
    return Path(next(o for o in overrides if o.startswith("paths.experiments=")).partition("=")[2]) / name


def status(folder: Path) -> dict:
    return json.loads((folder / "status.json").read_text())


def assert_same_model(one: Path, other: Path) -> None:
    assert (one / "model" / "model.safetensors").read_bytes() == (other / "model" / "model.safetensors").read_bytes()
    for key in ("state", "step", "first", "best", "targets_seen"):
        assert status(one)[key] == status(other)[key]


def stopped(run, micro_batch: int, *more: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run(at(micro_batch, "term"), *more)
    assert caught.value.code == 128 + signal.SIGTERM
    assert status(run.folder)["state"] == "interrupted"


def test_every_file_of_a_run_has_the_modes_of_the_umask(whole):
    umask = os.umask(0)
    os.umask(umask)
    modes = {path: path.stat().st_mode & 0o777 for path in whole.rglob("*")}
    assert {path.name for path, mode in modes.items() if mode != (0o777 if path.is_dir() else 0o666) & ~umask} == set()


# Damaged checkpoints --------------------------------------------------------------------------------------------------


def cut(held: bytearray) -> bytes:
    return held[: len(held) * 2 // 3]


def zeros(held: bytearray) -> bytes:
    return bytes(len(held))


def flip(held: bytearray) -> bytes:
    held[len(held) // 2] ^= 4
    return held


@pytest.mark.parametrize("spoil", [cut, zeros, flip])
def test_damage_is_found(whole, tmp_path, spoil):
    last = (whole / "checkpoints" / "last.ckpt").read_bytes()
    (tmp_path / "whole.ckpt").write_bytes(last)
    (tmp_path / "spoilt.ckpt").write_bytes(spoil(bytearray(last)))
    assert find_damage(tmp_path / "whole.ckpt") is None
    assert find_damage(tmp_path / "spoilt.ckpt")


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(run, whole, warnings_of_ilm):
    stopped(run, 12)
    last = run.folder / "checkpoints" / "last.ckpt"
    last.write_bytes(flip(bytearray(last.read_bytes())))
    step = torch.load(last.with_name("previous.ckpt"), weights_only=True)["global_step"]
    stopped(run, 16)
    (warning,) = warnings_of_ilm
    assert "last.ckpt is damaged" in warning
    assert "resuming from previous.ckpt" in warning
    assert f"resuming from step {step} " in (run.folder / "train.log").read_text()
    # The damaged one did not take the place of the whole one.
    for name in ("last.ckpt", "previous.ckpt"):
        assert find_damage(last.with_name(name)) is None
    run()
    assert_same_model(whole, run.folder)


def test_a_kill_between_two_renamings(run, whole):
    stopped(run, 12)
    checkpoints = run.folder / "checkpoints"
    os.replace(checkpoints / "last.ckpt", checkpoints / "previous.ckpt")
    run()
    assert_same_model(whole, run.folder)


def test_no_checkpoint_is_whole(run):
    stopped(run, 12)
    for name in ("last.ckpt", "previous.ckpt"):
        path = run.folder / "checkpoints" / name
        path.write_bytes(flip(bytearray(path.read_bytes())))
    before = contents(run.folder / "checkpoints")
    with pytest.raises(UserError, match=r"all checkpoints are damaged.*overwrite=true"):
        run()
    assert contents(run.folder / "checkpoints") == before
    run("overwrite=true")
    assert status(run.folder)["state"] == "finished"


@pytest.mark.parametrize("how", ["lost", "damaged", "old"])
def test_best_weights_are_made_of_last_ones(run, whole, how, warnings_of_ilm):
    """Killed after last.ckpt with a new best validation, before best.ckpt was written."""
    with pytest.raises(ZeroDivisionError):
        run(at(16, "bug"))  # validated at step 8, the best so far
    best = run.folder / "checkpoints" / "best.ckpt"
    last = torch.load(best.with_name("last.ckpt"), weights_only=True)
    assert last["callbacks"]["Validation"]["best"]["step"] == last["global_step"] == 8
    old = torch.load(best, weights_only=True)
    if how == "lost":
        best.unlink()
    elif how == "damaged":
        best.write_bytes(flip(bytearray(best.read_bytes())))
    else:
        torch.save({**old, "global_step": 4}, best)
    with pytest.raises(ZeroDivisionError):
        run(at(16, "bug"))
    found = torch.load(best, weights_only=True)
    assert found["global_step"] == 8
    assert all(torch.equal(found["state_dict"][key], value) for key, value in old["state_dict"].items())
    assert warnings_of_ilm == []
    run()
    assert_same_model(whole, run.folder)


@pytest.mark.parametrize("how", ["gone", "cut"])
def test_a_finished_run_whose_model_is_damaged_makes_it_again(run, whole, warnings_of_ilm, how):
    shutil.copytree(whole, run.folder)
    if how == "gone":
        shutil.rmtree(run.folder / "model")
    else:
        os.truncate(run.folder / "model" / "model.safetensors", 1000)
    run()
    assert "is damaged or missing and will be exported again" in warnings_of_ilm[0]
    assert_same_model(whole, run.folder)
    run()
    assert len(warnings_of_ilm) == 1


def test_best_weights_that_are_nowhere_are_told(run, warnings_of_ilm):
    stopped(run, 20)  # validated at step 8, now at step 11
    (run.folder / "checkpoints" / "best.ckpt").unlink()
    run()
    (warning,) = warnings_of_ilm
    assert "the weights of the best validation, at step 8 (there is none): the best later one replaces it" in warning
    assert (status(run.folder)["state"], status(run.folder)["best"]["step"]) == ("finished", STEPS)


def test_a_run_stopped_once_more_after_its_best_weights_were_lost(run):
    """Before another validation has taken their place: last.ckpt knows of no best one."""
    stopped(run, 17)  # validated at step 8, now at step 9
    (run.folder / "checkpoints" / "best.ckpt").unlink()
    for name in ("last.ckpt", "previous.ckpt"):  # as ten minutes later: nor do they hold those weights
        path = run.folder / "checkpoints" / name
        torch.save({**torch.load(path, weights_only=True), "global_step": 9}, path)
    stopped(run, 18)
    last = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["callbacks"]["Validation"]["best"] == {}
    run()
    assert (status(run.folder)["state"], status(run.folder)["best"]["step"]) == ("finished", STEPS)


def test_a_run_ends_well_without_its_best_weights(run, warnings_of_ilm, monkeypatch):
    """At hour nine: what is exported then is the model of the last step, and the figures are its own."""
    save = fitting.best_weights

    def without(folder, validation):
        for path in folder.checkpoints.iterdir():
            path.write_bytes(b"spoilt")
        return save(folder, validation)

    monkeypatch.setattr(fitting, "best_weights", without)
    best = run()
    assert "lost" in warnings_of_ilm[-1]
    assert best["step"] == STEPS


# The end of a run -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["early_stopping.patience=1", "optimizer.lr=1e-20"]])
def test_killed_while_the_model_is_exported(here, more, monkeypatch):
    name = f"export{len(more)}"
    folder = folder_of(here, name)

    def killed(*args):
        raise SystemExit(143)

    save = fitting.save_model
    monkeypatch.setattr(fitting, "save_model", killed)
    with pytest.raises(SystemExit):
        train(*compose("train", *here, f"name={name}", *more))
    monkeypatch.setattr(fitting, "save_model", save)
    assert (status(folder)["state"], (folder / "model").exists()) == ("interrupted", False)
    monkeypatch.setattr(pl.Trainer, "fit", lambda *args, **kwargs: pytest.fail("trained again"))
    train(*compose("train", *here, f"name={name}", *more))
    assert status(folder)["state"] == "finished"
    assert status(folder)["stopped_early"] is bool(more)
    assert sum(status(folder)["targets_seen"]["infill"].values()) > 0


def test_a_signal_interrupts_a_validation(run, whole, monkeypatch):
    score = validation.score
    begun = []

    def interrupted(model, examples, row_tokens, device):
        begun.append(len(examples))
        if len(begun) == 4:  # of 2 a validation: in the middle of the second one
            os.kill(os.getpid(), signal.SIGTERM)
        return score(model, examples, row_tokens, device)

    monkeypatch.setattr(validation, "EXAMPLES_AT_A_TIME", 10)
    monkeypatch.setattr(validation, "score", interrupted)
    with pytest.raises(SystemExit) as caught:
        run("checkpoint.every_n_minutes=10")
    monkeypatch.undo()
    assert caught.value.code == 143
    saved = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 4
    run()
    assert_same_model(whole, run.folder)
    names = ("metrics.csv",)
    rows = [(folder / name).read_text().splitlines() for folder in (whole, run.folder) for name in names]
    assert [row.partition(",")[0] for row in rows[0]] == [row.partition(",")[0] for row in rows[1]]


def test_a_run_that_grows_keeps_its_interval_unless_another_is_typed(run):
    run("validation.every_n_steps=null")
    with pytest.raises(UserError, match=r"validation\.every_n_steps: 3 there, 6 now\n.*Type its values"):
        run("validation.every_n_steps=6", "trainer.max_steps=24")
    run("validation.every_n_steps=null", "trainer.max_steps=24")
    assert status(run.folder)["step"] == 24
    assert run.folder.joinpath("metrics.csv").read_text().count("\n21,") == 2  # a record and a validation


# Full disks -----------------------------------------------------------------------------------------------------------


@contextmanager
def files_no_longer_than(n_bytes: int):
    """Writing more fails, as on a full disk, with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_when_a_checkpoint_is_due(run, whole):
    stopped(run, 12)
    before = contents(run.folder / "checkpoints")
    size = len(before["last.ckpt"])
    with files_no_longer_than(size // 2), pytest.raises(UserError) as caught:
        run()
    assert "the file is too large here" in str(caught.value)
    assert f"{run.folder} could not be written" in str(caught.value)
    assert "are intact. Make room, change the permissions or remove what is in the way" in str(caught.value)
    assert contents(run.folder / "checkpoints") == before
    assert status(run.folder)["state"] == "failed"
    assert "the file is too large here" in status(run.folder)["reason"]
    run()
    assert_same_model(whole, run.folder)
    assert status(run.folder)["reason"] is None


def test_a_disk_that_is_full_at_the_first_checkpoint(run, whole):
    with files_no_longer_than(20_000), pytest.raises(UserError, match="Make room") as caught:
        run()
    assert "intact" not in str(caught.value)


@pytest.mark.parametrize("logger", ["csv", "tensorboard"])
def test_a_disk_that_is_full_when_metrics_are_due(here, logger, capfd):
    name = f"full_{logger}"
    overrides = [*here, f"name={name}", f"logger={logger}"]
    with pytest.raises(SystemExit):
        train(*compose("train", *overrides, at(12, "term")))
    folder = folder_of(here, name)
    before = contents(folder / "checkpoints")
    with files_no_longer_than(9000), pytest.raises(UserError, match="the file is too large here"):
        train(*compose("train", *overrides, "checkpoint.every_n_minutes=10", "validation.every_n_steps=4"))
    assert contents(folder / "checkpoints") == before
    train(*compose("train", *overrides))
    assert status(folder)["state"] == "finished"


# No memory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
)
def test_out_of_memory_says_what_to_lower(here, tmp_path, error):
    settings = check(*compose("train", *here)[:1], Train)
    with pytest.raises(UserError) as caught, failures_recorded(RunFolder(tmp_path), settings):
        raise error
    message = str(caught.value)
    assert message.startswith("out of memory (")
    assert "data.batch_size=2 trainer.accumulate_grad_batches=4 splits the same optimizer steps" in message
    assert "more" not in message.partition(")")[0]
    assert status(tmp_path)["state"] == "failed"


def test_out_of_memory_with_batches_in_tokens_lowers_those(run):
    with pytest.raises(UserError, match=r"data\.max_tokens_per_batch=1024 trainer\.accumulate_grad_batches=4 splits"):
        run("data.max_tokens_per_batch=2048", "trainer.max_steps=2", at(1, "python"))
    run("data.max_tokens_per_batch=1024", "trainer.max_steps=2", "trainer.accumulate_grad_batches=4")
    assert status(run.folder)["state"] == "finished"


def test_a_bug_is_told_as_one(run):
    with pytest.raises(ZeroDivisionError):
        run(at(13, "bug"))
    assert (status(run.folder)["state"], status(run.folder)["reason"]) == ("failed", "a bug")
    assert "the run failed: ZeroDivisionError: a bug" in (run.folder / "train.log").read_text()


# Loss that is not finite ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("micro_batch", [12, 13])
def test_documents_of_a_bad_step_are_named(run, micro_batch):
    """In the first or the second of the step's two micro-batches."""
    with pytest.raises(NonFiniteLoss) as caught:
        run(at(micro_batch, "poison"))
    message = str(caught.value)
    assert "at optimizer step 6; the model was not updated" in message
    documents = message.split("\n  - ")[1:]
    assert len(documents) == 8
    assert re.fullmatch(r"\w\d-\d{3}, mask \d+: loss nan over \d+ targets", documents[0])
    saved = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert (saved["global_step"], status(run.folder)["step"]) == (6, 6)
    assert all(value.isfinite().all() for value in saved["state_dict"].values())


def test_all_ranks_stop_at_a_bad_step(here, tmp_path):
    options = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.batch_size=2", "name=bad_ranks"]
    # The tests are on the path of both processes by conftest's folder.
    path = f"{REPOSITORY}:{REPOSITORY / 'tests'}"
    done = run_forked(REPOSITORY, "train.py", *here, *options, at(6, "poison"), fork_jobs=True, PYTHONPATH=path)
    assert done.returncode == 2, done.stderr
    assert "the model was not updated" in done.stderr
    assert "Traceback" not in done.stderr


# What others can read -------------------------------------------------------------------------------------------------


def test_status_and_log_tell_how_far_a_run_is(run, monkeypatch):
    monkeypatch.setattr(progress, "STATUS_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    seen = []
    write = RunFolder.set_status

    def watched(folder, **values):
        write(folder, **values)
        seen.append(folder.status)

    monkeypatch.setattr(RunFolder, "set_status", watched)
    run("checkpoint.every_n_minutes=10")
    states = [one["state"] for one in seen]
    assert list(dict.fromkeys(states)) == ["planned", "running", "finished"]
    running = next(one for one in seen if one["state"] == "running" and one["step"] == 6)
    assert running["total_steps"] == STEPS
    assert 0 < running["loss"] < 30
    assert running["best"]["step"] == 4
    assert running["seconds_left"] >= 0
    assert running["pid"] == os.getpid()
    assert {"host", "started", "updated", "tokens_per_second", "seconds_trained"} <= set(running)
    log = (run.folder / "train.log").read_text()
    (line,) = [line for line in log.splitlines() if f"step 6 of {STEPS}" in line]
    assert all(part in line for part in ("context+infill loss ", "infill perplexity ", "tokens/s ", "left "))


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_that_another_process_trains_is_left_alone(run, whole, overwrite):
    before = contents(whole)
    with RunFolder.claimed(whole), pytest.raises(UserError, match="is being trained by another process"):
        run("name=whole", f"overwrite={overwrite}")
    assert contents(whole) == before
