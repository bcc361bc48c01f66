"""Lightning's Trainer and the optimizer, made from their nodes of the configuration."""

from collections.abc import Iterable
from pathlib import Path

import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

from ilm.config.train import Optimizer, Train
from ilm.errors import UserError
from ilm.runs.folder import RunFolder


def make_trainer(settings: Train, folder: Path) -> pl.Trainer:
    """The trainer of the run in `folder`, with the callbacks of the configuration; it writes nothing, and has no
    loggers yet.

    Raises: UserError if Lightning refuses its arguments: a GPU that is not there, a precision it does not know.
    """
    callbacks = [instantiate(node) for node in (settings.callbacks or {}).values()]
    try:
        return instantiate(
            settings.trainer.model_dump(),
            # One Lightning epoch is the whole run (see InfillingDataModule), which has as many batches as the data.
            max_epochs=1,
            max_steps=-1,
            logger=False,
            callbacks=callbacks,
            default_root_dir=str(folder),
            enable_checkpointing=False,
            enable_progress_bar=any(isinstance(callback, pl.callbacks.ProgressBar) for callback in callbacks),
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
    except InstantiationException as error:
        shown = ", ".join(
            f"trainer.{key}={getattr(settings.trainer, key)}"
            for key in ("accelerator", "devices", "num_nodes", "strategy", "precision")
        )
        raise UserError(f"Lightning refuses {shown}: {error.__cause__ or error}") from error


def make_loggers(settings: Train, folder: RunFolder, purge_step: int) -> list[Logger]:
    """The loggers of the configuration, which write into a run folder.

    What they find there of `purge_step` and later was written by a run that was killed; it is removed.
    """
    return [
        instantiate(node)(save_dir=str(folder.path), name="", version="", purge_step=purge_step)
        for node in (settings.logger or {}).values()
    ]


def make_optimizer(node: Optimizer, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of the configuration.

    Raises: UserError if it refuses its arguments.
    """
    try:
        return instantiate(node.model_dump())(parameters)
    except (InstantiationException, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{node.target} refuses its arguments: {str(error).splitlines()[0]}") from error


def processes_start_together() -> bool:
    """Whether Slurm or torchrun starts all processes of a run; else the first one starts the others, once it trains."""
    return SLURMEnvironment.detect() or TorchElasticEnvironment.detect()
