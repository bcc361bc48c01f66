"""Runs under a real Slurm, brought up for these tests: `make slurm`. The tests bear the numbers of the faults found so.

Steps are made long by a callback, so that a run can be met while it trains; what it ends with has to be what a run of
this machine ends with, bit by bit.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, SMALL_MODEL, environment, run_command
from tests.slurm.cluster import cluster, missing, slurm

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

TRAIN = [sys.executable, str(REPOSITORY / "train.py")]
RUN = [*SMALL_MODEL, "logger=csv", "validation.max_examples=10"]
STEPS = ["trainer.max_steps=40", "validation.every_n_steps=20"]
SLOW = "+callbacks.slow={{_target_:tests.slurm.callbacks.Slow,seconds:{}}}"
TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.batch_size=2", "trainer.max_steps=4"]
LAUNCHER = ["launcher=slurm", "hydra.launcher.cpus_per_task=8", "hydra.launcher.mem_gb=1"]


@pytest.fixture(scope="session")
def slurm_variables():
    with cluster() as variables:
        yield variables


@pytest.fixture
def here(small) -> list[str]:
    return [*small, *RUN, "cefr=A1"]


class Command:
    """A command under way; it prints to a file."""

    def __init__(self, folder: Path, variables: dict[str, str], *command: str):
        self.output = folder / f"output-{time.monotonic_ns()}"
        with open(self.output, "wb") as file:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment(**variables), stdout=file, stderr=subprocess.STDOUT
            )

    def wait(self, seconds: float = 600) -> tuple[int, str]:
        try:
            return self.process.wait(seconds), self.output.read_text()
        finally:
            self.process.kill()


def batch(folder: Path, variables: dict[str, str], lines: str, *options: str) -> tuple[str, str]:
    """A batch script, waited for: (its exit code as Slurm keeps it, what it printed)."""
    script, output = folder / "script.sh", folder / "script.out"
    script.write_text(lines if lines.startswith("#!") else f"#!/bin/bash\n{lines}\n")
    number = slurm(variables | environment(), "sbatch", "--parsable", f"--output={output}", *options, str(script))
    wait_until(lambda: ended(variables, number.strip()))
    told = slurm(variables, "scontrol", "show", "job", number.strip())
    return re.search(r"JobState=(\w+)", told)[1], output.read_text()


def ended(variables: dict[str, str], number: str) -> bool:
    return not slurm(variables, "squeue", "-h", "-j", number)


def wait_until(reached: Callable[[], object], seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def trains(folder: Path) -> bool:
    """Whether the run there has made steps."""
    file = folder / "metrics.csv"
    return file.exists() and len(file.read_text().splitlines()) > 2


def runs(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "experiments").iterdir() if not path.name.startswith("."))


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def locally(here, tmp_path, *options: str) -> bytes:
    """The weights of the same run without Slurm."""
    done = run_command(tmp_path, "train.py", *here, *options, "name=locally")
    assert done.returncode == 0, done.stderr[-3000:]
    return weights(tmp_path / "experiments" / "locally")


# 1 --------------------------------------------------------------------------------------------------------------------


def test_1_processes_that_srun_starts_train_together(here, tmp_path, slurm_variables):
    expected = locally(here, tmp_path, *TWO)
    for name in ("first", "second"):
        job = ["srun", "-N1", "--ntasks-per-node=2", *TRAIN, *here, *TWO, f"name={name}"]
        code, told = Command(tmp_path, slurm_variables, *job).wait()
        assert code == 0, told
        assert weights(tmp_path / "experiments" / name) == expected


@pytest.mark.parametrize("rank", [0, 1])
def test_1_where_one_process_fails_the_others_end(here, tmp_path, slurm_variables, rank):
    fails = f"+callbacks.fails={{_target_:tests.slurm.callbacks.FailsOn,rank:{rank}}}"
    job = ["srun", "-N1", "--ntasks-per-node=2", *TRAIN, *here, *TWO, fails]
    code, told = Command(tmp_path, slurm_variables, *job).wait(200)
    assert code != 0
    assert f"rank {rank} fails, as asked" in told


# 2 --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("partition", ["warned", "unwarned"])
def test_2_a_run_that_loses_its_place_comes_back(here, tmp_path, slurm_variables, partition):
    """`warned` gets SIGTERM and ten seconds, `unwarned` is sent back to the queue by Slurm at once."""
    options = ["trainer=cpu", *STEPS]
    command = [*TRAIN, *here, *options, SLOW.format(1), *LAUNCHER, f"hydra.launcher.partition={partition}"]
    sweep = Command(tmp_path, slurm_variables, *command, "checkpoint.every_n_minutes=0.05", "name=taken")
    wait_until(lambda: trains(tmp_path / "experiments" / "taken"))
    urgent = ["sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 5"]
    slurm(slurm_variables, *urgent)
    code, told = sweep.wait()
    assert code == 0, told
    (log,) = (tmp_path / "experiments" / ".sweeps").glob("*/0.log")
    assert "resuming from step" in log.read_text()
    assert "finished" in told
    assert weights(tmp_path / "experiments" / "taken") == locally(here, tmp_path, *options)


def test_2_a_run_whose_time_is_over_comes_back_and_one_that_is_cancelled_does_not(here, tmp_path, slurm_variables):
    """Before the time is over Slurm sends the signal that is sent here."""
    options = ["trainer=cpu", *STEPS, SLOW.format(1)]
    sweep = Command(tmp_path, slurm_variables, *TRAIN, *here, *options, *LAUNCHER, "name=over")
    wait_until(lambda: trains(tmp_path / "experiments" / "over"))
    number = re.search(r"Slurm job (\d+)", sweep.output.read_text())[1]
    slurm(slurm_variables, "scancel", "--signal=TERM", number)
    (log,) = (tmp_path / "experiments" / ".sweeps").glob("*/0.log")
    wait_until(lambda: "resuming from step" in log.read_text())
    slurm(slurm_variables, "scancel", number)
    code, told = sweep.wait()
    assert code == 128 + signal.SIGTERM
    assert "interrupted" in told
    assert f"job {number} (train): cancelled" in told


# 3 --------------------------------------------------------------------------------------------------------------------


def test_3_a_killed_job_is_told_once_the_others_have_ended(here, tmp_path, slurm_variables):
    """As the kernel kills one that takes too much memory; no accounts are kept here."""
    command = [*TRAIN, "-m", *here, "cefr=A1,C1", "trainer=cpu", *STEPS, SLOW.format(0.5), *LAUNCHER]
    sweep = Command(tmp_path, slurm_variables, *command, "name=killed_${cefr_level.name}")
    folder = tmp_path / "experiments" / "killed_A1"
    wait_until(lambda: trains(folder))
    os.kill(json.loads((folder / "status.json").read_text())["pid"], signal.SIGKILL)
    code, told = sweep.wait()
    assert code == 1, told
    rows = [line for line in told.splitlines() if line.startswith("| killed_")]
    assert [[cell.strip() for cell in row.split("|")[1:3]] for row in rows] == [
        ["killed_A1", "killed"],
        ["killed_C1", "finished"],
    ]
    assert "Traceback" not in told


# 4 --------------------------------------------------------------------------------------------------------------------


def test_4_processes_that_were_not_planned_are_refused(here, tmp_path, slurm_variables):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", TRAIN[1]]
    for name, command in ("srun", ["srun", "-N1", "--ntasks-per-node=2", *TRAIN]), ("torchrun", torchrun):
        code, told = Command(tmp_path, slurm_variables, *command, *here, "trainer=cpu").wait()
        assert code != 0
        assert told.count(f"{name} started 2 processes, but trainer.devices=1") == 1
    launched = Command(tmp_path, slurm_variables, *TRAIN, *here, *TWO, *LAUNCHER, "hydra.launcher.tasks_per_node=1")
    code, told = launched.wait()
    assert code == 2
    assert "start 1 processes, but trainer.num_nodes=1 and trainer.devices=2 make 2" in told
    assert not (tmp_path / "experiments").exists() or runs(tmp_path) == []


@pytest.mark.parametrize("tasks", [1, 2])
def test_4_a_batch_script_without_srun_starts_what_was_planned(here, tmp_path, slurm_variables, tasks):
    command = " ".join(map(repr, [*TRAIN, *here, *TWO]))
    state, told = batch(tmp_path, slurm_variables, command, f"--ntasks={tasks}", "--nodes=1")
    assert state == "COMPLETED", told
    assert "4 of 4 examples" in told
    (folder,) = runs(tmp_path)
    assert weights(folder) == locally(here, tmp_path, *TWO)


# 5 --------------------------------------------------------------------------------------------------------------------


def test_5_runs_of_two_processes_at_the_same_time_in_a_batch_job(here, tmp_path, slurm_variables):
    options = ["-m", *here, "cefr=A1,C1", *TWO, "launcher=parallel", "sweep.at_once=2"]
    state, told = batch(tmp_path, slurm_variables, " ".join(map(repr, [*TRAIN, *options])), "--cpus-per-task=4")
    assert state == "COMPLETED", told
    assert told.count("| finished ") == 2


def test_5_refusals_and_failures_are_told_and_are_those_of_their_jobs(here, tmp_path, slurm_variables):
    wrong = Command(
        tmp_path, slurm_variables, *TRAIN, *here, "trainer=cpu", *LAUNCHER, "hydra.launcher.partition=nowhere"
    )
    code, told = wrong.wait()
    assert code == 2
    assert told.count("error: ") == 1
    assert "invalid partition specified: nowhere" in told
    (tmp_path / "experiments" / "taken").mkdir(parents=True)
    (tmp_path / "experiments" / "taken" / "notes").touch()
    code, told = Command(tmp_path, slurm_variables, *TRAIN, *here, "trainer=cpu", *LAUNCHER, "name=taken").wait()
    assert code == 2
    assert "(train): failed" in told  # the job too
    assert "taken exists but is not a run folder" in told


def test_5_a_dry_run_shows_what_each_run_costs(here, tmp_path, slurm_variables):
    options = ["-m", *here, "cefr=A1,C1", "trainer=cpu", "dry_run=true", *LAUNCHER]
    code, told = Command(tmp_path, slurm_variables, *TRAIN, *options).wait()
    assert code == 0, told
    assert told.count("  parameters  ") == 2
    assert "all 2 runs" in told
    assert not (tmp_path / "experiments").exists()


def test_5_the_script_of_the_documentation(here, tmp_path, slurm_variables):
    page = (REPOSITORY / "docs" / "clusters.md").read_text(encoding="utf-8")
    script = re.search(r"(?m)^    #!/bin/bash\n(?:    .*\n)+", page)[0].replace("\n    ", "\n").strip() + "\n"
    run = "srun python train.py corpus=efcamdat cefr=A1"
    assert run in script
    own = " ".join(map(repr, ["srun", *TRAIN, *here, "trainer=cpu", "trainer.max_steps=4"]))
    script = script.replace(run, own).replace("--gpus=1 ", "").replace("--mem=32G", "--mem=1G")
    state, told = batch(tmp_path, slurm_variables, script)
    assert state == "COMPLETED", told
    (folder,) = runs(tmp_path)
    assert weights(folder)


def test_5_a_run_logged_at_wandb_saves_and_goes_on(here, tmp_path, slurm_variables):
    pytest.importorskip("wandb")
    logged = ["logger=all", "logger.wandb.offline=true", "trainer=cpu", *STEPS, SLOW.format(0.5), *LAUNCHER]
    sweep = Command(tmp_path, slurm_variables, *TRAIN, *here, *logged, "name=logged")
    wait_until(lambda: trains(tmp_path / "experiments" / "logged"))
    number = re.search(r"Slurm job (\d+)", sweep.output.read_text())[1]
    slurm(slurm_variables, "scancel", "--signal=TERM", number)
    code, told = sweep.wait()
    assert code == 0, told
    (log,) = (tmp_path / "experiments" / ".sweeps").glob("*/0.log")
    assert "resuming from step" in log.read_text()
