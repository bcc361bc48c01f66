"""Runs as Slurm jobs: batch scripts, submission, and job states while the sweep waits.

A job runs the same command as on this machine (`ilm.cli.sweep`). Slurm sends SIGTERM before a job's time limit and on
preemption, and the run saves. If the job still has its allocation it then requeues itself, otherwise Slurm does; the
same command resumes from the checkpoint.
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

# Between queries, since Slurm serves a whole cluster.
POLL_SECONDS = 5.0
# How long srun waits for the other processes of a run after the first has ended.
STRAGGLER_SECONDS = 120
# Final job states.
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"}
ENDED |= {"REVOKED", "TIMEOUT"}
FINISHED = "COMPLETED"
LOST = "lost"

SCRIPT = """#!/bin/bash
{setup}
trap : TERM  # SIGTERM reaches this shell too, which must wait for the run
{command}
code=$?
# The run was stopped and has saved. If this job is still running, the cause was its time limit or preemption.
if [ $code -eq 143 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {max_requeues} ] &&
    [ "$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)" = RUNNING ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
"""


@dataclass
class SlurmQueue:
    """The jobs submitted by one command, with their last known states: {id: state}."""

    states: dict[str, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _asked: float = 0.0

    def submit(self, script: Path, options: Sequence[str], name: str) -> "SlurmJob":
        """Submit a script with these sbatch options.

        Raises: UserError with sbatch's message if it fails.
        """
        try:
            done = subprocess.run(["sbatch", "--parsable", *options, str(script)], capture_output=True, text=True)
        except FileNotFoundError as error:
            raise UserError("launcher=slurm needs sbatch, which was not found: run it on a login node") from error
        if done.returncode:
            reason = " ".join(line.removeprefix("sbatch: error: ") for line in done.stderr.strip().splitlines())
            raise UserError(f"sbatch rejected the job: {reason or done.stdout.strip()}")
        number = done.stdout.strip().partition(";")[0]
        self.states[number], self._names[number] = "PENDING", name
        return SlurmJob(number, self)

    def refresh(self) -> None:
        """Query the jobs' states, at most every POLL_SECONDS, and print changes."""
        if time.monotonic() - self._asked < POLL_SECONDS:
            return
        self._asked = time.monotonic()
        waiting = [number for number, state in self.states.items() if state not in (*ENDED, LOST)]
        fields = ["squeue", "--noheader", "--states=all", f"--user={os.getuid()}", "--format=%A|%T|%R"]
        if not waiting or (lines := _output(fields)) is None:
            return  # Slurm does not answer; it may be restarting
        found = {number: (state, why) for number, state, why in (line.split("|", 2) for line in lines)}
        for number in waiting:
            state, why = found.get(number) or _accounted(number)
            if state != self.states[number]:
                where = f" {why}" if why and state in ("PENDING", "RUNNING") else ""
                print(f"job {number} ({self._names[number]}): {state.lower()}{where}", file=sys.stderr, flush=True)
            self.states[number] = state


@dataclass
class SlurmJob:
    """A submitted job with the interface of a local process; its run notes the exit code."""

    number: str
    queue: SlurmQueue
    returncode = None

    def poll(self) -> str | None:
        """None while it waits or runs, then its final state in Slurm."""
        self.queue.refresh()
        return self.state if self.state in (*ENDED, LOST) else None

    @property
    def state(self) -> str:
        return self.queue.states[self.number]


def _output(command: Sequence[str]) -> list[str] | None:
    """A command's lines of output; None if it fails or does not exist."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.splitlines() if done.returncode == 0 else None


def _accounted(number: str) -> tuple[str, str]:
    """The final state of a job that has left the queue; `lost` if the cluster keeps no accounting."""
    lines = _output(["sacct", "--allocations", "--noheader", "--parsable2", "--format=State", f"--jobs={number}"])
    return (lines[-1].partition(" ")[0], "") if lines else (LOST, "")


def job_script(command: Sequence[str], variables: Mapping[str, str], launcher: Any) -> str:
    """The batch script that runs a command with these environment variables; `launcher`: `hydra.launcher`."""
    # From Slurm 22 on, srun does not inherit the number of cores.
    cores = f" --cpus-per-task={launcher.cpus_per_task}" if launcher.cpus_per_task else ""
    exported = [f"export {key}={shlex.quote(value)}" for key, value in variables.items()]
    return SCRIPT.format(
        setup="\n".join([*exported, *launcher.setup]),
        command=f"srun{cores} --wait={STRAGGLER_SECONDS} {shlex.join(command)}",
        max_requeues=launcher.max_requeues,
    )


def job_options(launcher: Any, trainer: Any) -> list[str]:
    """sbatch's options for a run with these sections of the configuration.

    Raises: UserError unless Slurm will start as many processes as the run is planned for.
    """
    devices = trainer.devices
    if not isinstance(devices, int) or devices < 1:
        raise UserError(f"launcher=slurm with trainer.devices={devices}: type the number of GPUs per node")
    tasks, nodes = launcher.tasks_per_node or devices, launcher.nodes
    if (tasks, nodes) != (devices, trainer.num_nodes):
        raise UserError(
            f"hydra.launcher.nodes={nodes} and tasks_per_node={tasks} start {nodes * tasks} processes, but "
            f"trainer.num_nodes={trainer.num_nodes} and trainer.devices={devices} make {trainer.num_nodes * devices}. "
            "Set only the trainer's; the launcher follows it."
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
