"""Lightning's Trainer and the optimizer, from their nodes of the configuration."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from pytorch_lightning.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from ilm.config.train import Optimizer, Train
from ilm.errors import UserError
from ilm.runs.folder import RunFolder


def make_trainer(settings: Train, folder: RunFolder, callbacks: list[pl.Callback], *, purge_step: int) -> pl.Trainer:
    """The trainer of a run: `callbacks`, then those of the configuration, and loggers that write into `folder`.

    What loggers find there of `purge_step` and later is of a run that was killed, and goes.
    """
    loggers = [
        instantiate(node)(save_dir=str(folder.path), name="", version="", purge_step=purge_step)
        for node in (settings["logger"] or {}).values()
    ]
    extra = [instantiate(node) for node in (settings["callbacks"] or {}).values()]
    return instantiate(
        settings.trainer.model_dump(),
        # One Lightning epoch is the whole run (see InfillingData); the data has as many batches as the run has.
        max_epochs=1,
        max_steps=-1,
        logger=loggers or False,
        callbacks=[*callbacks, *extra],
        default_root_dir=str(folder.path),
        enable_checkpointing=False,
        enable_progress_bar=any(isinstance(callback, pl.callbacks.ProgressBar) for callback in extra),
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def world_size(trainer: Mapping[str, Any]) -> int:
    """How many processes the trainer's accelerator, devices and nodes come to.

    Raises: UserError if Lightning refuses them: a GPU that is not there, a precision it does not know.
    """
    chosen = {key: trainer[key] for key in ("accelerator", "devices", "num_nodes", "strategy", "precision")}
    try:
        return pl.Trainer(**chosen, logger=False, enable_checkpointing=False).world_size
    except (MisconfigurationException, TypeError, ValueError, RuntimeError) as error:
        shown = ", ".join(f"trainer.{key}={value}" for key, value in chosen.items())
        raise UserError(f"Lightning refuses {shown}: {error}") from error


def processes_start_together() -> bool:
    """Whether Slurm or torchrun starts all processes of a run; else the first one starts the others, once it trains."""
    return SLURMEnvironment.detect() or TorchElasticEnvironment.detect()


def require_optimizer(node: Optimizer) -> None:
    """Raises: UserError if the optimizer refuses its arguments."""
    try:
        instantiate(node.model_dump())([torch.nn.Parameter(torch.zeros(1))])
    except (InstantiationException, TypeError, ValueError) as error:
        raise UserError(f"{node.target} refuses its arguments: {str(error).splitlines()[0]}") from error
