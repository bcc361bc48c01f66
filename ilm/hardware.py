"""Detects GPUs, cores and process ranks, and shares a machine between jobs that run at the same time."""

import os
import subprocess
from collections.abc import Mapping

# Given on to jobs whose launcher sets CUDA_VISIBLE_DEVICES itself.
GPUS = "ILM_GPUS"
JOBS = "ILM_JOBS_AT_ONCE"


def usable_cores() -> int:
    """The cores this process may use: fewer than the machine has in a Slurm allocation or a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """The GPUs a job may use, as CUDA_VISIBLE_DEVICES names them (numbers, or ids of whole GPUs or parts of them).

    Where that variable is not set, all that the driver lists; none where there is no driver.
    """
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        names = [name.strip() for name in named.split(",")]
        # CUDA itself ends the list at the first name that is none.
        return names[: next((at for at, name in enumerate(names) if name in ("", "-1")), len(names))]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


def jobs_at_once(asked: int | None, n_gpus: int, gpus_per_job: int) -> int:
    """How many jobs run at the same time: as asked, else one for every `gpus_per_job` GPUs; one where there is none."""
    return asked if asked is not None else max(1, n_gpus // gpus_per_job)


def share(
    slot: int, slots: int, *, gpus: list[str], gpus_per_job: int, cores: int, environment: Mapping[str, str]
) -> dict[str, str]:
    """The environment variables of the job in place `slot` of `slots` that run at the same time.

    The places take the GPUs in turn, `gpus_per_job` each; with more places than that some GPUs are used twice. Cores
    are divided evenly, except where OMP_NUM_THREADS says how many. One place alone has all there is.
    """
    if slots == 1:
        return {}
    variables = {}
    if gpus:
        groups = max(1, len(gpus) // gpus_per_job)
        first = slot % groups * gpus_per_job
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[first : first + gpus_per_job])
    if "OMP_NUM_THREADS" not in environment:
        variables["OMP_NUM_THREADS"] = str(max(1, cores // slots))
    return variables


def is_first_process() -> bool:
    """Whether this process is the one that writes, of those that work together on a run."""
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    # LOCAL_RANK counts within a node.
    return int(next((rank for rank in ranks if rank is not None), 0)) == int(os.environ.get("NODE_RANK", 0)) == 0
