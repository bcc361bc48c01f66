"""Where the runs of a sweep become Slurm jobs, `hydra/launcher=slurm`; Hydra finds its plugins in this package.

`ilm.cli.slurm` submits them. These are the keys of `hydra.launcher`, most with the names that sbatch has for them.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore


class SlurmLauncher(BasicLauncher):
    """Goes through the runs as Hydra's own launcher does; each is submitted instead of done (`ilm.cli.sweep`)."""

    def __init__(self, **options: Any):
        super().__init__()


@dataclass
class SlurmLauncherConfig:
    """What one job asks for; None leaves it to the cluster, of `tasks_per_node` and `gpus_per_node` to the trainer."""

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
