"""`hydra/launcher=slurm`: runs as Slurm jobs, submitted by `ilm.cli.slurm`. Hydra finds its plugins in this package."""

from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore


class SlurmLauncher(BasicLauncher):
    """Iterates over the runs like Hydra's basic launcher; `ilm.cli.sweep` submits each instead of running it."""

    def __init__(self, **options: Any):
        super().__init__()


@dataclass
class SlurmLauncherConfig:
    """Resources of a job, most named as in sbatch. None means the cluster's default; for `tasks_per_node` and
    `gpus_per_node`, as many as the trainer has devices.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    nodes: int = 1
    tasks_per_node: int | None = None
    gpus_per_node: Any = None
    cpus_per_task: int | None = None
    mem_gb: int | None = None
    timeout_min: int | None = None
    signal_delay_s: int = 120
    max_requeues: int = 20
    setup: list[str] = field(default_factory=list)
    additional: dict[str, Any] = field(default_factory=dict)
    _target_: str = "hydra_plugins.slurm_launcher.SlurmLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="slurm", node=SlurmLauncherConfig, provider="ilm")
