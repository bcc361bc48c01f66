"""Progress bars over the optimizer steps of a run, with loss, perplexity, tokens/s and the time left.

Both start where a resumed run stands, and show nothing where stderr is no terminal: the log has a line every minute.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from tqdm import tqdm

from ilm.training.callbacks.metrics import at_step_end
from ilm.training.callbacks.status import bar_figures


class StepProgressBar(ProgressBar):
    """When to draw; subclasses implement how, in `_open`, `_show`, `_close` and `_track`."""

    def __init__(self) -> None:
        super().__init__()
        self.is_enabled = sys.stderr.isatty()

    def disable(self) -> None:
        self.is_enabled = False

    def enable(self) -> None:
        self.is_enabled = True

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.is_enabled:
            self._open(trainer.global_step, int(trainer.num_training_batches) // trainer.accumulate_grad_batches)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        if self.is_enabled and at_step_end(trainer, batch_idx):
            self._show(trainer.global_step, bar_figures(trainer))

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._close()

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        self._close()  # also after an exception

    def track(self, items: Sequence[Any], description: str) -> Iterator[Any]:
        """The items, with a bar of their own for as long as they take (a validation)."""
        return self._track(items, description) if self.is_enabled else iter(items)

    def _track(self, items: Sequence[Any], description: str) -> Iterator[Any]:
        raise NotImplementedError

    def _open(self, step: int, total: int) -> None:
        raise NotImplementedError

    def _show(self, step: int, figures: dict[str, str]) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError


class TqdmBar(StepProgressBar):
    """The bar as a line of text."""

    _bar: tqdm | None = None

    def _track(self, items: Sequence[Any], description: str) -> Iterator[Any]:
        return iter(tqdm(items, desc=description, leave=False, dynamic_ncols=True))

    def _open(self, step: int, total: int) -> None:
        self._bar = tqdm(desc="training", initial=step, total=total, unit="step", dynamic_ncols=True)
        # tqdm's own time left counts the validations as steps that are slow.
        self._bar.bar_format = "{desc}: {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"

    def _show(self, step: int, figures: dict[str, str]) -> None:
        self._bar.set_postfix(figures, refresh=False)
        self._bar.update(step - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class RichBar(StepProgressBar):
    """The bar with colours, below what is written meanwhile."""

    _bar: Progress | None = None

    def _track(self, items: Sequence[Any], description: str) -> Iterator[Any]:
        # The validation before the first step comes before the bar is there.
        with nullcontext(self._bar) if self._bar is not None else _progress() as bar:
            task = bar.add_task(description, total=len(items), figures="")
            try:
                for item in items:
                    yield item
                    bar.advance(task)
            finally:
                bar.remove_task(task)

    def _open(self, step: int, total: int) -> None:
        self._bar = _progress()
        self._bar.start()
        self._task = self._bar.add_task("training", completed=step, total=total, figures="")

    def _show(self, step: int, figures: dict[str, str]) -> None:
        shown = "  ".join(f"{key} {value}" for key, value in figures.items())
        self._bar.update(self._task, completed=step, figures=shown)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        console=Console(file=sys.stderr),
        expand=True,
        refresh_per_second=2,
    )
