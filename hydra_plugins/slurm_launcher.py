"""`hydra/launcher=slurm`: runs as Slurm jobs, submitted by `ilm.cli.slurm`. Hydra finds its plugins in this package."""

from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore


class SlurmLauncher(BasicLauncher):
    """Iterates over the runs like Hydra's basic launcher; `ilm.cli.sweep` submits each instead of running it.

    Its options are in conf/launcher/slurm.yaml.
    """

    def __init__(self, **options: Any):
        super().__init__()


NODE = {"_target_": "hydra_plugins.slurm_launcher.SlurmLauncher"}
ConfigStore.instance().store(group="hydra/launcher", name="slurm", node=NODE, provider="ilm")
