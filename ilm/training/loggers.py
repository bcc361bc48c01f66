"""Loggers that need more than Lightning's own: no empty files, and a run that stays one run when it is resumed.

They take what `ilm.training.trainer.make_trainer` gives every logger; metrics.csv is that of
`ilm.training.callbacks.metrics.MetricsCsv`.
"""

import importlib.util
import logging
import os
import secrets
from pathlib import Path
from typing import Any

import yaml
from lightning_fabric.loggers.tensorboard import TensorBoardLogger as PlainTensorBoardLogger
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from ilm.errors import UserError
from ilm.files import atomic_file
from ilm.hardware import is_first_process

log = logging.getLogger("ilm")

ID_FILE = "wandb_id.txt"


class TensorBoardEvents(TensorBoardLogger):
    """TensorBoard's event files, without an hparams.yaml beside them: config.yaml holds the configuration."""

    @rank_zero_only
    def save(self) -> None:
        PlainTensorBoardLogger.save(self)


class WeightsAndBiases(WandbLogger):
    """A run at Weights & Biases that goes on when the run in `save_dir` does: its id lies there in a file.

    With `offline` (or WANDB_MODE=offline) nothing is sent; `wandb sync <save_dir>/wandb/offline-run-*` does so later.
    What a killed run had logged after its last checkpoint stays there, beside what the resumed run logs again; so
    `purge_step` is not used.

    Raises: UserError if wandb is not installed, nobody is logged in, or its server cannot be reached.
    """

    def __init__(
        self,
        save_dir: str,
        name: str = "",
        version: str = "",
        purge_step: int | None = None,
        *,
        project: str = "ilm",
        offline: bool = False,
        **options: Any,
    ):
        if importlib.util.find_spec("wandb") is None:
            raise UserError('logger=wandb needs the package wandb: type pip install -e ".[wandb]", or logger=both')
        folder = Path(save_dir)
        file = folder / "config.yaml"
        super().__init__(
            name=folder.name,
            save_dir=save_dir,
            version=_run_id(folder),
            offline=offline or os.environ.get("WANDB_MODE") == "offline",
            project=project,
            settings={"quiet": True},
            config=yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None,
            **options,
        )
        self._wandb_init.pop("anonymous")  # wandb warns of it
        self._connect()

    @rank_zero_only
    def _connect(self) -> None:
        import wandb

        try:
            _ = self.experiment  # now, not at the first metric
        except wandb.errors.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"logger=wandb: {reason} Type `wandb login`, or logger.wandb.offline=true to send it later."
            ) from error

    @rank_zero_only
    def finalize(self, status: str) -> None:
        try:
            super().finalize(status)
            # The next run of this process is a run of its own there too.
            self.experiment.finish()
        except ConnectionError as error:  # a signal of Slurm reaches all processes of a job
            log.warning("wandb's own process has ended before the run (%s): `wandb sync` sends what it kept", error)


def _run_id(folder: Path) -> str:
    file = folder / ID_FILE
    if not file.exists() and is_first_process():
        with atomic_file(file) as temporary:
            temporary.write_text(secrets.token_hex(8) + "\n", encoding="ascii")
    return file.read_text(encoding="ascii").strip() if file.exists() else ""
