"""Several runs in one command: what one does wrong, kills, the table; and who gets which GPU and how many cores."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import pytorch_lightning as pl

from ilm.cli.sweep import RECORD, Sweep, note, was_requeued
from ilm.cli.sweep_table import Job, label, row, state
from ilm.errors import UserError
from ilm.hardware import share, visible_gpus
from ilm.training.callbacks.stop_signals import StopSignals
from tests.conftest import SMALL_MODEL, compose
from tests.forked import Forked, run_forked
from train import train

RUN = (*SMALL_MODEL, "trainer.max_steps=6", "validation.every_n_steps=3", "validation.max_examples=10", "trainer=cpu")


@pytest.fixture
def here(small) -> list[str]:
    return [*small, *RUN, "data.batch_size=4"]


def experiments(overrides) -> Path:
    (path,) = [o.partition("=")[2] for o in overrides if o.startswith("paths.experiments=")]
    return Path(path)


def table(overrides) -> list[dict[str, str]]:
    """The rows of the newest sweep."""
    folder = max((experiments(overrides) / ".sweeps").iterdir())
    with open(folder / "runs.csv", newline="") as file:
        return list(csv.DictReader(file))


def sweep(tmp_path, *overrides: str, **options) -> subprocess.CompletedProcess:
    return run_forked(tmp_path, "train.py", "-m", *overrides, **options)


# The whole command ----------------------------------------------------------------------------------------------------


def test_one_failure_stops_no_other(here, tmp_path):
    """Before a run that is finished already: one that explodes."""
    named = [*here, "cefr=A1", "name=lr_${optimizer.lr}"]
    train(*compose("train", *named, "optimizer.lr=0.001"))
    done = sweep(tmp_path, *named, "optimizer.lr=1e30,0.001", fork_jobs=True)
    assert done.returncode == 2
    rows = table(here)
    assert [line["run"] for line in rows] == ["lr_1e+30", "lr_0.001"]
    assert [line["state"] for line in rows] == ["failed", "finished before"]
    assert (rows[1]["step"], rows[1]["of"]) == ("6", "6")
    assert int(rows[1]["target tokens"]) > 0
    status = json.loads((experiments(here) / "lr_0.001" / "status.json").read_text())
    assert float(rows[1]["infill"]) == pytest.approx(math.exp(status["best"]["infill"]), abs=0.01)
    assert float(rows[1]["infill_textonly"]) == pytest.approx(math.exp(status["best"]["infill_textonly"]), abs=0.01)
    assert rows[1]["time trained"].startswith("0:00:")
    assert "lr_0.001 is already finished" in done.stderr
    # The table, and under it why.
    shown = done.stdout.splitlines()
    assert shown[1].startswith("| run ")
    assert any(line.startswith("lr_1e+30: ") and "optimizer step" in line for line in shown)
    assert list(tmp_path.glob("experiments/.sweeps/*/[0-9]")) == []


def test_a_job_is_a_command_of_its_own(tmp_path, monkeypatch):
    """In a new Python and a session of its own, with its share of the GPUs, its record and its log."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        f"print(*sys.argv[1:], os.getsid(0) == os.getpid(), os.environ['CUDA_VISIBLE_DEVICES'], os.environ['{RECORD}'])"
    )
    monkeypatch.setattr(sys, "argv", [str(script)])
    jobs = [Job(number, [f"cefr={level}"], tmp_path / f"{number}.json") for number, level in enumerate(("A1", "C1"))]
    running = Sweep(tmp_path, jobs, dry=False, gpus=["5", "3"], gpus_per_job=1, at_once=2)
    for job in jobs:
        running.start(job.number, job.overrides, None, None)
    running.wait_until(lambda: not running.running)
    assert (running.exit_code(), [job.process.returncode for job in jobs]) == (0, [0, 0])
    logs = [(tmp_path / f"{number}.log").read_text() for number in (0, 1)]
    assert logs == [
        f"{level} hydra.mode=RUN True {gpu} {job.record}\n"
        for level, gpu, job in zip(("cefr=A1", "cefr=C1"), "53", jobs, strict=True)
    ]


def test_a_job_that_is_refused_shows_no_figures_of_the_run_that_was_there(here, tmp_path, monkeypatch):
    record = tmp_path / "0.json"
    train(*compose("train", *here, "cefr=A1"))
    monkeypatch.setenv(RECORD, str(record))
    with pytest.raises(UserError, match="holds another run"):
        train(*compose("train", *here, "cefr=A1", "optimizer.lr=0.5"))
    job = Job(0, [], record)
    assert row(job, [job])[2:] == ("",) * 6


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a run outlives a sweep that is killed")
def test_a_sweep_that_is_killed_twice_ends_complete(here, tmp_path):
    held = f"+callbacks.test={{_target_: {__name__}.Held, step: 2, folder: {tmp_path}}}"
    long = [*here, "cefr=A1,C1", "checkpoint.every_n_minutes=0", "validation.every_n_steps=6", held]
    folder = experiments(here) / "small_A1_ilm_tiny_debug"
    done = stopped(tmp_path, long, signal.SIGTERM)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert [line["state"] for line in table(here)] == ["interrupted", "not started"]
    assert table(here)[1]["run"] == "cefr=C1"
    assert stopped(tmp_path, long, signal.SIGKILL).returncode == -signal.SIGKILL
    wait_until(lambda: state_of(folder) == "interrupted")  # the run has noticed, and saved
    train(*compose("train", *(o for o in long if o != "cefr=A1,C1"), "cefr=C1"))
    done = sweep(tmp_path, *long, fork_jobs=True)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = table(here)
    assert [line["state"] for line in rows] == ["finished", "finished before"]
    assert [line["step"] for line in rows] == [line["of"] for line in rows] == ["6", "6"]
    assert "resuming from step" in done.stderr
    assert "small_C1_ilm_tiny_debug is already finished" in done.stderr
    for line in rows:
        status = json.loads((experiments(here) / line["run"] / "status.json").read_text())
        assert int(line["target tokens"]) > 0
        for kind in ("infill", "infill_textonly"):
            assert float(line[kind]) == pytest.approx(math.exp(status["best"][kind]), abs=0.01)
        assert line["time trained"].startswith("0:00:")


def test_a_job_that_has_begun_before(tmp_path, monkeypatch):
    for name in (RECORD, "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    assert not was_requeued()
    for count, requeued in (("0", False), ("2", True)):  # a batch script of one's own
        monkeypatch.setenv("SLURM_RESTART_COUNT", count)
        assert was_requeued() is requeued
    monkeypatch.setenv(RECORD, str(tmp_path / "0.json"))
    assert not was_requeued()
    note(name="a")
    assert not was_requeued()  # it did not come so far as to open its folder
    note(folder="experiments/a")
    assert was_requeued()


class Held(pl.Callback):
    """A test's callback: while the file `hold` is there, a run waits at `step` for a signal, and says that it does."""

    def __init__(self, step: int, folder: str):
        self.step, self.folder = step, Path(folder)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.global_step >= self.step and (self.folder / "hold").exists():
            (self.folder / "held").touch()
            (signals,) = (callback for callback in trainer.callbacks if isinstance(callback, StopSignals))
            wait_until(lambda: signals.received is not None)


def stopped(tmp_path, overrides, number: int) -> subprocess.CompletedProcess:
    """A sweep that is sent a signal while a run of it has saved something, and is not at its end."""
    (tmp_path / "hold").touch()
    process = Forked(tmp_path, "train.py", "-m", *overrides, fork_jobs=True)
    wait_until(lambda: (tmp_path / "held").exists() or process.returncode is not None)
    os.kill(process.pid, number)
    done = process.wait(120)
    for name in ("hold", "held"):
        (tmp_path / name).unlink()
    return done


def state_of(folder: Path) -> str:
    return json.loads((folder / "status.json").read_text())["state"]


def wait_until(reached) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Sharing a machine ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("0,1,2", ["0", "1", "2"]),
        ("5, 3", ["5", "3"]),
        ("GPU-8f3a,MIG-1b", ["GPU-8f3a", "MIG-1b"]),
        ("0,-1,2", ["0"]),
        ("", []),
        ("-1", []),
    ],
)
def test_visible_gpus(named, expected, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == expected


def test_without_a_driver_there_are_no_gpus(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", "")
    assert visible_gpus() == []


@pytest.mark.parametrize(
    ("slots", "gpus", "gpus_per_job", "expected"),
    [
        (2, ["0", "1"], 1, ["0", "1"]),
        (2, ["5", "3"], 1, ["5", "3"]),
        (3, ["0", "1"], 1, ["0", "1", "0"]),  # more jobs than GPUs: in turn
        (2, ["0", "1", "2", "3"], 2, ["0,1", "2,3"]),
        (2, ["0", "1", "2"], 2, ["0,1", "0,1"]),  # the third one alone suffices for none
        (2, [], 1, [None, None]),
        (1, ["0", "1"], 1, [None]),  # alone: all there is
    ],
)
def test_every_job_has_gpus_of_its_own(slots, gpus, gpus_per_job, expected):
    shares = [share(n, slots, gpus, gpus_per_job) for n in range(slots)]
    assert [variables.get("CUDA_VISIBLE_DEVICES") for variables in shares] == expected


@pytest.mark.parametrize(("slots", "cores", "expected"), [(2, 8, "4"), (3, 8, "2"), (4, 2, "1"), (1, 8, None)])
def test_cores_are_divided(slots, cores, expected, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("ilm.hardware.usable_cores", lambda: cores)
    assert share(0, slots, [], 1).get("OMP_NUM_THREADS") == expected


def test_threads_that_were_asked_for_stay(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert share(0, 4, [], 1) == {}


# The table ------------------------------------------------------------------------------------------------------------


def job(tmp_path, number: int = 0, noted: dict | None = None, *overrides: str, returncode: int | None = None) -> Job:
    record = tmp_path / f"{number}.json"
    if noted is not None:
        record.write_text(json.dumps(noted))
    process = subprocess.Popen.__new__(subprocess.Popen) if returncode is not None else None
    if process is not None:
        process.returncode = returncode
    return Job(number, list(overrides), record, process)


@pytest.mark.parametrize(
    ("noted", "returncode", "expected"),
    [
        (None, None, "not started"),
        ({"name": "a"}, None, "lost"),
        ({"name": "a", "exit_code": 0}, None, "finished"),
        ({"name": "a", "exit_code": 0}, 0, "finished"),
        ({"name": "a", "exit_code": 0, "finished_before": True}, 0, "finished before"),
        ({"name": "a", "exit_code": 143}, 143, "interrupted"),
        ({"name": "a"}, -signal.SIGTERM, "interrupted"),
        ({"name": "a"}, -signal.SIGKILL, "killed (signal 9)"),
        ({"name": "a", "exit_code": 2, "error": "no"}, 2, "failed"),
        (None, 1, "failed"),
    ],
)
def test_states(tmp_path, noted, returncode, expected):
    assert state(job(tmp_path, 0, noted, returncode=returncode)) == expected


def test_a_job_without_a_name_is_told_by_what_is_special_about_it(tmp_path):
    jobs = [job(tmp_path, n, None, "model=tiny", f"cefr={level}", "seed=1") for n, level in enumerate(("A1", "C1"))]
    assert [label(one, jobs) for one in jobs] == ["cefr=A1", "cefr=C1"]


def test_a_row_of_a_run_that_has_only_begun(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "status.json").write_text(json.dumps({"state": "running", "step": 3, "total_steps": 9}))
    one = job(tmp_path, 0, {"name": "a", "folder": str(tmp_path / "run"), "exit_code": 143})
    assert row(one, [one]) == ("a", "interrupted", "3", "9", "", "", "", "")
