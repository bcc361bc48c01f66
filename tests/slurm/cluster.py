"""A Slurm cluster of two nodes on this machine, for the time of the tests: its daemons are children of this process.

    python -m tests.slurm.cluster       # bring it up, print what to export, and take it down at Ctrl-C

Nothing outside its folder is touched. The nodes claim eight processors each, and no accounts are kept. Needs root and
the packages slurmctld, slurmd, slurm-client and munge (Debian's, seen with 22.05); neither systemd nor cgroups.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ilm.hardware import end_with_parent

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
NODES = ("n1", "n2")
# Partitions whose jobs lose their place to those of `urgent`: after 10 seconds, or at once.
CONFIGURATION = """
ClusterName=ilmtest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool-%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=15
SchedulerParameters=sched_interval=2,bf_interval=3
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
{nodes}
PartitionName=warned Nodes=ALL Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=10
PartitionName=unwarned Nodes=ALL State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
PartitionName=urgent Nodes=ALL State=UP PriorityTier=10 PreemptMode=OFF
"""


def missing() -> str | None:
    """Why no cluster can be brought up here; None where it can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"Slurm is not installed ({', '.join(absent)})"
    return None if os.getuid() == 0 else "Slurm's daemons want root"


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Gives the environment variables with which Slurm's commands, and jobs, know the cluster."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="ilm-slurm-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        # The nodes' names are in no table of hosts; processes of one job find each other by this.
        variables = {"SLURM_CONF": str(home / "slurm.conf"), "MASTER_ADDR": "127.0.0.1"}
        _configure(home)
        key = home / "munge.key"
        munge = ("munged", "--foreground", "--force", f"--socket={home}/munge.socket", f"--key-file={key}")
        _daemon(stack, variables, home, *munge, f"--pid-file={home}/munged.pid", f"--seed-file={home}/seed")
        _wait_for(lambda: (home / "munge.socket").exists())
        _daemon(stack, variables, home, "slurmctld", "-D")
        for node in NODES:
            _daemon(stack, variables, home, "slurmd", "-D", "-N", node)
        stack.callback(_end_jobs, variables)
        _wait_for(lambda: slurm(variables, "sinfo", "-h", "-N", "-p", "urgent", "-o", "%T").split() == ["idle", "idle"])
        yield variables


def slurm(variables: dict[str, str], *command: str) -> str:
    """What a command of Slurm prints."""
    return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True).stdout


def _configure(home: Path) -> None:
    host, port = socket.gethostname().partition(".")[0], _free_ports(1 + len(NODES))
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={own} CPUs=8 RealMemory=200000 State=UNKNOWN"
        for node, own in zip(NODES, port[1:], strict=True)
    )
    for folder in ("state", *(f"spool-{node}" for node in NODES)):
        (home / folder).mkdir()
    (home / "slurm.conf").write_text(CONFIGURATION.format(host=host, port=port[0], home=home, nodes=nodes))
    (home / "cgroup.conf").write_text("")
    (home / "munge.key").touch(mode=0o600)
    (home / "munge.key").write_bytes(secrets.token_bytes(1024))
    home.chmod(0o755)


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _daemon(stack: ExitStack, variables: dict[str, str], home: Path, *command: str) -> None:
    with open(home / f"{'-'.join((command[0], command[-1])).replace('/', '_')[:40]}.log", "ab") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=end_with_parent,
        )
    stack.callback(_end, process)


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_jobs(variables: dict[str, str]) -> None:
    """Before the daemons end: what runs would outlive them."""
    slurm(variables, "scancel", "--state=PENDING", f"--user={os.getuid()}")
    slurm(variables, "scancel", f"--user={os.getuid()}")
    _wait_for(lambda: not slurm(variables, "squeue", "-h"))


def _wait_for(reached, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError("the cluster did not come so far")
        time.sleep(0.5)


if __name__ == "__main__":
    with cluster() as exported:
        print(*(f"export {key}={value}" for key, value in exported.items()), sep="\n", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
