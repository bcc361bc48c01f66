"""A progress bar over the optimizer steps of a run, with losses, tokens/s and the time left."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from tqdm import tqdm

from ilm.training.callbacks.metrics import at_step_end
from ilm.training.callbacks.status import bar_figures


class TqdmBar(ProgressBar):
    """Starts at the step of a resumed run. Hidden unless stderr is a terminal; the log has a line per minute."""

    def __init__(self) -> None:
        super().__init__()
        self.is_enabled = sys.stderr.isatty()
        self._bar: tqdm | None = None

    def disable(self) -> None:
        self.is_enabled = False

    def enable(self) -> None:
        self.is_enabled = True

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self.is_enabled:
            return
        total = int(trainer.num_training_batches) // trainer.accumulate_grad_batches
        self._bar = tqdm(desc="training", initial=trainer.global_step, total=total, unit="step", dynamic_ncols=True)
        # Without tqdm's own estimate of the time left, which treats validations as slow steps.
        self._bar.bar_format = "{desc}: {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._bar is not None and at_step_end(trainer, batch_idx):
            self._bar.set_postfix(bar_figures(trainer), refresh=False)
            self._bar.update(trainer.global_step - self._bar.n)

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        if self._bar is not None:  # also called after an exception
            self._bar.close()
            self._bar = None

    def track(self, items: Sequence[Any], description: str) -> Iterable[Any]:
        """The items, with a separate bar while they are iterated over (a validation)."""
        return tqdm(items, desc=description, leave=False, dynamic_ncols=True) if self.is_enabled else items
