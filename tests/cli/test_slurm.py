"""Slurm jobs with an imitated Slurm: what sbatch is told, when a job goes back to the queue, how one is waited for.

Under a real one: `make slurm`.
"""

import os
import shlex
import subprocess
import sys
from types import SimpleNamespace

import hydra
import pytest
from hydra.core.plugins import Plugins
from hydra.errors import HydraException

from ilm.cli.slurm import SlurmQueue, job_options, job_script
from ilm.errors import UserError
from tests.conftest import CONF

LAUNCHER = {
    **dict.fromkeys(("partition", "account", "qos", "constraint", "tasks_per_node", "gpus_per_node", "mem_gb")),
    "nodes": 1,
    "cpus_per_task": 4,
    "timeout_min": 60,
    "signal_delay_s": 120,
    "max_requeues": 2,
    "setup": [],
    "additional": {},
}
TRAINER = {"devices": 1, "num_nodes": 1, "accelerator": "auto"}


def launcher(**changed) -> SimpleNamespace:
    return SimpleNamespace(**{**LAUNCHER, **changed})


def trainer(**changed) -> SimpleNamespace:
    return SimpleNamespace(**{**TRAINER, **changed})


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Makes programs that print what is in a file of their name, and note how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, says: str = "", code: int = 0) -> None:
        (folder / f"{name}.says").write_text(says)
        (folder / name).write_text(
            f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/calls\ncat {folder}/{name}.says\nexit {code}\n'
        )
        (folder / name).chmod(0o755)

    return make


def calls(tmp_path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def test_a_job_asks_for_what_the_run_is_planned_for():
    told = job_options(
        launcher(partition="gpu", additional={"exclude": "n7"}, nodes=2), trainer(devices=4, num_nodes=2)
    )
    assert {"--partition=gpu", "--nodes=2", "--ntasks-per-node=4", "--gpus-per-node=4", "--exclude=n7"} <= {*told}
    assert {"--signal=TERM@120", "--requeue", "--time=60"} <= {*told}
    assert not [option for option in told if option.startswith(("--account", "--mem"))]
    assert "--gpus-per-node=a100:2" in job_options(launcher(gpus_per_node="a100:2"), trainer())
    assert not [option for option in job_options(launcher(), trainer(accelerator="cpu")) if "gpus" in option]


def test_options_of_a_job_can_be_typed():
    typed = ["hydra.launcher.partition=gpu", "+hydra.launcher.additional.exclude=n7", "trainer.num_nodes=2"]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose("train", ["launcher=slurm", *typed], return_hydra_config=True)
        assert type(Plugins.instance()._instantiate(config.hydra.launcher)).__name__ == "SlurmLauncher"
        with pytest.raises(HydraException, match="Could not override"):
            hydra.compose("train", ["launcher=slurm", "hydra.launcher.partitoin=gpu"])
    options = job_options(config.hydra.launcher, config.trainer)
    assert {"--partition=gpu", "--exclude=n7", "--nodes=2", "--mem=32G"} <= {*options}


@pytest.mark.parametrize(
    ("of_launcher", "of_trainer", "told"),
    [
        ({"tasks_per_node": 1}, {"devices": 2}, "start 1 processes, but .* make 2"),
        ({"nodes": 2}, {}, "start 2 processes, but .* make 1"),
        ({}, {"devices": "auto"}, "trainer.devices=auto: type the number"),
    ],
)
def test_other_processes_than_those_planned_are_refused(of_launcher, of_trainer, told):
    with pytest.raises(UserError, match=told):
        job_options(launcher(**of_launcher), trainer(**of_trainer))


@pytest.mark.parametrize(
    ("code", "state", "restarts", "requeued"),
    [
        (143, "RUNNING", 0, True),
        (143, "RUNNING", 2, False),  # too often
        (143, "COMPLETING", 0, False),  # cancelled, or sent back by Slurm itself
        (0, "RUNNING", 0, False),
        (2, "RUNNING", 0, False),
    ],
)
def test_a_run_that_has_saved_for_its_job_goes_back_to_the_queue(programs, tmp_path, code, state, restarts, requeued):
    programs("srun", code=code)
    programs("squeue", state)
    programs("scontrol")
    script = tmp_path / "job.sh"
    script.write_text(job_script(["python", "train.py", "name=a b"], {"RECORD": "x y"}, launcher()))
    environment = {**os.environ, "SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": str(restarts)}
    assert subprocess.run(["bash", str(script)], env=environment).returncode == code
    assert ("scontrol requeue 7" in calls(tmp_path)) is requeued
    assert calls(tmp_path)[0] == "srun --cpus-per-task=4 --wait=120 python train.py name=a b"
    assert shlex.quote("name=a b") in script.read_text()


def test_a_job_is_told_as_it_changes_and_asked_for_in_the_accounts_once_forgotten(
    programs, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("ilm.cli.slurm.POLL_SECONDS", 0.0)
    programs("sbatch", "12;cluster\n")
    queue = SlurmQueue()
    job = queue.submit(tmp_path / "0.sh", ["--nodes=1"], "cefr=A1")
    assert calls(tmp_path) == [f"sbatch --parsable --nodes=1 {tmp_path}/0.sh"]
    programs("squeue", "12|PENDING|(Resources)\n")
    assert job.poll() is None
    programs("squeue", "12|RUNNING|n1\n11|FAILED|\n")
    assert job.poll() is None
    assert job.poll() is None
    programs("squeue", code=1)  # it is being restarted
    assert job.poll() is None
    programs("squeue")
    programs("sacct", "OUT_OF_MEMORY\n")
    assert job.poll() == "OUT_OF_MEMORY"
    told = capsys.readouterr().err.splitlines()
    assert told == ["job 12 (cefr=A1): running n1", "job 12 (cefr=A1): out_of_memory"]


def test_without_accounts_a_job_that_was_forgotten_is_lost(programs, tmp_path, monkeypatch):
    monkeypatch.setattr("ilm.cli.slurm.POLL_SECONDS", 0.0)
    programs("sbatch", "12\n")
    job = SlurmQueue().submit(tmp_path / "0.sh", [], "a")
    programs("squeue")
    programs("sacct", code=1)
    assert job.poll() == "lost"


def test_what_sbatch_refuses_is_told(programs, tmp_path, monkeypatch):
    programs("sbatch", code=1)
    (tmp_path / "bin" / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: invalid partition specified: x' >&2\nexit 1\n"
    )
    with pytest.raises(UserError, match="rejected the job: invalid partition specified: x"):
        SlurmQueue().submit(tmp_path / "0.sh", [], "a")
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    with pytest.raises(UserError, match="needs sbatch"):
        SlurmQueue().submit(tmp_path / "0.sh", [], "a")
