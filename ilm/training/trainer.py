"""Instantiates Lightning's Trainer from its configuration, and checks its processes and precision."""

import os
from pathlib import Path

import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from pytorch_lightning.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from ilm.config.train import Train
from ilm.errors import UserError
from ilm.hardware import is_first_process, processes_started, started_by


def make_trainer(settings: Train, folder: Path) -> pl.Trainer:
    """The trainer of the run in `folder`, with the configured callbacks but no loggers yet. Writes nothing.

    Raises: UserError if Lightning rejects the arguments, such as a missing GPU or an unknown precision.
    """
    callbacks = [instantiate(node) for node in (settings.callbacks or {}).values()]
    try:
        return instantiate(
            settings.trainer.model_dump(),
            # The whole run is one Lightning epoch, which ends when the data does (see InfillingDataModule).
            max_epochs=1,
            max_steps=-1,
            logger=False,
            callbacks=callbacks,
            plugins=[_environment()],
            default_root_dir=str(folder),
            enable_checkpointing=False,
            # The callback `Validation` validates instead: also before the first and after the last step, interruptibly.
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
        raise UserError(f"Lightning rejects {shown}: {error.__cause__ or error}") from error


def with_precision(settings: Train, before: str | None) -> Train:
    """The settings with `trainer.precision=auto` resolved: to the precision the run had `before`, else to bf16-mixed
    on a GPU that supports it, else to float32.

    Raises: UserError if bfloat16 is requested on a GPU without it.
    """
    trainer = settings.trainer
    on_gpu = trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    # torch reports bfloat16 on older GPUs too, where it is emulated and attention kernels do not support it.
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
    """The device and precision of a run, in words."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{name}, {trainer.precision}"


def _environment() -> ClusterEnvironment:
    """How Lightning finds the run's processes; by itself it would trust any variable of the environment."""
    launcher = started_by()
    if launcher == "torchrun":
        return TorchElasticEnvironment()
    if launcher == "srun":
        # Lightning needs this variable, which `srun --ntasks=2` does not set.
        tasks, nodes = (int(os.environ.get(name, 1)) for name in ("SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES"))
        os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(tasks // nodes))
        return SLURMEnvironment(auto_requeue=False)
    if launcher is None:
        for name in ("RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE"):
            os.environ.pop(name, None)
    # Lightning read a rank when it was imported; a multi-process strategy sets its own.
    rank_zero_only.rank = 0 if is_first_process() else 1  # type: ignore[attr-defined]  # set on the function
    return LightningEnvironment()


def require_planned_processes(trainer: pl.Trainer, path: Path, overwrite: bool) -> None:
    """Raises: UserError unless as many processes were started as the run in `path` is planned for, or if several
    would delete each other's work (`overwrite`).
    """
    devices, nodes, launcher = trainer.num_devices, trainer.num_nodes, started_by()
    if overwrite and trainer.world_size > 1 and launcher in ("torchrun", "srun"):
        raise UserError(
            f"overwrite=true with {trainer.world_size} processes that start together: some would resume what the first "
            f"one deletes. Delete {path} beforehand, or type name=... for another run."
        )
    planned = f"trainer.devices={devices} and trainer.num_nodes={nodes} make {devices * nodes}"
    if launcher not in ("torchrun", "srun"):
        alone = nodes > 1 and "MASTER_ADDR" not in os.environ
        if alone or (int(os.environ.get("NODE_RANK", 0)) >= nodes and "MASTER_ADDR" in os.environ):
            raise UserError(
                f"trainer.num_nodes={nodes}, but MASTER_ADDR and NODE_RANK do not say which of these nodes this "
                "process is on. Start all processes with srun or torchrun, or unset NODE_RANK and MASTER_ADDR."
            )
        return
    if (started := processes_started()) != devices * nodes:
        ways = {"torchrun": f"torchrun --nproc-per-node={devices}", "srun": f"srun --ntasks-per-node={devices}"}
        error = UserError(
            f"{launcher} started {started} processes, but {planned}. Type {ways[launcher]} for the plan, or "
            f"trainer=ddp trainer.devices={started // nodes or 1} for the {started} that were started."
        )
        error.reported = not is_first_process()
        raise error
