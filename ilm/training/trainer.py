"""Lightning's Trainer and the optimizer, made from their nodes of the configuration."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from ilm.config.train import Optimizer, Train
from ilm.errors import UserError
from ilm.hardware import is_first_process, processes_started, started_by
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
            plugins=[_environment()],
            default_root_dir=str(folder),
            enable_checkpointing=False,
            # The callback `Validation` does it: before the first step and after the last, to be broken off by a signal.
            limit_val_batches=0,
            num_sanity_val_steps=0,
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


def with_precision(settings: Train, before: str | None) -> Train:
    """The settings with the precision that `trainer.precision=auto` means: that which the run has had `before`, else
    bfloat16 arithmetic on float32 weights where a GPU has it, else float32.

    Raises: UserError if bfloat16 is asked of a GPU without it.
    """
    trainer = settings.trainer
    on_gpu = trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    # Also older cards say that they know bfloat16: they imitate it, and the kernels of attention do not.
    knows = on_gpu and torch.cuda.get_device_capability() >= (8, 0)
    precision = trainer.precision
    if precision == "auto":
        precision = before or ("bf16-mixed" if knows else "32-true")
    if on_gpu and not knows and str(precision).startswith("bf16"):
        major, minor = torch.cuda.get_device_capability()
        raise UserError(
            f"trainer.precision={precision}: {torch.cuda.get_device_name()} (compute capability {major}.{minor}) has "
            "no bfloat16. Type trainer.precision=16-mixed optimizer.fused=false, or trainer.precision=32-true."
        )
    return settings.model_copy(update={"trainer": trainer.model_copy(update={"precision": precision})})


def arithmetic(trainer: pl.Trainer) -> str:
    """On what a run computes, and how exactly."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{name}, {trainer.precision}"


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


def _environment() -> ClusterEnvironment:
    """How Lightning finds the processes of the run; left to itself it trusts any variable of the environment."""
    launcher = started_by()
    if launcher == "torchrun":
        return TorchElasticEnvironment()
    if launcher == "srun":
        # Lightning wants this variable, which `srun --ntasks=2` leaves out.
        tasks, nodes = (int(os.environ.get(name, 1)) for name in ("SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES"))
        os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(tasks // nodes))
        return SLURMEnvironment(auto_requeue=False)
    if launcher is None:
        for name in ("RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE"):
            os.environ.pop(name, None)
    # Lightning has read a rank on its import already; a strategy of several processes sets its own.
    rank_zero_only.rank = 0 if is_first_process() else 1  # type: ignore[attr-defined]  # set on the function
    return LightningEnvironment()


def require_planned_processes(trainer: pl.Trainer, path: Path, overwrite: bool) -> None:
    """Raises: UserError unless the processes that were started are those that the run in `path` is planned for; also
    where several would delete (`overwrite`) their own work.
    """
    devices, nodes, launcher = trainer.num_devices, trainer.num_nodes, started_by()
    if overwrite and trainer.world_size > 1 and launcher in ("torchrun", "srun"):
        raise UserError(
            f"overwrite=true with {trainer.world_size} processes that start together: some would go on with what the "
            f"first one deletes. Delete {path} before, or type name=... for another run."
        )
    planned = f"trainer.devices={devices} and trainer.num_nodes={nodes} make {devices * nodes}"
    if launcher not in ("torchrun", "srun"):
        alone = nodes > 1 and "MASTER_ADDR" not in os.environ
        if alone or (int(os.environ.get("NODE_RANK", 0)) >= nodes and "MASTER_ADDR" in os.environ):
            raise UserError(
                f"trainer.num_nodes={nodes}, and this process does not know which of them it is on, or is on another "
                "(MASTER_ADDR, NODE_RANK). Start all with srun or torchrun, or unset NODE_RANK and MASTER_ADDR."
            )
        return
    if (started := processes_started()) != devices * nodes:
        ways = {"torchrun": f"torchrun --nproc-per-node={devices}", "srun": f"srun --ntasks-per-node={devices}"}
        error = UserError(
            f"{launcher} started {started} processes, but {planned}. Type {ways[launcher]} for those, or trainer=ddp "
            f"trainer.devices={started // nodes or 1} for the {started} that were started."
        )
        error.reported = not is_first_process()
        raise error
