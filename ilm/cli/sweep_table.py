"""The table of a sweep, from each job's record, exit code and run status."""

import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilm.cli.slurm import FINISHED, SlurmJob
from ilm.files import read_object
from ilm.hardware import STOP_SIGNALS
from ilm.progress import duration

COLUMNS = ("run", "state", "step", "of", "target tokens", "infill", "infill_textonly", "time trained")
STOPPED_BY_SIGNAL = {128 + number for number in STOP_SIGNALS}


@dataclass
class Job:
    """One run of a sweep: its overrides, its process or Slurm job once started, and its slot on this machine.

    It waits for the jobs of earlier stages (`hydra_plugins.staged_sweeper`).
    """

    number: int
    overrides: list[str]
    record: Path
    process: subprocess.Popen | SlurmJob | None = None
    stage: int = 0
    place: int = 0

    @property
    def noted(self) -> dict[str, Any]:
        return (read_object(self.record) or {}) if self.record.exists() else {}

    @property
    def exit_code(self) -> int | None:
        """As in a shell; None for a job that has not ended or was lost."""
        if isinstance(self.process, SlurmJob):
            ended, noted = self.process.poll(), self.noted.get("exit_code")
            return None if ended is None else noted if noted is not None else int(ended != FINISHED)
        if self.process is not None and self.process.returncode is not None:
            code = self.process.returncode
            return 128 - code if code < 0 else code
        return self.noted.get("exit_code")


def label(job: Job, jobs: Sequence[Job]) -> str:
    """The run's name once the job has noted it; until then the overrides that distinguish it from the other jobs."""
    if name := job.noted.get("name"):
        return name
    common = set.intersection(*(set(other.overrides) for other in jobs))
    return " ".join(override for override in job.overrides if override not in common) or "train"


def row(job: Job, jobs: Sequence[Job]) -> tuple[str, ...]:
    """A job's cells under `COLUMNS`; empty if unknown."""
    noted = job.noted
    file = Path(noted["folder"]) / "status.json" if "folder" in noted else None
    status = (read_object(file) or {}) if file is not None and file.exists() else {}
    best, seen = status.get("best") or {}, status.get("targets_seen")
    tokens = None if seen is None else sum(sum(by_level.values()) for by_level in seen.values())
    perplexities = (best.get(kind) for kind in ("infill", "infill_textonly"))
    seconds = status.get("seconds_trained")
    return (
        label(job, jobs),
        state(job),
        *("" if status.get(key) is None else str(status[key]) for key in ("step", "total_steps")),
        "" if tokens is None else str(tokens),
        *("" if loss is None else f"{math.exp(loss):.2f}" for loss in perplexities),
        "" if seconds is None else duration(seconds),
    )


def state(job: Job) -> str:
    """A job's state in one or two words."""
    code = job.exit_code
    if isinstance(job.process, SlurmJob) and (code is None or job.noted.get("exit_code") is None):
        # Slurm's state if the run noted none; Slurm calls a killed job failed.
        return {"FAILED": "killed"}.get(job.process.state, job.process.state.lower().replace("_", " "))
    if code == 0:
        return "finished before" if job.noted.get("finished_before") else "finished"
    if code in STOPPED_BY_SIGNAL:
        return "interrupted"
    if code is None:
        return "lost" if job.record.exists() else "not started"
    return f"killed (signal {code - 128})" if code > 128 else "failed"


def print_total(jobs: Sequence[Job]) -> None:
    """Print the total cost of all runs; a run that needs another, untrained one is counted at that run's cost."""
    noted = [job.noted for job in jobs]
    by_level = {of["level"]: of["cost"] for of in reversed(noted) if "level" in of}
    follows = [of["follows"] for of in noted if of.get("follows")]
    costs = [of["cost"] for of in noted if "cost" in of] + [by_level[level] for level in follows if level in by_level]
    if costs:
        hours, disk = (sum(cost[key] for cost in costs) for key in ("hours", "disk_gib"))
        memory = max(cost["memory_gib"] for cost in costs)
        left_out = f", without {missing} of unknown cost" if (missing := len(jobs) - len(costs)) else ""
        print(
            f"\nall {len(jobs)} runs{left_out}, one after another: {hours:.1f} h, {disk:.1f} GiB of disk; "
            f"the largest needs {memory:.1f} GiB of memory",
            flush=True,
        )
        if follows:
            print(f"{len(follows)} of them need runs not trained yet, and are counted at the cost of those", flush=True)
