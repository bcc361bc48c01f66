"""Times a few optimizer steps and one validation of a run, then ends it: the measurement behind `dry_run=true`."""

import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from ilm.models.devices import peak_memory
from ilm.models.summary import module_lines
from ilm.training.callbacks.metrics import at_step_end
from ilm.training.callbacks.validation import Validation
from ilm.training.lightning import callbacks_of, datamodule_of

WARM_UP = 2  # untimed steps: the first ones compile kernels and fill caches
FEWEST, MOST = 3, 100  # timed steps
SECONDS = 20.0  # no further step is timed after this


@dataclass(frozen=True)
class Measured:
    """What a few steps took: seconds, and sizes in bytes.

    `peak_memory` is the GPU's, or on a CPU the process's. `modules`: one line per kind of module.
    """

    steps: int
    seconds: float
    tokens: int
    validation_examples: int
    validation_seconds: float
    parameters: int
    trained_parameters: int
    weights: int
    gradients: int
    optimizer: int
    peak_memory: int
    device: str
    modules: tuple[str, ...] = ()


class Enough(SystemExit):
    """Ends the measured run silently, by the route that a signal takes."""


class Stopwatch(pl.Callback):
    """Times optimizer steps and the validation before them, then ends the run with the result in `measured`.

    It comes after the run's own callbacks. All ranks end at the same step.

    Raises: Enough.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self.clock = clock
        self.measured: Measured | None = None
        self._began = self._validated = 0.0
        self._tokens = 0

    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        trainer.strategy.checkpoint_io = _Nowhere()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._validated = _validation(trainer).seconds

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not at_step_end(trainer, batch_idx):
            return
        step, steps = trainer.global_step, int(trainer.num_training_batches) // trainer.accumulate_grad_batches
        if step > WARM_UP:
            self._tokens += batch.step.tokens
        now = self._now()
        timed, seconds = step - WARM_UP, now - self._began
        enough = timed >= MOST or (timed >= FEWEST and seconds >= SECONDS)
        if trainer.world_size > 1:
            enough = not trainer.strategy.reduce_boolean_decision(not enough, all=True)
        if step == WARM_UP:
            validation = _validation(trainer)
            self._validated = validation.seconds - self._validated
            validation.every_n_steps = steps  # none between the timed steps
            self._began = self._now()
        elif timed > 0 and (enough or step == steps - 1):
            self.measured = self._measured(trainer, module, timed, seconds)
            raise Enough(0)

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # kernels run asynchronously
        return self.clock()

    def _measured(self, trainer: pl.Trainer, module: Any, steps: int, seconds: float) -> Measured:
        states = (value for state in trainer.optimizers[0].state.values() for value in state.values())
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        on_gpu = module.device.type == "cuda"
        return Measured(
            steps=steps,
            seconds=seconds,
            tokens=self._tokens,
            validation_examples=len(datamodule_of(trainer).validation),
            validation_seconds=self._validated,
            parameters=sum(parameter.numel() for parameter in module.parameters()),
            trained_parameters=sum(parameter.numel() for parameter in trained),
            weights=_bytes(module.parameters()) + _bytes(module.buffers()),
            gradients=_bytes(trained),
            optimizer=_bytes(value for value in states if isinstance(value, torch.Tensor)),
            peak_memory=peak_memory(),
            device=torch.cuda.get_device_name() if on_gpu else f"{module.device.type}, {platform.machine()}",
            modules=tuple(module_lines(module.model)),
        )


class _Nowhere(TorchCheckpointIO):
    """Checkpoints that take neither time nor disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        Path(path).touch()


def _validation(trainer: pl.Trainer) -> Validation:
    return next(callback for callback in callbacks_of(trainer) if isinstance(callback, Validation))


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
