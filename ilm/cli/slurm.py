"""Runs as Slurm jobs: the script of a job, its submission, and how it stands while the sweep waits for it.

A job is a command of its own, as on this machine (`ilm.cli.sweep`). SIGTERM asks it to save: Slurm sends that before
the job's time is over, and when its place is needed. A run that has saved and still has its place puts itself back in
the queue; so does Slurm where it takes the place itself. Then the same command goes on from the checkpoint.
"""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ilm.errors import UserError

# Between two questions to Slurm, which serves a whole cluster.
POLL_SECONDS = 5.0
# After the first process of a run has ended, for the others to end too.
STRAGGLER_SECONDS = 120
# From which no job comes back.
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"}
ENDED |= {"REVOKED", "TIMEOUT"}
FINISHED = "COMPLETED"
LOST = "lost"

SCRIPT = """#!/bin/bash
{setup}
trap : TERM  # it comes to this shell too, and what counts is how the run ends
{command}
code=$?
# It was asked to stop and has saved; where this job still runs, it was for its time or its place.
if [ $code -eq 143 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {max_requeues} ] &&
    [ "$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)" = RUNNING ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
"""


@dataclass
class SlurmQueue:
    """The jobs that one command has submitted, and what Slurm said of them last: {id: state}."""

    states: dict[str, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _asked: float = 0.0

    def submit(self, script: Path, options: Sequence[str], name: str) -> "SlurmJob":
        """Hand a script to sbatch, with its options.

        Raises: UserError with what sbatch says where it refuses.
        """
        try:
            done = subprocess.run(["sbatch", "--parsable", *options, str(script)], capture_output=True, text=True)
        except FileNotFoundError as error:
            raise UserError("launcher=slurm needs sbatch, which is not here: type it on a login node") from error
        if done.returncode:
            reason = " ".join(line.removeprefix("sbatch: error: ") for line in done.stderr.strip().splitlines())
            raise UserError(f"sbatch refuses the job: {reason or done.stdout.strip()}")
        number = done.stdout.strip().partition(";")[0]
        self.states[number], self._names[number] = "PENDING", name
        return SlurmJob(number, self)

    def refresh(self) -> None:
        """Ask Slurm how the jobs stand, at most every POLL_SECONDS; tell what has changed."""
        if time.monotonic() - self._asked < POLL_SECONDS:
            return
        self._asked = time.monotonic()
        waiting = [number for number, state in self.states.items() if state not in (*ENDED, LOST)]
        fields = ["squeue", "--noheader", "--states=all", f"--user={os.getuid()}", "--format=%A|%T|%R"]
        if not waiting or (lines := _output(fields)) is None:
            return  # Slurm does not answer: it may be restarted
        found = {number: (state, why) for number, state, why in (line.split("|", 2) for line in lines)}
        for number in waiting:
            state, why = found.get(number) or _accounted(number)
            if state != self.states[number]:
                where = f" {why}" if why and state in ("PENDING", "RUNNING") else ""
                print(f"job {number} ({self._names[number]}): {state.lower()}{where}", file=sys.stderr, flush=True)
            self.states[number] = state


@dataclass
class SlurmJob:
    """A submitted job, to be asked as a process of this machine is; its exit code is that which its run has noted."""

    number: str
    queue: SlurmQueue
    returncode = None

    def poll(self) -> str | None:
        """None while it waits or runs, then Slurm's word for how it ended."""
        self.queue.refresh()
        return self.state if self.state in (*ENDED, LOST) else None

    @property
    def state(self) -> str:
        return self.queue.states[self.number]


def _output(command: Sequence[str]) -> list[str] | None:
    """The lines that a command prints; None where it fails, or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.splitlines() if done.returncode == 0 else None


def _accounted(number: str) -> tuple[str, str]:
    """How a job ended that the queue has forgotten; `lost` where the cluster keeps no accounts."""
    lines = _output(["sacct", "--allocations", "--noheader", "--parsable2", "--format=State", f"--jobs={number}"])
    return (lines[-1].partition(" ")[0], "") if lines else (LOST, "")


def job_script(command: Sequence[str], variables: Mapping[str, str], launcher: Any) -> str:
    """The batch script of a run: its command and environment variables, and the section `hydra.launcher`."""
    # Slurm 22 and later leave the cores out of what srun takes over.
    cores = f" --cpus-per-task={launcher.cpus_per_task}" if launcher.cpus_per_task else ""
    exported = [f"export {key}={shlex.quote(value)}" for key, value in variables.items()]
    return SCRIPT.format(
        setup="\n".join([*exported, *launcher.setup]),
        command=f"srun{cores} --wait={STRAGGLER_SECONDS} {shlex.join(command)}",
        max_requeues=launcher.max_requeues,
    )


def job_options(launcher: Any, trainer: Any) -> list[str]:
    """The options of sbatch for a run, from these sections of its configuration.

    Raises: UserError unless the processes that Slurm will start are those that the run is planned for.
    """
    devices = trainer.devices
    if not isinstance(devices, int) or devices < 1:
        raise UserError(f"launcher=slurm with trainer.devices={devices}: type the number of GPUs a node")
    tasks, nodes = launcher.tasks_per_node or devices, launcher.nodes
    if (tasks, nodes) != (devices, trainer.num_nodes):
        raise UserError(
            f"hydra.launcher.nodes={nodes} and tasks_per_node={tasks} start {nodes * tasks} processes, but "
            f"trainer.num_nodes={trainer.num_nodes} and trainer.devices={devices} make {trainer.num_nodes * devices}. "
            "Type the trainer's alone: the launcher follows it."
        )
    gpus = launcher.gpus_per_node
    gpus = (0 if trainer.accelerator == "cpu" else devices) if gpus is None else gpus
    asked = {
        "partition": launcher.partition,
        "account": launcher.account,
        "qos": launcher.qos,
        "constraint": launcher.constraint,
        "nodes": nodes,
        "ntasks-per-node": tasks,
        "gpus-per-node": gpus or None,
        "cpus-per-task": launcher.cpus_per_task,
        "mem": launcher.mem_gb and f"{launcher.mem_gb}G",
        "time": launcher.timeout_min,
        "signal": f"TERM@{launcher.signal_delay_s}",
        **launcher.additional,
    }
    options = [f"--{key}={value}" for key, value in asked.items() if value is not None]
    return [*options, "--requeue", "--open-mode=append"]
