"""Detects GPUs, cores and process ranks, and shares a machine between jobs that run at the same time."""

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile

# Signals that ask a run to stop: from schedulers, Ctrl-C, Slurm's --signal, a closed terminal.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
# The process that started this one as a rank of its training.
PARENT = "ILM_PARENT_PROCESS"
# Environment variables set by launchers.
RANKS = ("RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")


def usable_cores() -> int:
    """The cores this process may use; may be fewer than the machine has, in Slurm or a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """The GPUs a job may use, as in CUDA_VISIBLE_DEVICES (numbers, or ids of GPUs or MIG slices).

    If that variable is not set: all GPUs listed by the driver, or none without a driver.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        # CUDA ignores everything from the first invalid name on.
        return [*takewhile(lambda name: name not in ("", "-1"), (name.strip() for name in named.split(",")))]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


def share(slot: int, slots: int, gpus: list[str], gpus_per_job: int) -> dict[str, str]:
    """The environment variables for the job in slot `slot` of `slots` concurrent ones.

    Slots take GPUs round-robin, `gpus_per_job` each; with too many slots, GPUs are shared. Cores are divided evenly
    unless OMP_NUM_THREADS is set. A single slot gets everything.
    """
    variables = {}
    if slots > 1 and gpus:
        groups = max(1, len(gpus) // gpus_per_job)
        first = slot % groups * gpus_per_job
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[first : first + gpus_per_job])
    if slots > 1 and "OMP_NUM_THREADS" not in os.environ:
        variables["OMP_NUM_THREADS"] = str(max(1, usable_cores() // slots))
    return variables


def started_by(environment: Mapping[str, str] = os.environ) -> str | None:
    """The launcher that started this process as one of several: `torchrun`, `srun`, or `lightning` (the run's first
    process); None for a single process.

    Rank variables left over in a shell (RANK, LOCAL_RANK, SLURM_PROCID) do not count, nor does the script of a batch
    job, which Slurm starts once.
    """
    if {"TORCHELASTIC_RUN_ID", "RANK"} <= {*environment}:
        return "torchrun"
    if environment.get(PARENT) == str(os.getppid()):
        return "lightning"
    in_shell = environment.get("SLURM_JOB_NAME") in ("bash", "interactive")  # Lightning's rule
    return "srun" if "SLURM_STEP_NUM_TASKS" in environment and not in_shell else None


def processes_started(environment: Mapping[str, str] = os.environ) -> int:
    """How many processes of this command torchrun or srun started; 1 without them."""
    counts = {"torchrun": "WORLD_SIZE", "srun": "SLURM_STEP_NUM_TASKS"}
    return int(environment.get(counts.get(started_by(environment) or "", ""), 1))


def is_first_process(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is the first of its run, which writes its files."""
    launcher = started_by(environment)
    rank = {"torchrun": "RANK", "srun": "SLURM_PROCID", "lightning": "LOCAL_RANK"}.get(launcher or "")
    # Without torchrun or srun, a person starts one process per node and sets its NODE_RANK.
    node = "NODE_RANK" if launcher in ("lightning", None) and "MASTER_ADDR" in environment else None
    return all(int(environment.get(name, 0)) == 0 for name in (rank, node) if name is not None)


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """Have the kernel send this process a signal when its parent dies. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, number)  # PR_SET_PDEATHSIG


@contextmanager
def failing_together() -> Iterator[None]:
    """A process of an srun that fails in this block kills the others when it exits; they would wait for it forever."""
    try:
        yield
    except Exception:
        if started_by() == "srun" and processes_started() > 1:
            step = f"{os.environ['SLURM_JOB_ID']}.{os.environ['SLURM_STEP_ID']}"
            atexit.register(subprocess.run, ["scancel", "--signal=KILL", step])
            if not is_first_process():
                atexit.register(time.sleep, 15)  # the first process may still have more to report
        raise


@contextmanager
def starting_others() -> Iterator[None]:
    """Mark this process as the parent of the ranks that training starts in this block (`started_by`)."""
    before = dict(os.environ)
    os.environ[PARENT] = str(os.getpid())
    try:
        yield
    finally:
        for name in (PARENT, *RANKS):
            os.environ.pop(name, None)
        os.environ.update({name: before[name] for name in (PARENT, *RANKS) if name in before})
